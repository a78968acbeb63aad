"""Merged forms of a trained model: which ones are made, and what a run keeps when one fails."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tarazu import catalog, runner, work
from tarazu.attempts import CUTS
from tarazu.comparison.costs import costs
from tarazu.comparison.entries import entries, primary_variant
from tarazu.errors import BadInput, bad
from tarazu.models import merge
from tarazu.record.attempted import Notes
from tarazu.record.progress import Progress, Silent
from tarazu.record.record import RunRecord, VariantResult
from tarazu.record.store import Store
from tarazu.report.api import report
from tarazu.report.notes import notes
from tarazu.report.recorded import known_in_persian
from tarazu.sentinel import verify
from tarazu.study import run_study
from tarazu.testing import tiny
from tarazu.testing.records import make_record
from tarazu.testing.tiny import nli_items, tiny_model, write_nli
from tarazu.work import Request, Variant, Work, answer_variant, perform

STUDY = """
version: 1
study: merging
task: {{family: nli, name: tiny-nli}}
data: {{train: train.csv, test: test.csv, validation: {{rows: 4}}}}
models: {{tiny: {{source: {folder}}}}}
training: {{epochs: 1, batch_size: 8, max_length: 100}}
methods: {{qlora-text: {{model: tiny, r: 4, merge: {merge}, decode: {{max_new_tokens: 2}}}}}}
seeds: [0]
compute: {{device: cpu, dtype: float32, threads: 1}}
"""
DEQUANTISED, SIXTEEN = "merged-dequantised", "merged-16bit"
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "HIDDEN", 128)  # wide enough for every kernel of bitsandbytes
        return tiny_model(tmp_path_factory.mktemp("base") / "llama", "llama")


@pytest.fixture
def study(base: Path, tmp_path: Path) -> Make:
    def make(merge: str = "both") -> Path:
        write_nli(tmp_path / "train.csv", nli_items(14, seed=1))
        write_nli(tmp_path / "test.csv", nli_items(4, seed=2))
        file = tmp_path / "study.yaml"
        file.write_text(STUDY.format(folder=base, merge=merge))
        return file

    return make


def only_run(file: Path) -> RunRecord:
    (record,) = run_study(file, out=file.parent / "out").records
    return record


def forms(record: RunRecord) -> list[str]:
    return [result.variant for result in record.variants]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("none", ["adapter"]),
        ("dequantised", ["adapter", DEQUANTISED]),
        ("16bit", ["adapter", SIXTEEN]),
        ("both", ["adapter", DEQUANTISED, SIXTEEN]),
    ],
)
def test_the_forms_that_are_asked_for_are_made(
    study: Make, asked: str, expected: list[str]
) -> None:
    record = only_run(study(asked))
    assert record.status == "done"
    assert forms(record) == expected
    assert record.primary_variant == (DEQUANTISED if DEQUANTISED in expected else "adapter")
    assert [event.kind for event in record.events if event.kind == "variant"] == []


def test_every_method_with_other_forms_can_write_each_of_them() -> None:
    found = {m.name: m for m in catalog.methods().values() if m.variants is not None}
    assert set(found) >= {"qlora-text"}
    for method in found.values():
        assert method.write_variant is not None
        assert method.variants is not None
        assert method.primary_variant in method.variants(method.knobs())


def failing(error: Callable[[], BaseException | None]) -> Callable[..., None]:
    """Return a way of merging that does not come to its end with the dequantised base."""
    whole = merge.merge_into

    def merge_into(learner: Any, base: Path, out: Path, *, into: str, dtype: str) -> None:
        whole(learner, base, out, into=into, dtype=dtype)  # type: ignore[arg-type]
        if into == "dequantised" and (raised := error()) is not None:
            raise raised

    return merge_into


def disk_full(request: Request, *, tell: Any) -> Work:
    """Merge where the disk ends."""
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/somebody/out/model")
    merge.merge_into = failing(lambda: error)  # type: ignore[assignment]
    return perform(request, tell=tell)


def memory_ends(request: Request, *, tell: Any) -> Work:
    """Merge where an allocation fails."""
    error = RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0")
    merge.merge_into = failing(lambda: error)  # type: ignore[assignment]
    return perform(request, tell=tell)


def killed(request: Request, *, tell: Any) -> Work:
    """Merge where the system kills the process, as it does when memory ends."""
    merge.merge_into = failing(lambda: os.kill(os.getpid(), signal.SIGKILL))  # type: ignore
    return perform(request, tell=tell)


def own_mistake(request: Request, *, tell: Any) -> Work:
    """Merge with a method that somebody wrote, and that has a mistake."""
    merge.merge_into = failing(lambda: KeyError("no such weight"))  # type: ignore[assignment]
    return perform(request, tell=tell)


def killed_answering(request: Request, variant: Variant, *, tell: Any) -> Work:
    """Answer with one of the merged models, and die with the other one."""
    if variant.name == DEQUANTISED:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer_variant(request, variant, tell=tell)


def refused_answering(request: Request, variant: Variant, *, tell: Any) -> Work:
    """Answer with one of the merged models, and refuse the other one."""
    if variant.name == DEQUANTISED:
        raise bad("model", "must be finite", "nan")
    return answer_variant(request, variant, tell=tell)


CASES: list[tuple[str, Any, list[str], str]] = [
    ("perform", disk_full, ["adapter", SIXTEEN], os.strerror(errno.ENOSPC)),
    ("perform", memory_ends, ["adapter", SIXTEEN], "RuntimeError: [enforce fail at alloc_cpu"),
    ("perform", own_mistake, ["adapter", SIXTEEN], "KeyError: 'no such weight'"),
    ("perform", killed, ["adapter"], "memory ran out in phase 'merge': it needs "),
    ("answer_variant", killed_answering, ["adapter", SIXTEEN], "memory ran out in phase "),
    ("answer_variant", refused_answering, ["adapter", SIXTEEN], "must be finite, but got nan"),
]


@pytest.mark.parametrize(
    ("where", "instead", "expected", "reason"), CASES, ids=[case[1].__name__ for case in CASES]
)
def test_a_form_that_fails_leaves_a_run_that_is_done(
    study: Make,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    instead: Any,
    expected: list[str],
    reason: str,
) -> None:
    monkeypatch.setattr(runner, where, instead)
    file = study("both")
    record = only_run(file)
    assert record.status == "done", record.error
    assert forms(record) == expected
    assert record.primary_variant == "adapter"
    assert record.artifacts
    said = [event.message for event in record.events if event.kind == "variant"]
    assert len(said) == 3 - len(expected)
    assert said[0].startswith(f"{DEQUANTISED} is missing: ")
    assert reason in said[0]
    assert "/home/somebody" not in said[0]
    assert all(known_in_persian(message) for message in said)
    # What failed is not answered again, and training less so.
    assert record.measured["evaluate"].seconds > 0
    out = file.parent / "out"
    for form in ("text", "markdown", "html"):
        assert f"without {DEQUANTISED}" in " ".join(report(out, format=form).split()), form
    assert "بدون" in report(out, format="html", language="fa")
    # A second command has nothing to do.
    assert only_run(file).finished == record.finished
    assert Store(out).run_folder(record).is_dir()


def test_what_was_merged_is_removed_before_the_next_form_answers(
    study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models of 16 GB beside each other may be more than a disk has."""
    seen: list[list[str]] = []
    usual = runner._answered_again

    def look(variant: Variant, request: Request, tell: Any) -> Work:
        seen.append(sorted(path.name for path in variant.folder.parent.iterdir()))
        return usual(variant, request, tell)

    monkeypatch.setattr(runner, "_answered_again", look)
    assert only_run(study("both")).status == "done"
    assert seen == [[SIXTEEN, DEQUANTISED], [SIXTEEN]]


def test_trials_merge_nothing(study: Make) -> None:
    file = study("both")
    records = run_study(file, out=file.parent / "out", overrides=["tuning.trials=1"]).records
    trials = [record for record in records if record.stage == "trial"]
    assert len(trials) == 1
    assert forms(trials[0]) == ["adapter"]


def seeded(seed: int, *variants: str, primary: str) -> RunRecord:
    results = [
        VariantResult(variant=name, split="test", n=10, metrics={"accuracy": 0.1 * index})
        for index, name in enumerate(variants, start=1)
    ]
    return make_record("qlora-text", seed=seed, variants=results, primary_variant=primary)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_different_forms_are_never_averaged_over_seeds(order: tuple[int, int]) -> None:
    """A seed whose merged form failed is compared by the form that all seeds have."""
    whole = ("adapter", DEQUANTISED)
    runs = [
        seeded(order[0], *whole, primary=DEQUANTISED),
        seeded(order[1], "adapter", primary="adapter"),
    ]
    assert primary_variant(runs) == "adapter"
    first, second = entries(runs)
    assert (first.variant, first.primary, first.seeds) == ("adapter", True, (0, 1))
    assert (second.variant, second.primary) == (DEQUANTISED, False)
    assert (first.missing_seeds, second.missing_seeds) == ((), (1,) if order == (0, 1) else (0,))
    said = [note.en for note in notes(second)]
    assert said == [f"none for seed {second.missing_seeds[0]}"]
    assert len(costs(runs)) == 1
    both = [seeded(seed, *whole, primary=DEQUANTISED) for seed in (0, 1)]
    assert primary_variant(both) == DEQUANTISED
    assert primary_variant([]) == "main"


def test_what_a_kept_result_took_is_not_lost(study: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge that is killed costs the time of merging, not that of training before it."""
    monkeypatch.setattr(runner, "perform", slow_and_killed)
    record = only_run(study("both"))
    assert record.status == "done"
    assert record.measured["load"].seconds > 1.5  # it was made slow
    assert record.measured["lost"].seconds < 1.5


def slow_and_killed(request: Request, *, tell: Any) -> Work:
    """Take long for loading, and be killed while merging."""
    whole = work._Neural._load

    def load(*arguments: Any, **named: Any) -> Any:
        time.sleep(2)
        return whole(*arguments, **named)

    work._Neural._load = load  # type: ignore[method-assign]
    return killed(request, tell=tell)


class Killed(BaseException):
    """Stands for the death of the whole command."""


def test_a_command_that_dies_while_merging_ends_without_merged_forms(
    study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What kills the whole command leaves nobody to say so: the next ones count."""

    class Dies(Silent):
        def progress(self, index: int, progress: Progress) -> None:
            if progress.phase == "merge":
                raise Killed

    @contextmanager
    def without_an_end(notes: Notes) -> Iterator[None]:
        yield  # nobody is left to remove the trace

    file = study("both")
    for _ in range(CUTS):
        with monkeypatch.context() as patch:
            patch.setattr(Notes, "traced", without_an_end)
            with pytest.raises(Killed):
                run_study(file, out=file.parent / "out", listener=Dies())
    record = only_run(file)
    assert record.status == "done"
    assert forms(record) == ["adapter"]
    said = [event.message for event in record.events]
    reason = f"so it seems: the whole command was killed {CUTS} times at the same place"
    assert [f"{name} is missing: {reason}" for name in (DEQUANTISED, SIXTEEN)] == [
        message for message in said if " is missing: " in message
    ]
    assert not [message for message in said if "memory ran out" in message]
    assert all(known_in_persian(message) for message in said)


def test_verifying_says_that_a_form_cannot_be_made_any_more(
    study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = study("both")
    only_run(file)
    out = file.parent / "out"
    assert verify(out).verdict == "bit-equal"
    monkeypatch.setattr(runner, "perform", disk_full)
    found = verify(out)
    assert found.verdict == "failed"
    assert str(found.error).startswith(f"{DEQUANTISED} is missing: ")
    assert known_in_persian(str(found.error))


def test_verifying_compares_the_form_that_both_have(
    study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(runner, "perform", disk_full)
        file = study("both")
        assert forms(only_run(file)) == ["adapter", SIXTEEN]
    found = verify(file.parent / "out")  # the disk has room now
    assert found.verdict == "within noise"
    assert {one.answers for one in found.splits} == {0}


@pytest.mark.parametrize("absent", ["variants", "write_variant"])
def test_a_method_that_names_forms_and_cannot_write_them_is_refused(absent: str) -> None:
    whole = catalog.find_method("qlora-text")
    rule = "variants .* and write_variant must be given together"
    with pytest.raises(BadInput, match=rf"method qlora-text: {rule}, but got no {absent}"):
        dataclasses.replace(whole, **{absent: None})
