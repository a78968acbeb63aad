"""Pruning at synchronous rungs: all trials of an entry reach a rung before any goes on.

Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943) with three rungs: after a
quarter of its updates, after half of them, and at the end. Which trials go on is a function of all
scores of the rung, so the order in which they came in plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHARES = (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Rung:
    """A point at which trials are compared.

    Attributes:
        share: Share of a trial's planned updates that are made up to here.
        trials: How many trials reach it, if none fails.
    """

    share: float
    trials: int


@dataclass(frozen=True)
class Scored:
    """What a trial came to at a rung.

    Attributes:
        number: Its number.
        score: Primary metric over all validation items, higher is better; None when it failed.
        loss: Validation loss; None without one.
    """

    number: int
    score: float | None
    loss: float | None = None


def rungs(trials: int, *, pruning: bool) -> tuple[Rung, ...]:
    """Return the rungs of so many trials.

    The better half, rounded up, goes on. A rung that a single trial would reach decides nothing and
    is left out, except the last.

    Args:
        trials: Trials of an entry.
        pruning: Without it there is the last rung only.
    """
    if not trials:
        return ()
    if not pruning:
        return (Rung(SHARES[-1], trials),)
    found, count = [], trials
    for share in SHARES:
        if count > 1 or share == SHARES[-1]:
            found.append(Rung(share, count))
        count = math.ceil(count / 2)
    return tuple(found)


def ranking(scored: Iterable[Scored]) -> list[int]:
    """Return the numbers of the trials that did not fail, best first.

    Ties go to the lower validation loss, then to the lower number.
    """

    def place(trial: Scored) -> tuple[float, float, int]:
        loss = trial.loss if trial.loss is not None and math.isfinite(trial.loss) else math.inf
        assert trial.score is not None
        return (-trial.score, loss, trial.number)

    counted = [t for t in scored if t.score is not None and math.isfinite(t.score)]
    return [trial.number for trial in sorted(counted, key=place)]


def survivors(scored: Sequence[Scored], count: int) -> list[int]:
    """Return the numbers of the trials that go on, in the order of their numbers.

    Args:
        scored: All trials of a rung, in any order.
        count: How many the next rung takes. A trial that failed never goes on.
    """
    return sorted(ranking(scored)[:count])
