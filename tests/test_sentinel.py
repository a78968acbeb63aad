"""A recorded run made again: bit-equal, within noise, or drifted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tarazu.cli import app
from tarazu.comparison.sameness import Changed, Verification
from tarazu.errors import BadInput
from tarazu.record.store import Store
from tarazu.sentinel import verify
from tarazu.study import run_study
from tarazu.testing.records import make_record
from tarazu.testing.tiny import nli_items, tiny_model, write_nli

STUDY = """
version: 1
study: tiny
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: {near: near.csv, far: far.csv}, validation: {rows: 6}}
models: {bert: {source: ./bert}}
training: {epochs: 1, batch_size: 4, max_length: 100}
methods:
  majority: {}
  lora: {model: bert, r: 4}
  full: {model: bert, epochs: 2}
seeds: [3]
compute: {device: cpu, dtype: float32, threads: 1}
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    tiny_model(folder / "bert", "bert")
    for seed, (name, rows) in enumerate({"train": 30, "near": 8, "far": 6}.items()):
        write_nli(folder / f"{name}.csv", nli_items(rows, seed=seed))
    (folder / "study.yaml").write_text(STUDY)
    run_study(folder / "study.yaml", out=folder / "out")
    return folder


@pytest.fixture
def ran(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def change_record(folder: Path, entry: str, **changes: object) -> None:
    (file,) = folder.glob(f"out/runs/{entry}-*/record.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_the_same_packages_give_the_same_bits(ran):
    found = verify(ran / "out", entry="lora")
    assert found.differs == ()
    assert found.verdict == "bit-equal"
    assert found.packages == {}
    assert [one.split for one in found.splits] == ["near", "far"]
    assert all(one.answers == 0 and one.before == one.after for one in found.splits)


def test_two_studies_give_records_that_differ_in_time_only(ran, tmp_path):
    run_study(ran / "study.yaml", out=tmp_path / "again")
    first, second = Store(ran / "out"), Store(tmp_path / "again")
    for record in first.records():
        again = second.find(record.key)
        old, new = (
            one.model_dump_json(exclude={"measured", "finished"}) for one in (record, again)
        )
        assert old == new
        folder, other = first.run_folder(record), second.run_folder(again)
        files = [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()]
        assert len(files) >= 2
        for name in files:
            if name.name != "record.json":
                assert (folder / name).read_bytes() == (other / name).read_bytes(), name


def test_the_cheapest_run_that_trains_is_the_sentinel(ran):
    assert verify(ran / "out").record.entry == "lora"


def test_other_weights_are_told_though_the_answers_are_the_same(ran):
    record = json.loads(next(ran.glob("out/runs/lora-*/record.json")).read_text())
    record["artifacts"][0]["sha256"] = "0" * 64
    change_record(ran, "lora", artifacts=record["artifacts"])
    found = verify(ran / "out", entry="lora")
    assert found.verdict == "within noise"
    assert found.differs == (record["artifacts"][0]["path"],)


def test_packages_that_changed_are_named(ran):
    record = json.loads(next(ran.glob("out/runs/lora-*/record.json")).read_text())
    environment = record["environment"]
    environment["packages"]["torch"] = "1.0"
    change_record(ran, "lora", environment=environment)
    ((name, (then, _)),) = verify(ran / "out", entry="lora").packages.items()
    assert (name, then) == ("torch", "1.0")


def test_changed_data_are_no_drift(ran):
    write_nli(ran / "near.csv", nli_items(8, seed=99))
    with pytest.raises(BadInput, match=r"data\.near.*other rows"):
        verify(ran / "out", entry="lora")


def test_a_changed_model_is_no_drift(ran):
    config = ran / "bert" / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(BadInput, match=r"models\.bert"):
        verify(ran / "out", entry="lora")


def test_unknown_runs_are_bad_input(ran):
    with pytest.raises(BadInput, match="lora"):
        verify(ran / "out", entry="lorra")
    with pytest.raises(BadInput, match=r"\[3\]"):
        verify(ran / "out", entry="lora", seed=4)


@pytest.mark.parametrize(("after", "noise"), [(0.70, True), (0.68, True), (0.60, False)])
def test_noise_is_what_other_items_could_show(after, noise):
    change = Changed("test", "accuracy", 0.70, after, error=0.02, answers=9, items=100)
    assert change.noise is noise


def test_the_command_says_it_in_both_languages(ran):
    shown = CliRunner().invoke(app, ["verify", str(ran / "out"), "--entry", "majority"])
    assert shown.exit_code == 0
    assert "majority, seed 3: bit-equal" in shown.stdout
    assert "No package has changed." in shown.stdout
    persian = CliRunner().invoke(
        app, ["verify", str(ran / "out"), "--entry", "majority", "--lang", "fa"]
    )
    assert "بیت‌به‌بیت یکسان" in persian.stdout


@pytest.mark.parametrize(
    ("device", "deterministic", "verdict", "rounds"),
    [
        ("cpu", False, "within noise", False),
        ("cuda", False, "within noise", True),
        ("cuda", False, "drifted", True),
        ("cuda", False, "bit-equal", False),
        ("cuda", False, "failed", False),
        ("cuda", True, "within noise", False),
        ("cuda", True, "drifted", False),
    ],
)
def test_on_a_card_a_difference_of_rounding_is_expected_and_said(
    device: str, deterministic: bool, verdict: Any, rounds: bool
) -> None:
    record = make_record("lora")
    spec = record.spec.model_copy(update={"device": device, "deterministic": deterministic})
    record = record.model_copy(update={"spec": spec})
    found = Verification(record, verdict, {}, (), ("predictions",))
    for language in ("en", "fa"):
        said = found.sentence().in_(language)
        assert ("CUDA" in said) is rounds
        assert ("compute.deterministic" in said) is rounds
