"""Disks that fail under tiny studies; `make faults` tells more stories and writes what it found."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import errors
from errors import Disk, Ended, Fault
from ready import Ready
from stories import HOOKED, TINY_STUDIES, Asked, make_tiny

# One of each way, without the large ones.
SMALL = [one for one in TINY_STUDIES[1:] if one.name != "tuning of last-k"]
FULL = Fault("records", "write", 2, errno.ENOSPC, "once")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return errors.build(tmp_path_factory.mktemp("library"))
    except FileNotFoundError as error:
        pytest.skip(f"NOT TESTED: disks that fail. No C compiler here: {error}")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_the_disk_refuses_nothing_is_lost_and_the_word_is_clear(
    tmp_path: Path, library: Path
) -> None:
    make_tiny(tmp_path)
    found = errors.Found()
    with Ready({**HOOKED, "LD_PRELOAD": str(library)}) as ready:
        errors.feed(Disk(tmp_path, library, ready), 16, 7, found, SMALL)
    assert found.wrong == []
    assert found.stories == 16
    assert found.faults.total() >= 14
    assert {did for _, _, did in found.faults} == {"stopped", "went on"}


WRITES = """
import os, shutil, sys
from pathlib import Path
folder = Path(sys.argv[1])
def tell(work):
    try:
        work()
    except OSError as error:
        print(error.errno)
    else:
        print("done")
tell(lambda: (folder / "runs").mkdir())
tell(lambda: (folder / "runs" / ".tmp-a").mkdir())
tell(lambda: (folder / "runs" / ".tmp-a" / "b").write_bytes(b"12345678"))
tell(lambda: os.rename(folder / "runs" / ".tmp-a", folder / "runs" / "a"))
tell(lambda: (folder / "study.json").write_bytes(b"12345678"))
tell(lambda: os.fsync(os.open(folder / "study.json", os.O_RDONLY)))
tell(lambda: shutil.rmtree(folder / "runs"))
"""


@pytest.fixture
def write(tmp_path: Path, library: Path) -> Any:
    """A function that writes to a disk that fails, and what came of each step."""
    folder = tmp_path / "out"

    def do(fault: Fault | None) -> tuple[list[str], errors.Plan]:
        folder.mkdir()
        file = tmp_path / "plan"
        file.write_bytes(bytes(errors._plan(fault, [folder])))
        variables = {"LD_PRELOAD": str(library), "TARAZU_REFUSING": str(file)}
        done = subprocess.run(
            [sys.executable, "-c", WRITES, str(folder)],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split(), errors.Plan.from_buffer_copy(file.read_bytes())

    return do


def test_a_disk_that_works_is_watched(write: Any) -> None:
    steps, plan = write(None)
    assert steps == ["done"] * 7
    assert bytes(errors._raw(plan)) == b"a\0"
    counts = {
        (name, operation): plan.counts[i][j]
        for i, (_, name) in enumerate(errors.KINDS)
        for j, operation in enumerate(errors.OPERATIONS)
        if plan.counts[i][j]
    }
    assert counts["study", "fsync"] == counts["study", "write"] == 1
    assert counts["records", "write"] == counts["records", "rename"] == 1
    assert counts["records", "remove"] == 2  # "runs" itself is none
    assert plan.fired == 0


@pytest.mark.parametrize(
    ("fault", "steps"),
    [
        (("records", "write", 1, errno.EIO, "once"), "done done 5 done done done done"),
        (("records", "open", 1, errno.ENOSPC, "disk"), "done done 28 done 28 2 done"),
        (("records", "rename", 1, errno.EROFS, "disk"), "done done done 30 30 2 30"),
        (("study", "fsync", 1, errno.EIO, "kind"), "done done done done done 5 done"),
        (("records", "mkdir", 1, errno.ENOSPC, "kind"), "done 28 2 2 done done done"),
        (("study", "mkdir", 1, errno.ENOSPC, "once"), "28 2 2 2 done done 2"),
        (("records", "remove", 1, errno.EIO, "once"), "done done done done done done 5"),
    ],
)
def test_what_is_asked_for_is_refused(
    write: Any, tmp_path: Path, fault: tuple[Any, ...], steps: str
) -> None:
    said, plan = write(Fault(*fault))
    assert said == steps.split()
    assert plan.fired == 1
    if fault[:2] == ("records", "write"):
        assert not (tmp_path / "out" / "runs").exists()
        assert b"/runs/.tmp-a/b" in plan.fired_at


def test_a_refused_write_leaves_half_of_it(write: Any, tmp_path: Path) -> None:
    write(Fault("study", "write", 1, errno.ENOSPC, "once"))
    assert (tmp_path / "out" / "study.json").read_bytes() == b"1234"


def test_the_plan_is_as_large_here_as_there() -> None:
    assert ctypes.sizeof(errors.Plan) == 4 * 7 + 400 + 4 * 400 + 16 * 32 + 16 * 6 * 4 + 65536


class Told:
    """Stands for a disk whose commands end as they are told to."""

    def __init__(self, out: Path, ends: list[Ended], ended: list[dict[str, Any]]) -> None:
        self.out, self.ends, self.ended = out, ends, ended

    def whole(self, asked: Asked) -> dict[str, Any]:
        return {"runs/a/x": b"1", "runs/b/x": b"2"}

    def give(self, asked: Asked, fault: Fault | None) -> Ended:
        self.now = self.ended.pop(0)
        return self.ends.pop(0)

    def left(self) -> list[str]:
        return []

    def clear(self) -> None:
        pass


WHOLE = {"runs/a/x": b"1", "runs/b/x": b"2"}
PYTHONS = f'{errors.TRACEBACK}\n  File "util.py", line 300, in _run_finalizers\n    finalizer()\n'
CLEAR = "{out}: must be writable, there is no space left. Free some and run again"


@pytest.mark.parametrize(
    ("code", "said", "stored", "after", "again", "wrong"),
    [
        (2, CLEAR, {"a"}, {"runs/a/x": b"1"}, WHOLE, []),
        (0, "", {"a", "b"}, WHOLE, WHOLE, []),
        (0, "", {"a"}, {"runs/a/x": b"1"}, WHOLE, ["runs/b/x differs"]),
        (2, CLEAR, {"a"}, {}, WHOLE, ["runs/a/x differs"]),
        (2, CLEAR, {"a"}, {"runs/a/x": b"3"}, WHOLE, ["runs/a/x differs"]),
        (2, CLEAR, set(), {}, {"runs/a/x": b"1"}, ["then none: runs/b/x differs"]),
        (2, errors.TRACEBACK + CLEAR, set(), {}, WHOLE, ["a traceback"]),
        (2, CLEAR + PYTHONS, set(), {}, WHOLE, []),
        (2, CLEAR + PYTHONS + errors.TRACEBACK, set(), {}, WHOLE, ["a traceback"]),
        (1, CLEAR, set(), {}, WHOLE, ["exit code 1"]),
        (2, CLEAR.format(out="somewhere"), set(), {}, WHOLE, ["no path"]),
        (2, "{out}: Input/output error, run again", set(), {}, WHOLE, ["no cause"]),
        (2, "{out}: there is no space left", set(), {}, WHOLE, ["no remedy"]),
    ],
)
def test_what_is_wrong_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    said: str,
    stored: set[str],
    after: dict[str, bytes],
    again: dict[str, bytes],
    wrong: list[str],
) -> None:
    first = Ended(code, said.format(out=tmp_path), "runs/b", frozenset(stored))
    disk = Told(tmp_path / "out", [first, Ended(0, "", "", frozenset())], [after, again])
    monkeypatch.setattr(errors, "results", lambda folder: disk.now)
    found = errors.Found()
    errors.tell_story(disk, TINY_STUDIES[0], [FULL], found)
    assert len(found.wrong) == len(wrong)
    for one, expected in zip(found.wrong, wrong, strict=True):
        assert expected in one
    did = "went on" if code == 0 else "stopped"
    assert found.faults == {("records", "write", did): 1}


@pytest.mark.parametrize(
    ("code", "place", "operation", "spread", "file", "wrong"),
    [
        (0, "records", "fsync", "once", "out/runs/.tmp-1", ["may not be on the disk"]),
        (0, "ledger", "fsync", "kind", "out/ledger.jsonl", ["may not be on the disk"]),
        (0, "ledger", "fsync", "kind", "user/ledger.jsonl", []),
        (0, "checkpoints", "fsync", "kind", "out/checkpoints/a", []),
        (2, "checkpoints", "fsync", "kind", "out/checkpoints/a", ["could have done without"]),
        (2, "checkpoints", "fsync", "disk", "out/checkpoints/a", []),
        (2, "tables of tokens", "write", "once", "cache/states/tokens/a", ["done without"]),
        (2, "records", "write", "once", "out/runs/.tmp-1", []),
    ],
)
def test_what_can_be_done_without_stops_nothing_and_what_cannot_does(
    tmp_path: Path,
    code: int,
    place: str,
    operation: str,
    spread: str,
    file: str,
    wrong: list[str],
) -> None:
    ended = Ended(code, CLEAR.format(out=tmp_path), str(tmp_path / file), frozenset())
    found = errors.complaints(
        ended, Fault(place, operation, 1, errno.ENOSPC, spread), tmp_path / "out"
    )
    assert len(found) == len(wrong)
    for one, expected in zip(found, wrong, strict=True):
        assert expected in one
