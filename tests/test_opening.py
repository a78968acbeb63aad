"""A study that is run again after something changed: nothing is mixed, nothing is lost."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tarazu import runner
from tarazu import study as study_module
from tarazu.errors import BadInput
from tarazu.models import hardware
from tarazu.models import precision as precision_module
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.source import LocalModel
from tarazu.opening import watch_inputs
from tarazu.overview import status
from tarazu.processes import RunFailed
from tarazu.record import environment as environment_module
from tarazu.record.record import Hardware
from tarazu.record.standing import RUNNING
from tarazu.record.store import Store
from tarazu.record.watched import changed_files
from tarazu.report.api import read_results
from tarazu.report.notes import footnotes
from tarazu.study import StudyResult, run_study
from tarazu.study_file import load_study
from tarazu.testing.hearing import Heard
from tarazu.testing.tiny import nli_items, write_nli
from tarazu.work import Work

# Entries without a pretrained model: their runs take no time, and the store is the same.
STUDY = """
version: 1
study: changing
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: test.csv, validation: {rows: 6}}
methods:
  majority: {}
  tfidf: {}
seeds: [3]
compute: {device: cpu, dtype: float32, threads: 1}
"""


@dataclass
class Place:
    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def run(self, heard: Heard | None = None, **options: object) -> StudyResult:
        return run_study(
            self.folder / "study.yaml",
            out=self.out,
            listener=heard,
            **options,  # type: ignore[arg-type]
        )

    def aside(self) -> list[str]:
        return sorted(path.name for path in self.out.glob("stale/*"))


def here(work: Callable[..., Work], *arguments: object, tell: object) -> Work:
    """Make a run in this process: none of these needs one of its own."""
    return work(*arguments, tell=tell)


@pytest.fixture(scope="module", autouse=True)
def in_this_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "in_own_process", here)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("changing")
    write_nli(folder / "train.csv", nli_items(22, seed=1))
    write_nli(folder / "test.csv", nli_items(6, seed=2))
    (folder / "study.yaml").write_text(STUDY)
    place = Place(folder)
    assert place.run().failed == 0
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    shutil.copytree(made.folder, tmp_path / "copy")  # with the times of its files
    return Place(tmp_path / "copy")


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let another version of torch be installed; return the one that is."""
    real = environment_module._version
    monkeypatch.setattr(
        environment_module, "_version", lambda name: "99.0" if name == "torch" else real(name)
    )
    return real("torch")


def states(place: Place) -> dict[str, str]:
    return {run.label: run.state for run in status(place.out).runs}


def test_runs_of_other_versions_are_set_aside_and_made_again(place: Place, newer: str) -> None:
    before = {r.entry: r for r in Store(place.out).records()}
    names = [Store(place.out).run_folder(r).name for r in before.values()]
    short = before["majority"].environment.hash[:12]
    assert set(states(place).values()) == {"stale"}
    heard = Heard()
    result = place.run(heard)
    assert heard.began == ["majority", "tfidf"]
    assert place.aside() == [f"{name}-{short}" for name in names]
    old = place.out / "stale" / place.aside()[0]
    assert json.loads((old / "record.json").read_text())["environment"]["hash"] != (
        result.records[0].environment.hash
    )
    assert (old / "predictions.parquet").is_file()
    shown = read_results(place.out).records
    assert {r.key for r in shown} == {r.key for r in before.values()}
    assert {r.environment.packages["torch"] for r in shown} == {"99.0"}
    (said,) = [note for note in heard.notes if "--keep-stale" in note]
    assert f"2 runs were made with other versions (torch {newer} → 99.0)" in said
    assert set(states(place).values()) == {"done"}
    assert status(place.out).notes == ("Set aside in stale/, made with other versions: 2.",)


@dataclass
class Processor:
    """Has bf16 instructions or not, and is found to be faster with them or not."""

    native: bool = True
    faster: bool = True


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Processor:
    found = Processor()
    monkeypatch.setattr(precision_module, "cpu_has_bf16", lambda: found.native)
    monkeypatch.setattr(precision_module, "cpu_is_faster_in_bf16", lambda: found.faster)
    return found


AUTO = ["compute.dtype=auto"]


def besides_device(heard: Heard) -> list[str]:
    return [note for note in heard.notes if not note.startswith("Device: ")]


def dtypes(result: StudyResult) -> set[str]:
    return {record.spec.dtype for record in result.records}


@pytest.mark.parametrize("first", [True, False])
def test_a_second_measurement_of_the_processor_changes_no_run(
    place: Place, processor: Processor, first: bool
) -> None:
    """Where bf16 and fp32 are about as fast, noise must not make a study's runs anew."""
    processor.faster = first
    before = place.run(overrides=AUTO)
    assert dtypes(before) == {"bfloat16" if first else "float32"}
    processor.faster = not first
    heard = Heard()
    after = place.run(heard, overrides=AUTO)
    assert heard.began == []
    assert [r.key for r in after.records] == [r.key for r in before.records]
    (said,) = [note for note in heard.notes if "compute.dtype" in note]
    assert said.startswith(f"Computing in {before.records[0].spec.dtype}, as when the study was")


def test_a_precision_that_is_asked_for_is_taken(place: Place, processor: Processor) -> None:
    place.run(overrides=AUTO)
    heard = Heard()
    assert dtypes(place.run(heard, overrides=["compute.dtype=float32"])) == {"float32"}
    assert not any("Computing in" in note for note in heard.notes)
    # What was measured is still known.
    processor.faster = False
    assert dtypes(place.run(overrides=AUTO)) == {"bfloat16"}


def test_a_processor_without_bf16_does_not_pretend_to_have_it(
    place: Place, processor: Processor
) -> None:
    place.run(overrides=AUTO)
    processor.native = False
    heard = Heard()
    assert dtypes(place.run(heard, overrides=AUTO)) == {"float32"}
    (said,) = [note for note in heard.notes if "no instructions" in note]
    assert said.startswith("Computing in float32: the study was first run in bfloat16")
    # Back on the processor that has it, all is as it was.
    processor.native, processor.faster = True, False
    assert dtypes(place.run(overrides=AUTO)) == {"bfloat16"}


@pytest.mark.parametrize("text", ["{", "[]", '{"dtype": 3}', '{"dtype": "float64"}'])
def test_a_broken_note_of_the_precision_is_measured_again(
    place: Place, processor: Processor, text: str
) -> None:
    (place.out / "precision.json").write_text(text)
    assert dtypes(place.run(overrides=AUTO)) == {"bfloat16"}
    assert json.loads((place.out / "precision.json").read_text())["dtype"] == "bfloat16"


def test_what_was_set_aside_before_is_not_replaced(place: Place, newer: str) -> None:
    store = Store(place.out)
    for number in (1, 2):
        shutil.copytree(place.out / "runs", place.folder / f"runs-{number}")
    place.run()
    shutil.rmtree(place.out / "runs")
    shutil.copytree(place.folder / "runs-1", place.out / "runs")
    place.run()
    assert len(place.aside()) == 4
    assert sum(name.endswith("-2") for name in place.aside()) == 2
    assert len(store.records()) == 2


def test_only_what_is_run_is_set_aside_and_the_rest_is_told_apart(place: Place, newer: str) -> None:
    heard = Heard()
    place.run(heard, only=["tfidf"])
    assert [name.partition("-s3")[0] for name in place.aside()] == ["tfidf"]
    assert heard.began == ["tfidf"]
    assert states(place) == {"majority · seed 3": "stale", "tfidf · seed 3": "done"}
    (line,) = [n for n in footnotes(Store(place.out).records()) if "different versions" in n.en]
    assert f"majority: torch {newer}" in line.en
    assert "tfidf: torch 99.0" in line.en
    assert "torch 99.0" in line.fa


def test_who_set_runs_aside_by_mistake_takes_them_up_again(
    place: Place, newer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **named: object) -> Work:
        raise KeyboardInterrupt

    before = Store(place.out).records()
    with monkeypatch.context() as patch:
        patch.setattr(runner, "in_own_process", interrupt)
        with pytest.raises(KeyboardInterrupt):
            place.run()
    assert len(place.aside()) == 2
    assert Store(place.out).records() == []
    heard = Heard()
    result = place.run(heard, keep_stale=True)
    assert heard.began == []
    assert result.records == before
    assert place.aside() == []
    assert any("2 runs that had been set aside in stale/" in note for note in heard.notes)


def test_versions_that_come_back_bring_their_runs_back(
    place: Place, newer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Store(place.out).records()
    place.run()
    monkeypatch.undo()
    heard = Heard()
    result = place.run(heard)
    assert heard.began == []
    assert result.records == before
    assert len(place.aside()) == 2
    assert set(states(place).values()) == {"done"}


def test_stale_runs_are_kept_when_asked_for_and_the_report_names_versions(
    place: Place, newer: str
) -> None:
    heard = Heard()
    for file in (place.out / "runs").glob("tfidf*"):
        shutil.rmtree(file)
    place.run(heard, keep_stale=True)
    assert heard.began == ["tfidf"]
    assert place.aside() == []
    below = [note.en for note in footnotes(read_results(place.out).records)]
    assert f"Made with different versions: majority: torch {newer}; tfidf: torch 99.0." in below


def test_a_stale_run_is_not_taken_over_under_another_name(place: Place, newer: str) -> None:
    """The same run under another name was not asked for again, so it was not set aside."""
    text = STUDY.replace("  tfidf: {}\n", "  tfidf: {}\n  twin: {method: majority}\n")
    (place.folder / "study.yaml").write_text(text)
    heard = Heard()
    place.run(heard, only=["twin"])
    assert heard.began == ["twin"]
    (twin,) = [r for r in Store(place.out).records() if r.entry == "twin"]
    assert twin.environment.packages["torch"] == "99.0"


def test_equal_versions_make_nothing_again(place: Place) -> None:
    heard = Heard()
    place.run(heard)
    assert heard.began == []
    assert place.aside() == []
    assert not any("different versions" in n.en for n in footnotes(Store(place.out).records()))


def test_changed_data_make_another_run_and_the_old_one_is_left_out(place: Place) -> None:
    before = {r.key for r in Store(place.out).records()}
    write_nli(place.folder / "test.csv", nli_items(6, seed=9))
    found = status(place.out)
    assert found.counts["stale"] == 2
    assert {run.why for run in found.runs} == {"test.csv changed since"}
    heard = Heard()
    place.run(heard)
    assert heard.began == ["majority", "tfidf"]
    records = Store(place.out).records()
    assert len(records) == 4
    assert before < {r.key for r in records}
    below = [note.en for note in footnotes(records)]
    assert "Left out: 2 runs with older settings of the same entries." in below
    found = status(place.out)
    assert found.counts == {"done": 2, "running": 0, "failed": 0, "stale": 2, "waiting": 0}
    assert {run.key for run in found.runs if run.state == "stale"} == before
    assert found.notes == ()


def test_what_is_not_run_again_on_changed_data_is_not_called_done(place: Place) -> None:
    write_nli(place.folder / "test.csv", nli_items(6, seed=9))
    place.run(only=["tfidf"])
    assert [(r.entry, r.state) for r in status(place.out).runs] == [
        ("tfidf", "done"),
        ("majority", "stale"),
        ("tfidf", "stale"),
    ]


def test_what_is_not_run_again_stays_done_where_nothing_of_it_changed(place: Place) -> None:
    text = STUDY.replace("  tfidf: {}\n", "  tfidf: {}\n  twin: {method: majority}\n")
    (place.folder / "study.yaml").write_text(text)
    place.run(only=["twin"])
    assert states(place) == {
        "twin · seed 3": "done",
        "majority · seed 3": "done",
        "tfidf · seed 3": "done",
    }
    (place.folder / "study.yaml").write_text(text.replace("tfidf: {}", "tfidf: {ngrams: 3}"))
    place.run(only=["twin"])
    assert states(place)["tfidf · seed 3"] == "stale"
    assert states(place)["majority · seed 3"] == "done"
    (place.out / "study.json").write_text("{")
    place.run(only=["twin"])
    assert states(place)["majority · seed 3"] == "stale"


@pytest.mark.parametrize("source", ["model", "model.gguf", "org/model", "pypi:some==1/model"])
def test_files_of_a_model_are_watched_where_they_are_the_users(tmp_path: Path, source: str) -> None:
    """A cache may be emptied at any time: that changes no model."""
    text = STUDY.replace("methods:\n", "methods:\n  lora: {model: [m, n]}\n")
    sha = f", sha256: {'a' * 64}" if source.startswith("pypi") else ""
    models = f"models: {{m: {{source: '{source}'{sha}}}, n: {{source: org/other}}}}\n"
    file = tmp_path / "study.yaml"
    file.write_text(models + text)
    study, out = load_study(file), tmp_path / "out"
    out.mkdir()
    cached, card = tmp_path / "cache", find_card("minilm")
    assert card is not None
    info = info_from_config(card.id, card.config, card=card)
    cached.mkdir()
    (cached / "config.json").write_text("{}")
    own = tmp_path / "model" / "config.json"
    own.parent.mkdir()
    own.write_text("{}")
    (tmp_path / "model.gguf").write_text("GGUF")
    place = own.parent if source == "model" else cached
    name = "model.gguf" if source == "model.gguf" else "config.json"
    watch_inputs(Store(out), study, {"m": LocalModel(place, {name: "b" * 64}, info)})
    shutil.rmtree(cached)
    assert changed_files(out) == []
    own.write_text("{...}")
    (tmp_path / "model.gguf").write_text("GGUF.")
    expected = {"model": ["../model/config.json"], "model.gguf": ["../model.gguf"]}.get(source, [])
    assert [one.path for one in changed_files(out)] == expected
    # Who runs an entry without this model does not forget what was known of its files.
    watch_inputs(Store(out), study, {})
    assert [one.path for one in changed_files(out)] == expected


def test_files_that_were_only_touched_have_not_changed(place: Place) -> None:
    (place.folder / "test.csv").touch()
    assert set(states(place).values()) == {"done"}
    (place.folder / "test.csv").unlink()
    assert set(states(place).values()) == {"stale"}


def test_a_changed_study_file_is_told(place: Place) -> None:
    assert status(place.out).notes == ()
    (place.folder / "study.yaml").write_text(STUDY + "\n# changed\n")
    changed, then = status(place.out).notes
    assert "The study file changed" in changed
    assert "Give the study's command again" in then


def test_what_to_do_next_is_told(place: Place, newer: str) -> None:
    again, keep = status(place.out).notes
    assert "Give the study's command again" in again
    assert "--keep-stale" in keep
    shutil.rmtree(place.out / "runs")
    assert status(place.out).notes == (again,)
    place.run()
    assert status(place.out).notes == ()


@pytest.mark.parametrize("free", [0, 1 << 20, 1 << 40])
def test_space_is_compared_with_what_is_free(
    place: Place, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    shutil.rmtree(place.out)
    usage = shutil.disk_usage(place.folder)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    heard = Heard()
    if free == 0:
        with pytest.raises(BadInput, match="for the smallest run"):
            place.run(heard)
        assert not list((place.out / "runs").glob("*"))
        return
    place.run(heard)
    warned = [note for note in heard.notes if "may fill up" in note]
    assert len(warned) == (free == 1 << 20)
    assert len(Store(place.out).records()) == 2


def test_a_drive_that_others_write_to_is_named_when_a_study_begins(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tarazu.record.store.drive", lambda folder: "fuse.drive")
    monkeypatch.setattr("tarazu.record.holder.SETTLE", 0.0)
    heard = Heard()
    assert place.run(heard).failed == 0
    (named,) = [note for note in heard.notes if "is on a drive" in note]
    assert f"{place.out} is on a drive (fuse.drive)" in named


def test_runs_from_before_a_package_was_counted_are_used(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = ("gguf", "jinja2")
    before = tuple(name for name in environment_module.PACKAGES if name not in later)
    shutil.rmtree(place.out)
    with monkeypatch.context() as patch:
        patch.setattr(environment_module, "PACKAGES", before)
        place.run()
    heard = Heard()
    place.run(heard)
    assert heard.began == besides_device(heard) == place.aside() == []
    assert set(states(place).values()) == {"done"}


def test_a_drive_that_does_not_know_its_size_stops_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(place.out)
    usage = shutil.disk_usage(place.folder)._replace(total=0, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    heard = Heard()
    assert place.run(heard).failed == 0
    assert not any("disk" in note for note in heard.notes)


def test_finished_runs_need_no_more_space(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(place.folder)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert place.run().failed == 0


def test_finished_tuned_runs_need_no_more_space(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tuning chose is another run than the one that the study file says."""
    text = STUDY + "tuning: {trials: 3}\n"
    (place.folder / "study.yaml").write_text(text)
    shutil.rmtree(place.out)
    assert place.run().failed == 0
    usage = shutil.disk_usage(place.folder)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    heard = Heard()
    assert place.run(heard).failed == 0
    assert heard.began == besides_device(heard) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_fills_up_in_a_run_stops_the_study_and_keeps_what_is_done(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for file in (place.out / "runs").glob("tfidf*"):
        shutil.rmtree(file)

    def full(*arguments: object, **named: object) -> object:
        raise RunFailed(f"OSError: {OSError(number, 'it failed')}", "traceback")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "in_own_process", full)
        with pytest.raises(BadInput, match="finished runs are kept"):
            place.run()
    assert [r.entry for r in Store(place.out).records()] == ["majority"]
    assert states(place) == {"majority · seed 3": "done", "tfidf · seed 3": "waiting"}
    assert place.run().failed == 0


@pytest.mark.parametrize("gone", ["removed", "moved", "lock"])
def test_a_folder_that_vanishes_stops_the_study_and_is_not_made_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    shutil.rmtree(place.out / "runs")
    runs: list[object] = []

    def vanish(work: Callable[..., Work], request: object, *, tell: object) -> Work:
        if runs:
            if gone == "lock":
                (place.out / ".lock").unlink()
            else:
                place.out.rename(place.folder / "elsewhere")
            if gone == "removed":
                shutil.rmtree(place.folder / "elsewhere")
        runs.append(request)
        return here(work, request, tell=tell)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "in_own_process", vanish)
        with pytest.raises(BadInput, match="it has vanished"):
            place.run()
    if gone == "lock":
        assert [r.entry for r in Store(place.out).records()] == ["majority"]
        return
    assert not place.out.exists()
    if gone == "moved":
        assert [r.entry for r in Store(place.folder / "elsewhere").records()] == ["majority"]
        (place.folder / "elsewhere").rename(place.out)
        heard = Heard()
        place.run(heard)
        assert heard.began == ["tfidf"]


def test_a_sign_of_a_killed_run_that_cannot_be_removed_stops_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.out / RUNNING).write_text("{}")
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == RUNNING:
            raise OSError(errno.EIO, "it failed")
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    assert place.run().failed == 0


def device_notes(place: Place, *overrides: str) -> list[str]:
    heard = Heard()
    place.run(heard, overrides=["compute.device=auto", *overrides])
    told = ("Device: ", "Warning: ", "There is ")
    return [note for note in heard.notes if note.startswith(told)]


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(hardware, "processor_name", lambda: "Acme 9")
    monkeypatch.setattr(hardware, "_shows_nvidia_card", lambda: False)
    return monkeypatch


def test_every_run_names_its_device_and_precision_first(
    place: Place, no_card: pytest.MonkeyPatch, processor: Processor
) -> None:
    no_card.setattr(precision_module, "bf16_speedup", lambda: 2.14)
    said = "measured 2.1 times as fast as float32"
    assert device_notes(place, *AUTO) == [f"Device: cpu (Acme 9, 1 thread), bfloat16 ({said})"]
    processor.faster = False
    assert device_notes(place, *AUTO) == [
        "Device: cpu (Acme 9, 1 thread), bfloat16 (as when the study was first run)"
    ]
    heard = Heard()
    place.run(heard)  # all is done, and it is said still
    assert heard.notes[0].startswith("Device: cpu (Acme 9, 1 thread), float32 (as compute.dtype")


def test_a_card_that_cannot_be_used_is_warned_of(place: Place, no_card: pytest.MonkeyPatch) -> None:
    assert len(device_notes(place)) == 1  # torch is built without: nobody expects one
    no_card.setattr(torch.version, "cuda", "13.0")
    no_card.setenv("CUDA_VISIBLE_DEVICES", "")
    (_, warning) = device_notes(place)
    assert warning.startswith(
        "Warning: no card can be used: CUDA_VISIBLE_DEVICES hides every card. Unset it"
    )
    assert warning.endswith("`tarazu doctor` tells more.")
    assert len(device_notes(place, "compute.device=cpu")) == 1  # asked for


def test_an_accelerator_that_is_not_used_is_named(
    place: Place, no_card: pytest.MonkeyPatch
) -> None:
    no_card.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_notes(place)[1:] == ["There is an Apple GPU, which tarazu does not use."]


def test_an_absent_card_is_refused_before_anything_is_fetched(
    place: Place, no_card: pytest.MonkeyPatch
) -> None:
    def fetch(*arguments: object) -> None:
        pytest.fail("models were fetched")

    no_card.setattr(study_module, "_fetch_models", fetch)
    with pytest.raises(BadInput, match=r"compute\.device: must be available, but got cuda, and "):
        place.run(overrides=["compute.device=cuda"])


def test_records_name_what_computed_outside_of_what_makes_them_stale(
    place: Place, no_card: pytest.MonkeyPatch
) -> None:
    before = Store(place.out).records()
    for file in (place.out / "runs").glob("majority*"):
        shutil.rmtree(file)
    place.run()
    records = {record.entry: record for record in Store(place.out).records()}
    assert records["majority"].environment.hardware == Hardware(processor="Acme 9")
    assert {r.environment.hash for r in before} == {records["majority"].environment.hash}
    assert [r.key for r in before] == [records[r.entry].key for r in before]
    # Records from before it was noted are read, and used.
    file = next((place.out / "runs").glob("tfidf*")) / "record.json"
    values = json.loads(file.read_text())
    del values["environment"]["hardware"]
    file.write_text(json.dumps(values))
    heard = Heard()
    place.run(heard)
    assert heard.began == []
    assert Store(place.out).records()[1].environment.hardware is None
