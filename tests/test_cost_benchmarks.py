"""The benchmarks of checkpoints and of tuning: what they reckon from what they measured."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tarazu.record.progress import Silent
from tarazu.testing.tiny import nli_items, tiny_model, write_nli
from tarazu.training.checkpoint import State

STUDY = """
version: 1
study: tuned
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: test.csv, validation: {rows: 6}}
models: {bert: {source: ./bert}}
training: {epochs: 4, batch_size: 4, max_length: 100}
methods: {lora: {model: bert, r: 4}}
compute: {device: cpu, dtype: float32, threads: 1}
"""
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    names = ("growth", "overhead", "tuning")
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    for name in names:
        del sys.modules[name]


def test_overhead_is_told_as_ratio_and_as_share(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float | None] = []
    plain = iter([100.0, 200.0])
    kept = iter([101.0, 210.0])

    def run(work: Any, every: float | None) -> dict[str, Any]:
        asked.append(every)
        if every is None:
            return {"seconds": next(plain), "written": [], "bytes": 0}
        return {"seconds": next(kept), "written": [1.0, 0.5], "bytes": 5_000_000}

    monkeypatch.setattr(bench.overhead, "_in_own_process", run)
    work = replace(bench.overhead.WORKS["lora-squad"], examples=320)
    row = bench.overhead.measure(work, 2)
    assert asked == [None, 60.0, 60.0, None]  # in turns
    assert (row["ratio_min"], row["ratio_max"]) == (1.01, 1.05)
    assert row["share_max"] == pytest.approx(1.5 / 101, abs=1e-5)
    assert row["reached"] is True
    assert (row["checkpoints"], row["megabytes"]) == (2, 5.0)


def test_checkpoints_are_watched_while_they_are_written(
    bench: SimpleNamespace, tmp_path: Path
) -> None:
    watched = bench.overhead.Watched(tmp_path / "run", "me", every=0.0)
    for done in (1, 2):
        watched.save(State(done, {}, {"w": torch.ones(1000)}))
    assert len(watched.written) == 2
    assert all(seconds > 0 for seconds in watched.written)
    assert watched.size == 4000
    assert watched.latest(5).done == 2


@pytest.mark.slow
def test_a_tiny_study_is_tuned_both_ways(
    bench: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model(tmp_path / "bert", "bert")
    write_nli(tmp_path / "train.csv", nli_items(22, seed=1))
    write_nli(tmp_path / "test.csv", nli_items(6, seed=2))
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.setenv("TARAZU_LEDGER", "")  # put back afterwards
    words = [f"--study={tmp_path / 'study.yaml'}", "--trials=4", "--train-rows=8", "--only", "lora"]
    bench.tuning.main([*words, f"--out={tmp_path / 'out'}"])
    (row,) = json.loads((tmp_path / "out" / "tuning.json").read_text())
    assert (row["trials"], row["train_rows"]) == (4, 8)
    assert row["runs_with_pruning"] > 0
    assert row["chosen_with_pruning"] in range(4)
    assert row["score_without"] is not None
    assert row["score_without"] >= row["score_with_pruning"]


def trial(number: int, score: float, status: str = "done") -> Any:
    return SimpleNamespace(
        stage="trial",
        entry="lora",
        status=status,
        trial=SimpleNamespace(number=number),
        tuned=None,
        inputs={"train": SimpleNamespace(rows=600)},
        primary_metric="accuracy",
        variants=[SimpleNamespace(metrics={"accuracy": score})],
    )


def final(winner: int) -> Any:
    return SimpleNamespace(stage="final", entry="lora", tuned=SimpleNamespace(winner=winner))


def test_tuning_is_counted_in_whole_runs_and_judged_by_whole_trials(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(bench.tuning, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    pruned, whole = bench.tuning.Kept(), bench.tuning.Kept()
    assert isinstance(pruned, Silent)

    def make(kept: Any, one: Any, seconds: float) -> None:
        kept.started(0)
        now[0] += seconds
        kept.finished(0, one)
        now[0] += 100.0  # between two runs

    # Two trials for a quarter, one of them to the end.
    for one, took in ((trial(0, 0.4), 2.5), (trial(1, 0.5), 2.5), (trial(0, 0.6), 7.5)):
        make(pruned, one, took)
    make(pruned, final(0), 50.0)
    for one, took in ((trial(0, 0.6), 10.0), (trial(1, 0.7), 10.0), (final(1), 50.0)):
        make(whole, one, took)
    row = bench.tuning.row_of("lora", pruned, whole)
    assert (row["trials"], row["train_rows"], row["runs_with_pruning"]) == (2, 600, 1.25)
    assert (row["chosen_with_pruning"], row["chosen_without"]) == (0, 1)
    assert (row["score_with_pruning"], row["score_without"]) == (0.6, 0.7)
    assert row["score_of_defaults"] == 0.6


def test_memory_by_test_items_is_that_of_a_run_that_answers_all(
    bench: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model(tmp_path / "bert", "bert")
    monkeypatch.setattr(bench.growth, "WORDS", ("a", "b"))  # a token each for the tiny model, too
    models = {"bert": {"source": str(tmp_path / "bert")}}
    job = {"kind": "tests", "size": 40, "models": models, "threads": 1}
    point = bench.growth.run_point(job)
    assert point["answers"] == 40
    assert point["peak_bytes"] > 10_000_000
    (row,) = bench.growth.rows_of("tests", {40: point})
    assert (row["size"], row["unit"]) == (40, "GB")
    assert row["cost"] == point["peak_bytes"] / 1e9


def test_a_quick_run_leaves_out_the_largest_point_of_every_kind(bench: SimpleNamespace) -> None:
    for kind, sizes in bench.growth.POINTS.items():
        assert kind in bench.growth.TITLES
        assert list(sizes) == sorted(sizes)
        assert bench.growth.chosen(kind, None, quick=False) == sizes
        quick = bench.growth.chosen(kind, None, quick=True)
        assert quick == sizes[:-1]
        assert len(quick) > 1, "no slope"
        assert bench.growth.chosen(kind, 1, quick=True) == sizes[:1]
