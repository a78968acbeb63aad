"""Who may write to an output folder: one study, and the processes of its runs.

::

    .lock          held by the process that leads the study
    .runs.lock     held by it and handed to its runs, so that it is free when the last one is gone
    .holder.json   on a drive that other machines write to, see `tarazu.record.holder`

The kernel lets go of both when their holders die. A run of a killed study ends by itself, but not
in the same instant: the next study waits for it, so that nothing is written by both.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tarazu.errors import BadInput, bad
from tarazu.record.disk import is_of_the_disk

PATIENCE = 30.0
"""Seconds that runs of a killed study have to end: one may have to be loaded before it can."""
_AN_INSTANT = 0.5  # whoever asks for a study's status holds its lock so long
_ELSEWHERE = "Choose a folder on a local disk with --out, and copy it when the study has finished."


@contextmanager
def folder_lock(folder: Path) -> Iterator[int]:
    """Keep other studies out of a folder.

    Args:
        folder: It exists.

    Yields:
        A descriptor for the processes of runs to hold.

    Raises:
        BadInput: Another study has the folder, or its file system cannot keep anybody out.
        OSError: It cannot be written to.
    """
    with _opened(folder / ".lock") as lead:
        try:
            _wait(lead, folder, _AN_INSTANT, "another one that is still running")
        except OSError:
            raise _without_locks(folder) from None
        probe(folder)
        with _opened(folder / ".runs.lock") as runs:
            _wait(runs, folder, PATIENCE, "a run of a killed study that has not ended")
            yield runs


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _wait(descriptor: int, folder: Path, patience: float, holder: str) -> None:
    deadline = time.monotonic() + patience
    while not _locked(descriptor):
        if time.monotonic() > deadline:
            raise bad(
                str(folder),
                "only one process may write to an output folder at a time",
                holder,
                "Wait until it has finished, or choose another folder with --out.",
            )
        time.sleep(0.05)


def probe(folder: Path) -> None:
    """Make sure that a folder's file system has locks and moves things whole.

    Mounted cloud drives and some network file systems take everything and keep nothing of it.

    Args:
        folder: It exists.

    Raises:
        BadInput: It lacks one of them; names the folder.
        OSError: It cannot be written to.
    """
    place = folder / f".tmp-{uuid.uuid4().hex}"
    place.mkdir()
    try:
        if not _keeps_out(place / "lock"):
            raise _without_locks(folder)
        if not _moves_whole(place):
            rule = "must be on a file system that renames files and folders in one step"
            raise bad(str(folder), rule, "one that does not", _ELSEWHERE)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _without_locks(folder: Path) -> BadInput:
    return bad(str(folder), "must be on a file system with locks", "one without", _ELSEWHERE)


def _keeps_out(file: Path) -> bool:
    """Say whether a lock that is held keeps a second one out."""
    with _opened(file) as first, _opened(file) as second:
        try:
            return _locked(first) and not _locked(second)
        except OSError:  # no locks here at all
            return False


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _moves_whole(place: Path) -> bool:
    """Say whether a file replaces another, and a folder goes to its place with what it holds."""
    old, new = place / "old", place / "new"
    old.write_text("old")
    new.write_text("new")
    (place / "folder").mkdir()
    (place / "folder" / "file").write_text("inside")
    try:
        os.replace(new, old)
        os.replace(place / "folder", place / "moved")
    except OSError as error:
        if is_of_the_disk(str(error)):
            raise
        return False
    moved = (place / "moved" / "file").read_text() == "inside"
    return moved and old.read_text() == "new" and not new.exists()
