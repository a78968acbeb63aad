"""Freeing what can be computed again: checkpoints and leftovers; trained weights when asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tarazu.errors import bad
from tarazu.models.cache import trials_folder
from tarazu.record.aside import STALE
from tarazu.record.disk import told_plainly
from tarazu.record.standing import RUNNING
from tarazu.record.store import Store

WEIGHTS = "artifacts"


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
        everything: Trained weights of runs, and runs of other versions, too. The records, answers
            and reports of all others stay.

    Raises:
        BadInput: It is no output folder, or a record in it cannot be read.
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
        everything: Trained weights of runs, and runs of other versions, too.

    Returns:
        What was removed.

    Raises:
        BadInput: It is no output folder, a process has it, or it cannot be written to.
    """
    folder = Path(folder)
    freeable(folder)  # a folder that is no study's is not locked: that would write to it
    with Store(folder).lock(clear=False), told_plainly(folder):
        found = freeable(folder, everything=everything)
        for one in found:
            shutil.rmtree(one.path) if one.path.is_dir() else one.path.unlink()
    return found


def _found(folder: Path, everything: bool) -> Iterator[tuple[str, Path]]:
    store = Store(folder)
    yield "checkpoints of runs that were stopped", folder / "checkpoints"
    yield "checkpoints of trials, in the cache", trials_folder(folder)
    for place in store.leftovers():
        yield "left by a killed process", place
    yield "left by a killed process", folder / RUNNING
    if everything:
        yield "runs of other versions", folder / STALE
        for place in sorted((folder / "runs").glob(f"[!.]*/{WEIGHTS}")):
            yield "trained weights", place


def _size(path: Path) -> int:
    """Return the bytes of a file or a folder; what vanishes meanwhile has none."""
    files = [Path(parent, name) for parent, _, names in os.walk(path) for name in names]
    total = 0
    for file in files if path.is_dir() else [path]:
        with suppress(FileNotFoundError):
            total += file.lstat().st_size
    return total


def by_kind(found: list[Freed]) -> dict[str, int]:
    """Return bytes by what they were, in order of appearance."""
    kinds: dict[str, int] = {}
    for one in found:
        kinds[one.what] = kinds.get(one.what, 0) + one.bytes
    return kinds
