"""Two commits on the same work: turns, ratio, and that each runs its own code."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # programs and their parts, no package

from side_by_side import sides, works  # noqa: E402

before_after = importlib.import_module("before_after")
BEFORE = Path("/somewhere/before")


def test_both_codes_take_turns_and_the_ratio_says_how_much_faster_this_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []

    def ours(runner: Any, index: int) -> works.Side:
        is_before = runner.tree == BEFORE
        ran.append("before" if is_before else "after")
        return works.Side(seconds=3.0 if is_before else 2.0, examples=1, process_seconds=9.0)

    monkeypatch.setattr(before_after, "prepare", lambda *arguments: None)
    monkeypatch.setattr(sides.Runner, "ours", ours)
    work = works.WORKS["lora-squad"]
    pairs = before_after.measure(work, BEFORE, 3, 2)
    assert ran == ["before", "after", "after", "before", "before", "after"]
    assert [pair.first for pair in pairs] == ["before", "after", "before"]
    row = before_after.row_of(work, pairs, "abc1234")
    assert row["ratio"] == {"median": 1.5, "smallest": 1.5, "largest": 1.5}
    assert row["seconds_per_example"] == {"before": [3.0] * 3, "after": [2.0] * 3}
    assert row["before"] == "abc1234"


def test_each_side_imports_the_code_of_its_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[str], str]] = []

    def run(command: list[str], **named: Any) -> subprocess.CompletedProcess[str]:
        asked.append((command, named["env"]["PYTHONPATH"]))
        return subprocess.CompletedProcess(command, 0, '{"unavailable": "asked"}\n', "")

    monkeypatch.setattr(sides.subprocess, "run", run)
    for tree in (works.ROOT, tmp_path):
        runner = sides.Runner(None, 1, tree)  # type: ignore[arg-type]
        with pytest.raises(sides.Unavailable, match="asked"):
            runner._call([sys.executable, str(tree / sides.OURS)], {}, ours=True)
        command, path = asked[-1]
        assert command[1] == str(tree / "benchmarks" / "side_by_side" / "ours.py")
        assert path == str(tree / "src")
