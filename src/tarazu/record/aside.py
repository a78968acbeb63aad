"""Runs of other package versions: set aside where no report sees them, and taken up again.

::

    stale/<run>-<versions>/     as it stood in ``runs/``; nothing is deleted

Every move is one rename: a process that is killed leaves each run in one of the two places.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from tarazu.errors import BadInput
from tarazu.record.disk import make_folder, sync
from tarazu.record.record import RunRecord
from tarazu.record.store import RECORD, Store, read_record

STALE = "stale"


def set_aside(store: Store, entries: Collection[str]) -> list[RunRecord]:
    """Move runs that were made with other package versions out of the reports' sight.

    Args:
        store: The output folder, which knows the versions that are asked for; it is locked.
        entries: Only runs of these.

    Returns:
        The records that were moved; none where the store takes every version.

    Raises:
        BadInput: The folder cannot be written to, or a record cannot be read.
    """
    found = [r for r in store.records() if r.entry in entries and not store.fresh(r)]
    for record in found:
        _hide(store, record)
    return found


def bring_back(store: Store, entries: Collection[str]) -> list[RunRecord]:
    """Move runs back whose versions are asked for again and that were not made since.

    Args:
        store: The output folder; it is locked.
        entries: Only runs of these.

    Returns:
        The records that are used again; of several versions of a run the one made last.

    Raises:
        BadInput: The folder cannot be written to.
    """
    back = []
    for record, place in sorted(_aside(store), key=lambda one: one[0].finished or "", reverse=True):
        usable = record.entry in entries and record.status == "done" and store.fresh(record)
        if not usable:
            continue
        target = store.run_folder(record)
        if target.exists():
            present = read_record(target / RECORD)
            if present.status == "done":
                continue
            _hide(store, present)
        _move(store, place, target)
        back.append(record)
    return back


def _aside(store: Store) -> Iterator[tuple[RunRecord, Path]]:
    for file in sorted((store.folder / STALE).glob(f"*/{RECORD}")):
        with suppress(BadInput):  # of a schema that is gone: it stays where it is
            yield read_record(file), file.parent


def _hide(store: Store, record: RunRecord) -> None:
    place = store.run_folder(record)
    name = f"{place.name}-{record.environment.hash[:12]}"
    _move(store, place, _free(store.folder / STALE / name))


def _move(store: Store, source: Path, target: Path) -> None:
    with store.writing():
        make_folder(target.parent)
        os.replace(source, target)
        sync(target.parent)
        sync(source.parent)


def _free(place: Path) -> Path:
    """Return a path at which nothing stands: what was set aside before is not replaced."""
    taken = 1
    free = place
    while free.exists():
        taken += 1
        free = place.with_name(f"{place.name}-{taken}")
    return free
