"""One study per folder, also when the one before was killed and its run has not ended yet."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tarazu.errors import BadInput
from tarazu.processes import handing_on, in_own_process
from tarazu.record import lock
from tarazu.record.store import Store

# Leads a study whose run hears no word of its parent's death, until it is let go.
LEADER = """
import os, pathlib, sys, time
sys.path.insert(0, sys.argv[2])
import test_lock
from tarazu.processes import handing_on, in_own_process
from tarazu.record.store import Store
with Store(pathlib.Path(sys.argv[1])).lock() as held, handing_on(held):
    in_own_process(test_lock.stay, sys.argv[1] + "/pid", tell=print)
"""


def stay(note: str, *, tell: Any) -> None:
    """Write down this process's id and stop, as one that waits for a disk."""
    Path(note).write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def killed_leader(folder: Path) -> int:
    """Kill a study whose run is stopped; return the run's process id."""
    here = str(Path(__file__).parent)
    leader = subprocess.Popen([sys.executable, "-c", LEADER, str(folder), here])
    for _ in range(600):
        if (folder / "pid").exists() and (folder / "pid").read_text():
            break
        time.sleep(0.1)
    leader.kill()
    leader.wait()
    return int((folder / "pid").read_text())


def test_a_run_keeps_the_folder_when_its_study_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves: both files of the leader are closed, that of its run is not."""
    note, go_on = tmp_path / "note", tmp_path / "go on"
    ended: list[str] = []

    def lead() -> None:
        with handing_on(held):
            ended.append(in_own_process(until, str(note), str(go_on), tell=print))

    with Store(tmp_path).lock() as held:
        leader = threading.Thread(target=lead)
        leader.start()
        while not note.exists():
            time.sleep(0.01)
    monkeypatch.setattr(lock, "PATIENCE", 0.2)
    with pytest.raises(BadInput, match="a run of a killed study"), Store(tmp_path).lock():
        pytest.fail("both could write")
    monkeypatch.setattr(lock, "PATIENCE", 30.0)
    threading.Timer(0.3, go_on.touch).start()
    with Store(tmp_path).lock():
        assert go_on.exists()
    leader.join()
    assert ended == ["over"]


def until(note: str, go_on: str, *, tell: Any) -> str:
    """Say that work has begun, and end it when told."""
    Path(note).touch()
    while not Path(go_on).exists():
        time.sleep(0.01)
    return "over"


def test_two_studies_in_two_threads_hand_on_their_own_folder_only(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    note, go_on = tmp_path / "note", tmp_path / "go on"

    def lead() -> None:
        with Store(first).lock() as held, handing_on(held):
            in_own_process(until, str(note), str(go_on), tell=print)

    with Store(second).lock() as held, handing_on(held):
        leader = threading.Thread(target=lead)
        leader.start()
        while not note.exists():
            time.sleep(0.01)
    with Store(second).lock():  # although a run of the first one lives
        go_on.touch()
    leader.join()


def test_a_second_study_stops_with_a_word_and_touches_nothing(tmp_path: Path) -> None:
    with Store(tmp_path).lock():
        (tmp_path / ".tmp-at-work").mkdir()
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(BadInput, match="another one that is still running") as error:
            Store(tmp_path).lock().__enter__()
        assert "or choose another folder with --out" in str(error.value)
        assert sorted(tmp_path.rglob("*")) == before
    with Store(tmp_path).lock():
        assert not (tmp_path / ".tmp-at-work").exists()


@pytest.mark.slow
def test_a_killed_study_is_followed_when_its_last_run_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = killed_leader(tmp_path)
    try:
        monkeypatch.setattr(lock, "PATIENCE", 0.3)
        with (
            pytest.raises(BadInput, match="a run of a killed study that has not ended"),
            Store(tmp_path).lock(),
        ):
            pytest.fail("both could write")
        monkeypatch.setattr(lock, "PATIENCE", 60.0)
        timer = threading.Timer(0.5, os.kill, (orphan, signal.SIGCONT))
        timer.start()
        with Store(tmp_path).lock():  # it ends by itself once it runs again
            pass
        timer.join()
    finally:
        with suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)


def test_a_folder_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    for lacking in (none, lambda descriptor, how: None):  # refuses, or pretends
        monkeypatch.setattr(fcntl, "flock", lacking)
        with pytest.raises(BadInput, match="must be on a file system with locks") as error:
            lock.probe(tmp_path)
        assert str(tmp_path) in str(error.value)
        with pytest.raises(BadInput, match="must be on a file system with locks"):
            Store(tmp_path).lock().__enter__()
        (tmp_path / ".lock").unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_whole_renames_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(old: Path, new: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    def copied(old: Path, new: Path) -> None:
        if old.is_file():
            new.write_bytes(old.read_bytes())
        else:
            (new / "file").parent.mkdir()
            (new / "file").write_text("inside")

    for odd in (refused, copied):
        monkeypatch.setattr(os, "replace", odd)
        with pytest.raises(BadInput, match="renames files and folders in one step"):
            lock.probe(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_ordinary_folder_passes(tmp_path: Path) -> None:
    lock.probe(tmp_path)
    assert list(tmp_path.iterdir()) == []
