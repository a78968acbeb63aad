"""Thirty kills of tiny studies; `make faults` makes more and writes what it found."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kills
from ready import Ready


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_again_and_again_studies_end_with_the_same_bytes(tmp_path: Path) -> None:
    kills.make_tiny(tmp_path)
    found = kills.Found()
    with Ready(kills.HOOKED) as ready:
        kills.feed(kills.Place(tmp_path, ready), 30, 7, found)
    assert found.wrong == []
    assert found.kills.total() == 30
    assert found.stories >= 4
    assert found.in_training >= 6
    assert {"qlora-text", "tuning of lora"} <= {study for study, _ in found.runs}
    assert {kind for kind, _, _ in found.kills} == set(kills.KINDS)
    assert {whom for _, _, whom in found.kills} == set(kills.WHOM)


class Told:
    """Stands for a place whose studies end as they are told to."""

    def __init__(self, folder: Path, codes: list[int], left: list[str]) -> None:
        self.folder, self.codes, self._left = folder, codes, left

    def whole(self, asked: Any) -> dict[str, Any]:
        return {"runs/a/record.json": {"f1": 1}}

    def plan(self, asked: Any, dice: random.Random) -> dict[str, Any]:
        return {"kind": "point", "whom": "study", "place": "records"}

    def give(self, asked: Any, out: Path, plan: Any) -> None:
        return None

    def kill(self, process: None, plan: Any) -> int:
        return self.codes.pop(0)

    def goes_on(self, out: Path) -> bool:
        return True

    def left(self, out: Path) -> list[str]:
        return self._left

    def died_in(self) -> str:
        return "lora, final"

    def said(self) -> str:
        return "Traceback"

    def clear(self, out: Path) -> None:
        pass


@pytest.mark.parametrize(
    ("codes", "ended", "left", "wrong"),
    [
        ([-9, -9, 0], {"runs/a/record.json": {"f1": 1}}, [], []),
        ([-9, 0], {"runs/a/record.json": {"f1": 2}}, [], ["differs after 1 kills"]),
        ([-9, 0], {}, [], ["differs after 1 kills"]),
        ([0], {"runs/a/record.json": {"f1": 1}, "runs/b/x": b""}, [], ["runs/b/x differs"]),
        ([-9, 0], {"runs/a/record.json": {"f1": 1}}, ["state.json"], ["state.json is left"]),
        ([-9, 1], {}, [], ["exit code 1: Traceback"]),
        ([-11], {}, [], ["exit code -11"]),
    ],
)
def test_what_is_wrong_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    codes: list[int],
    ended: dict[str, Any],
    left: list[str],
    wrong: list[str],
) -> None:
    monkeypatch.setattr(kills, "contents", lambda folder: ended)
    found = kills.Found()
    dead = codes.count(-9)
    kills.tell_story(Told(tmp_path, codes, left), kills.TINY_STUDIES[0], 5, random.Random(0), found)
    assert found.kills.total() == dead
    assert len(found.wrong) == len(wrong)
    for one, said in zip(found.wrong, wrong, strict=True):
        assert said in one


@pytest.mark.slow
def test_a_forked_command_can_be_killed_at_once(tmp_path: Path) -> None:
    """Its processes are a group of their own from the moment on that its number is known."""
    with kills.Ready(kills.HOOKED) as ready:
        for _ in range(50):
            command = ready.give("import time\ntime.sleep(60)", [], tmp_path, {})
            os.killpg(command.pid, signal.SIGKILL)
            assert command.wait(timeout=60) == -signal.SIGKILL


def test_what_checkpoints_leave_behind_is_seen(tmp_path: Path) -> None:
    place = kills.Place(tmp_path)
    assert place.left(tmp_path / "out") == []
    for name in ("out/checkpoints/a/1/state.json", "cache/trials/b/weights.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert len(place.left(tmp_path / "out")) == 2


def test_where_the_power_fails_what_was_not_synced_is_cut(tmp_path: Path) -> None:
    place = kills.Place(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    for name in ("synced", "changed since", "never"):
        (out / name).write_bytes(b"x" * 100)
    lines = []
    for name in ("synced", "changed since"):
        found = (out / name).stat()
        lines.append(f"synced\t{found.st_ino}\t{found.st_mtime_ns - (name != 'synced')}\n")
    (tmp_path / "log").write_text("".join(lines))
    assert not place.goes_on(out)
    assert place.cut(out, 0.0, random.Random(0)) == 2
    assert (out / "synced").stat().st_size == 100
    assert (out / "changed since").stat().st_size < 100
    assert (out / "never").stat().st_size < 100
    assert place.cut(out, (out / "never").stat().st_mtime + 10, random.Random(0)) == 0
