"""`compute.deterministic` and `compute.threads` of a study file, and what they make of its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarazu.models.precision import Precision
from tarazu.record.key import content_key
from tarazu.record.spec import RunSpec
from tarazu.splits import load_splits
from tarazu.study import plan
from tarazu.study_file import load_study
from tarazu.testing.tiny import nli_items, write_nli

STUDY = """
version: 1
study: tiny
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: test.csv, validation: {rows: 6}}
methods: {majority: {}}
seeds: [3]
"""


def planned(folder: Path, device: str, threads: int, *overrides: str) -> RunSpec:
    study = load_study(folder / "study.yaml", overrides)
    splits = load_splits(study.spec.data, study.task, study.base)
    precision = Precision(device, "float32", threads)
    (spec,) = plan(study, study.entries, {}, splits, precision)
    return spec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_nli(tmp_path / "train.csv", nli_items(30, seed=1))
    write_nli(tmp_path / "test.csv", nli_items(6, seed=2))
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def test_it_reaches_the_runs_of_a_card_and_makes_others_of_them(folder: Path) -> None:
    asked = planned(folder, "cuda", 2, "compute.deterministic=true")
    without = planned(folder, "cuda", 2)
    assert (asked.deterministic, without.deterministic) == (True, False)
    assert content_key(asked) != content_key(without)


def test_on_the_cpu_it_changes_nothing(folder: Path) -> None:
    asked = planned(folder, "cpu", 2, "compute.deterministic=true")
    assert not asked.deterministic
    assert content_key(asked) == content_key(planned(folder, "cpu", 2))


@pytest.mark.parametrize(("device", "same"), [("cpu", False), ("cuda", True)])
def test_another_number_of_threads_makes_another_run_on_the_cpu_only(
    folder: Path, device: str, same: bool
) -> None:
    keys = {content_key(planned(folder, device, threads)) for threads in (2, 8)}
    assert len(keys) == (1 if same else 2)
