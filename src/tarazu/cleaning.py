"""Freeing what can be computed again: checkpoints, leftovers, runs set aside, trained weights."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tarazu.errors import bad
from tarazu.models.cache import cache_root
from tarazu.record.disk import told_plainly
from tarazu.record.standing import RUNNING
from tarazu.record.store import STALE, Store

WEIGHTS = "artifacts"
_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Freed:
    """Something that can be freed.

    Attributes:
        what: In words.
        path: Where it is.
        bytes: Its size.
    """

    what: str
    path: Path
    bytes: int


def freeable(folder: str | Path, *, everything: bool = False) -> list[Freed]:
    """Return what can be freed; nothing is removed.

    Args:
        folder: The output folder of a study.
        everything: Trained weights of runs, too. Their records, answers and reports stay.

    Raises:
        BadInput: It is no output folder.
    """
    folder = Path(folder)
    if not any((folder / name).exists() for name in ("study.json", "runs")):
        rule = "must be the output folder of a study"
        raise bad(str(folder), rule, "no study in it", "Give the folder that --out named.")
    return [
        Freed(what, path, _size(path))
        for what, path in _found(folder, everything)
        if path.exists() and not path.is_symlink()
    ]


def clean(folder: str | Path, *, everything: bool = False) -> list[Freed]:
    """Remove what can be computed again.

    Args:
        folder: The output folder of a study.
        everything: Trained weights of runs, too.

    Returns:
        What was removed.

    Raises:
        BadInput: It is no output folder, a process has it, or it cannot be written to.
    """
    folder = Path(folder)
    freeable(folder)  # a folder that is no study's is not locked: that would write to it
    store = Store(folder)
    with store.lock(clear=False), told_plainly(folder):
        found = freeable(folder, everything=everything)
        for one in found:
            shutil.rmtree(one.path) if one.path.is_dir() else one.path.unlink()
    return found


def _found(folder: Path, everything: bool) -> Iterator[tuple[str, Path]]:
    yield "checkpoints", folder / "checkpoints"
    for parent in (folder, folder / "runs", folder / "data"):
        for place in sorted(parent.glob(".tmp-*")):
            yield "left by a killed process", place
    yield "left by a killed process", folder / RUNNING
    yield "runs of other versions", folder / STALE
    # Trials are named by their content keys alone: whose they are cannot be told.
    for place in sorted((cache_root() / "trials").glob("*")):
        if not _is_fresh(place):
            yield "checkpoints of trials", place
    if everything:
        for place in sorted((folder / "runs").glob(f"[!.]*/{WEIGHTS}")):
            yield "trained weights", place


def _is_fresh(place: Path) -> bool:
    """Tell whether another study may be training there right now: it was written to today."""
    times = [path.lstat().st_mtime for path in (place, *place.glob("*"))]
    return time.time() - max(times) < _DAY


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    files = (file for file in path.rglob("*") if file.is_symlink() or file.is_file())
    return sum(file.lstat().st_size for file in files)


def by_kind(found: list[Freed]) -> dict[str, int]:
    """Return bytes by what they were, in order of appearance."""
    kinds: dict[str, int] = {}
    for one in found:
        kinds[one.what] = kinds.get(one.what, 0) + one.bytes
    return kinds
