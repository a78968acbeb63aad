"""The benchmarks of padding, of `torch.compile` and of precision: what they count and reckon."""

from __future__ import annotations

import importlib
import itertools
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tarazu.work
from tarazu.testing.tiny import nli_items

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    names = ("padding", "compiled", "judged")
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    for name in names:
        del sys.modules[name]


@pytest.fixture
def tiny_work(bench: SimpleNamespace, tiny: Callable[[str], Path], tmp_path: Path) -> Any:
    """A work on a tiny encoder and made-up items: 8 examples, two updates."""
    prepare = importlib.import_module("side_by_side.prepare")
    source = {"group_by": "premise"}
    for name, count, seed in (("train", 60, 1), ("test", 20, 2)):
        file = tmp_path / f"{name}.jsonl"
        prepare._write(file, (prepare._row(item) for item in nli_items(count, seed=seed)))
        source[name] = str(file)
    work = bench.compiled.WORKS["full-nli-encoder"]
    return replace(
        work,
        task="corpus-nli",
        entries={"full": {"model": "tiny", "learning_rate": 1e-3}},
        training={**work.training, "batch_size": 4},
        examples=8,
        held_out=4,
        models={"tiny": {"source": str(tiny("bert"))}},
        source=source,
    )


def test_positions_and_scores_are_counted_by_hand(bench: SimpleNamespace) -> None:
    counted = bench.padding.counted([[4, 2, 2, 2], [3, 3]])
    assert (counted.positions, counted.tokens) == (16 + 6, 10 + 6)
    assert counted.cut == (4 + 6) + 6  # the long one by itself
    assert counted.scores == 4 * 16 + 2 * 9
    assert counted.exact == 16 + 3 * 4 + 2 * 9
    assert counted.padded == pytest.approx(6 / 22)
    assert counted.saved_by_cut == pytest.approx(6 / 22)
    assert counted.padded_scores == pytest.approx(36 / 82)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=9))
def test_a_cut_saves_no_more_than_packing_and_finds_the_best(
    bench: SimpleNamespace, rows: list[int]
) -> None:
    best = bench.padding.best_cut(rows)
    assert sum(rows) <= best <= len(rows) * max(rows)
    # Any two parts, not only those of like length.
    whole = len(rows) * max(rows)
    parts = [
        (
            [r for i, r in enumerate(rows) if n >> i & 1],
            [r for i, r in enumerate(rows) if ~n >> i & 1],
        )
        for n in range(1, 2 ** len(rows) - 1)
    ]
    tried = [len(one) * max(one) + len(other) * max(other) for one, other in parts]
    assert best == min([whole, *tried])


def test_batches_are_those_of_training(bench: SimpleNamespace) -> None:
    draw = random.Random(0)
    lengths = [draw.randint(1, 100) for _ in range(64)]
    now = bench.padding.batches_of(lengths, 8, [0, 1], buckets=True)
    plain = bench.padding.batches_of(lengths, 8, [0, 1], buckets=False)
    for batches in (now, plain):
        assert [len(rows) for rows in batches] == [8] * 16
        assert sorted(itertools.chain(*batches)) == sorted(lengths * 2)
    assert bench.padding.counted(now).padded < bench.padding.counted(plain).padded / 2


def test_padding_of_a_work_is_that_of_its_own_tokens(
    bench: SimpleNamespace, tiny_work: Any
) -> None:
    lengths = bench.padding.lengths_of(tiny_work)
    row = bench.padding.measure(tiny_work)
    assert len(lengths) == row["examples"] == 8
    assert row["tokens_max"] == max(lengths) > min(lengths)
    # Both batches of every seed: the longer four and the shorter four.
    ordered = sorted(lengths)
    positions = 4 * (ordered[3] + ordered[7])
    assert row["padded"] == pytest.approx(1 - sum(lengths) / positions, abs=1e-4)
    line = bench.padding.table([row]).splitlines()[-1]
    assert line.count("|") == len(bench.padding.COLUMNS) + 1


def fake(bench: SimpleNamespace, **times: tuple[float, float]) -> tuple[Any, list[Any]]:
    """Return a runner that takes seconds (all, compiling) by kernels and part, and what it did."""
    asked: list[Any] = []

    def run(work: Any, way: Any) -> Any:
        asked.append(way)
        seconds, compiling = times[f"{way.kernels}_{way.part}"]
        return bench.compiled.Trained(
            seconds, updates=10, loss=1.0, train_loss=2.0, compiling=compiling
        )

    return run, asked


def test_compiling_is_set_against_the_same_kernels_and_against_tarazu(
    bench: SimpleNamespace,
) -> None:
    run, asked = fake(
        bench,
        own_None=(100.0, 0.0),
        own_layers=(110.0, 20.0),
        apart_layers=(130.0, 20.0),
        plain_None=(200.0, 0.0),
        plain_layers=(160.0, 30.0),
    )
    work = bench.compiled.WORKS["full-squad"]
    own, apart, plain = bench.compiled.measure(work, 2, ["layers"], run)
    assert asked == [*asked[:5], *reversed(asked[:5])]  # in turns, turned round
    assert len(set(asked)) == 5
    assert (own["without"], own["with"], own["compiling"]) == (100.0, 110.0, 20.0)
    assert own["ratio_median"] == own["against_own_median"] == round(100 / 110, 3)
    assert own["pays_after_updates"] == 20  # an update takes 9 s instead of 10
    assert (apart["without"], apart["pays_after_updates"]) == (100.0, None)
    assert (plain["ratio_median"], plain["against_own_median"]) == (1.25, 0.625)
    assert plain["pays_after_updates"] is None


def test_a_failure_is_a_row_with_its_reason(bench: SimpleNamespace) -> None:
    def run(work: Any, way: Any) -> Any:
        broken = (way.kernels, way.part) == ("own", "model")
        return bench.compiled.Trained(
            1.0, 1, 1.0, 1.0, failed="BackendCompilerFailed: a | b" if broken else ""
        )

    rows = bench.compiled.measure(bench.compiled.WORKS["full-squad"], 1, ["model"], run)
    assert [row.get("failed") for row in rows] == ["BackendCompilerFailed: a | b", None, None]
    lines = bench.compiled.table(rows).splitlines()
    assert "failed: BackendCompilerFailed: a / b" in lines[2]
    assert {line.count("|") for line in lines} == {len(bench.compiled.COLUMNS) + 1}


@pytest.mark.parametrize(
    ("code", "err", "reason"),
    [(-9, "", "ended with -9: no word"), (1, "a\nno compiler \n\n", "ended with 1: no compiler")],
)
def test_a_process_that_dies_says_so(
    bench: SimpleNamespace, code: int, err: str, reason: str
) -> None:
    done = subprocess.CompletedProcess([], code, "", err)
    assert bench.compiled.read_answer(done).failed == reason
    kept = bench.compiled.Trained(3.0, 2)
    done = subprocess.CompletedProcess([], 0, f"noise\n{json.dumps(asdict(kept))}\n", "")
    assert replace(bench.compiled.read_answer(done), reasons=()) == kept


def test_newer_rows_replace_older_ones(bench: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "compiled.json"
    same = {"kernels": "own", "part": "model", "machine": "here"}
    old = {"work": "full-squad", "n": 1}
    file.write_text(json.dumps([same | old, same | old | {"machine": "there"}]))
    new = [same | {"work": work, "n": 2} for work in ("full-squad", "lora-squad")]
    kept = [(row["work"], row["machine"], row["n"]) for row in bench.compiled.merged(file, new)]
    assert kept == [
        ("lora-squad", "here", 2),
        ("full-squad", "here", 2),
        ("full-squad", "there", 1),
    ]


def test_the_design_note_has_the_columns_that_are_printed(bench: SimpleNamespace) -> None:
    note = (ROOT / "docs" / "design" / "fast-training.md").read_text(encoding="utf-8")
    for columns in (bench.compiled.COLUMNS, bench.padding.COLUMNS):
        assert f"| {' | '.join(columns)} |" in note


def test_training_goes_through_the_compiler_and_answering_does_not(
    bench: SimpleNamespace, tiny_work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a compiler that changes nothing, so that losses must be equal."""
    monkeypatch.setenv(bench.compiled.VARIABLE, ",".join(bench.compiled.KERNELS))
    seen: list[bool] = []

    def unchanged(graph: Any, inputs: Sequence[Any]) -> Any:
        def run(*states: Any) -> Any:
            seen.append(torch.is_grad_enabled())
            return graph(*states)

        return run

    usual = tarazu.work.fit
    without = bench.compiled.train(tiny_work, 1, None)
    assert (without.graphs, without.compiling, seen) == (0, 0.0, [])
    done = bench.compiled.train(tiny_work, 1, "layers", unchanged)
    assert seen
    assert all(seen)
    assert (done.updates, without.updates) == (2, 2)
    assert done.graphs > 0
    assert 0 < done.compiling < done.seconds
    # Of two updates, the median lies between them: half of what compiling added is beyond it.
    assert done.first > done.compiling / 4
    assert done.loss == pytest.approx(without.loss, abs=1e-4)
    assert tarazu.work.fit is usual


def test_weights_of_either_precision_are_judged_in_both(
    bench: SimpleNamespace, tiny_work: Any, tmp_path: Path
) -> None:
    usual = tarazu.work.fit
    calm = {"lora": {"model": "tiny", "learning_rate": 1e-2, "dropout": 0.0}}
    work = replace(tiny_work, entries=calm)
    rows = {(row["trained"], row["judged"]): row["loss"] for row in bench.judged.measure(work, 1)}
    assert len(rows) == 4
    prepared = bench.compiled.prepare(replace(work, dtype="float32"), [0], 1, tmp_path)
    request = bench.compiled.request_of(prepared, prepared.specs[0], tmp_path)
    done = bench.compiled.perform(request, tell=bench.compiled.Clock())
    assert rows["float32", "float32"] == pytest.approx(done.epochs[-1].validation_loss, abs=1e-4)
    # Weights of their own: what differs is more than how they are judged.
    assert len(set(rows.values())) == 4
    assert max(rows.values()) - min(rows.values()) < 0.1
    assert tarazu.work.fit is usual


def test_no_kernel_of_tarazu_is_compiled_where_they_are_left_apart() -> None:
    program = """
import sys
from types import SimpleNamespace
import compiled
compiled.leave_kernels()
from tarazu.models.fast import attention, dropout, low_rank, norm, rotary
kernels = (attention._Blocks, dropout._Drop, low_rank._Update, norm._Norm, rotary._Turn)
print([isinstance(kernel, SimpleNamespace) for kernel in kernels])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "benchmarks",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str([True] * 5)
