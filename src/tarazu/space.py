"""How much disk a study will take, before it starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tarazu.counting import count
from tarazu.errors import bad
from tarazu.models.cache import cache_root
from tarazu.models.count import BYTES_AS_SAVED
from tarazu.models.info import ModelInfo
from tarazu.record.progress import PlannedRun
from tarazu.study_file import Entry
from tarazu.tasks._task import Task
from tarazu.training.checkpoint import KEPT

# A record, its predictions and its explanation; the shipped studies take less than half of it.
_PER_RUN = 1 << 20
# Weights, two moments of Adam, and the weights of the best epoch.
_IN_A_CHECKPOINT = 4
# A merged model has 16 bits per parameter.
_MERGED = 2
_REMEDY = "Free some space (`tarazu clean DIR`), or choose another folder with --out."


@dataclass(frozen=True)
class Space:
    """Bytes that one run takes.

    Attributes:
        kept: Its record and what it trained.
        merged: Merged models, while they are evaluated. A run that has no room for them is done
            without.
        checkpoints: While it trains. It trains without them, if it must.
    """

    kept: int
    merged: int = 0
    checkpoints: int = 0


def space_of(entry: Entry, info: ModelInfo | None, task: Task) -> Space:
    """Estimate the space that a run of an entry takes, from counted parameters.

    Args:
        entry: The entry.
        info: Its model.
        task: Decides the number of classes of a head.
    """
    if info is None or not entry.method.trains:
        return Space(_PER_RUN)
    parameters = count(entry.method, info, task, entry.knobs)
    variants = entry.method.variants
    trained = BYTES_AS_SAVED * (parameters.trained + parameters.head)
    return Space(
        kept=_PER_RUN + trained,
        merged=_MERGED * parameters.total * len(variants(entry.knobs)) if variants else 0,
        # The next one is written before the oldest one goes.
        checkpoints=(KEPT + 1) * _IN_A_CHECKPOINT * trained,
    )


def total(runs: Sequence[Space]) -> int:
    """Return what runs take that are made one after the other."""
    passing = max((run.merged + run.checkpoints for run in runs), default=0)
    return sum(run.kept for run in runs) + passing


def check_space(
    folder: Path,
    runs: Iterable[PlannedRun],
    entries: Sequence[Entry],
    infos: Mapping[str, ModelInfo],
    task: Task,
    note: Callable[[str], None],
    *,
    states: int = 0,
) -> None:
    """Compare what planned runs will take with what is free, here and in the cache.

    Args:
        folder: The output folder; it exists.
        runs: The plan; what is finished takes no more. A trial keeps no weights there.
        entries: The study's entries.
        infos: Models by name.
        task: The task.
        note: Hears that the space will not do for all of them.
        states: Bytes that states of frozen layers may take in the cache.

    Raises:
        BadInput: Not even one of them fits.
    """
    due = [run for run in runs if not run.finished]
    disk = shutil.disk_usage(folder)
    if not due or disk.total == 0:  # some mounted drives do not say how large they are
        return
    named = {run.entry for run in due}
    by_entry = {
        entry.id: space_of(entry, infos[entry.model] if entry.model else None, task)
        for entry in entries
        if entry.id in named
    }
    spaces = [by_entry[run.entry] if run.stage == "final" else Space(_PER_RUN) for run in due]
    needed, least = total(spaces), min(space.kept for space in spaces)
    passing = _in_the_cache(due, by_entry, states)
    if disk.free < least:
        rule = f"needs about {_amount(least)} for the smallest run"
        raise bad(str(folder), rule, f"{_amount(disk.free)} free", _REMEDY)
    cache = _nearest(cache_root())
    if cache.stat().st_dev == folder.stat().st_dev:
        needed += passing
    elif (free := shutil.disk_usage(cache).free) < passing:
        note(
            f"The disk of the cache may fill up: checkpoints of trials and states of frozen layers "
            f"take up to {_amount(passing)}, {_amount(free)} are free. Runs go on without them."
        )
    if disk.free < needed:
        told = f" (up to {_amount(passing)} of it in the cache, for a while)" if passing else ""
        note(
            f"The disk may fill up: the runs to be made take about {_amount(needed)}{told}, "
            f"{_amount(disk.free)} are free. Finished runs are kept in any case."
        )


def _in_the_cache(due: Sequence[PlannedRun], by_entry: Mapping[str, Space], states: int) -> int:
    """Return the bytes that runs take in the cache until all choices are made.

    A trial leaves a checkpoint at each rung. States give way to what else is written.
    """
    trials = sum(by_entry[run.entry].checkpoints for run in due if run.stage == "trial")
    trained = any(by_entry[run.entry].checkpoints for run in due)
    return trials // (KEPT + 1) + (states if trained else 0)


def _nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def _amount(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
