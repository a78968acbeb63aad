"""What trials took. One that goes on at the next rung brings the seconds of the rungs before."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tarazu.record.key import training_name

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord


def trial_seconds(trials: Iterable[RunRecord]) -> float:
    """Return the seconds that trials took together, those of a training that went on counted once.

    Args:
        trials: Records of trials, in any order; the rungs of one are known by their training.
    """
    trainings: dict[str, list[RunRecord]] = defaultdict(list)
    for trial in trials:
        trainings[training_name(trial.spec)].append(trial)
    return sum(_seconds(rungs) for rungs in trainings.values())


def _seconds(rungs: list[RunRecord]) -> float:
    rungs = sorted(rungs, key=lambda rung: rung.spec.share)
    total = sum(phase.seconds for rung in rungs for phase in rung.measured.values())
    return total - sum(itertools.starmap(_twice, itertools.pairwise(rungs)))


def _twice(lower: RunRecord, upper: RunRecord) -> float:
    """Return the seconds of training that both records count.

    The upper one may bring more along, where its own process was stopped and went on, or nothing,
    where the state of the lower one was lost.
    """
    if "train" not in lower.measured or "train" not in upper.measured:
        return 0.0
    return min(lower.measured["train"].seconds, upper.measured["train"].before)
