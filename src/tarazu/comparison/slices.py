"""Slices of the test items: the primary metric in each, and where an entry is weak beyond luck.

A slice is the items with one value of one of the task's groupings (a genre, a question word). Its
mean is over seeds and items. Items of one group move together and seeds may differ, so its
interval is:

- with one-item groups, one run (or an entry that no seed changes) and right-or-wrong scores,
  Wilson's interval for n answers (Wilson 1927, *JASA* 22);
- otherwise Wilson's interval for as many answers as the variance over groups and seeds is worth,
  with Student's t (Korn and Graubard 1998, *Survey Methodology* 24(2); Dean and Pagano 2015,
  *Journal of Survey Statistics and Methodology* 3(4)). The variance is that of `crossed`. A slice
  of one group has no interval.

Whether an entry is weaker in a slice than its own mean is asked with a score test (Boos 1992, *The
American Statistician* 46(4)): the variance of the difference is taken as if the slice had the
entry's own mean, because a slice whose few items are all wrong has no variance of its own, and a
Wald test would be certain about it. The variance over items is the larger one of two. One sums the
residuals over groups and holds where slices scatter differently. The other gives every item the
variance of all items and the correlation within groups of all groups; it holds where a slice's
residuals are all alike. The seeds' part comes on top. All slices of all entries are one family for
Holm's correction: whoever looks everywhere finds something.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tarazu.comparison.correctness import Bools, primary_entries
from tarazu.comparison.crossed import Clusters, Sample, mean
from tarazu.comparison.multiple import holm
from tarazu.comparison.outcomes import Answers, Outcomes, Scores

SMALL = 30
"""Slices of fewer groups are marked as small and not tested: a test of fewer groups rests on a
rough distribution, and each test makes all the others stricter."""
LEVEL = 0.95


@dataclass(frozen=True)
class SliceScore:
    """One entry in one slice.

    Attributes:
        entry: Id of the entry.
        name: What the items are grouped by.
        value: The value that the items of this slice share.
        items: Items in the slice.
        groups: Groups that they come from.
        mean: Mean of the primary metric over seeds and items.
        low: Lower end of the 95 % interval; None where there is no ground for one.
        high: Upper end.
        difference: `mean` less the entry's mean over all items.
        p_value: Two-sided, of no difference; None where it was not tested: the slice or the rest
            is small.
        p_holm: The same, adjusted for all slices of all entries.
    """

    entry: str
    name: str
    value: str
    items: int
    groups: int
    mean: float
    low: float | None
    high: float | None
    difference: float
    p_value: float | None
    p_holm: float | None = None

    @property
    def small(self) -> bool:
        """Whether the slice has too few groups to be tested."""
        return self.groups < SMALL

    @property
    def weak(self) -> bool:
        """Whether the entry is worse here than over all items, beyond luck in all slices."""
        return self.difference < 0 and self.p_holm is not None and self.p_holm < 1 - LEVEL


@dataclass(frozen=True)
class _Slice:
    name: str
    value: str
    inside: Bools


def slice_scores(outcomes: Outcomes) -> list[SliceScore]:
    """Return the primary metric of every primary entry in every slice.

    Args:
        outcomes: Their answers, with the slices of the items.

    Returns:
        By entry, name of the slice and value, ranges such as ``1-3`` and ``10+`` by number.
    """
    slices = list(_slices(outcomes))
    clusters = Clusters.of(outcomes.groups)
    found = [
        _score(answers, answers.metrics[outcomes.primary_metric], one, clusters)
        for answers in primary_entries(outcomes)
        if outcomes.primary_metric in answers.metrics
        for one in slices
    ]
    tested = [number for number, score in enumerate(found) if score.p_value is not None]
    adjusted = holm([found[number].p_value or 0.0 for number in tested])
    for number, p_holm in zip(tested, adjusted, strict=True):
        found[number] = replace(found[number], p_holm=p_holm)
    return found


def weakest(scores: Sequence[SliceScore]) -> dict[str, SliceScore]:
    """Return the slice in which each entry falls furthest below its own mean.

    Weak slices (beyond luck) come before others; small ones are left out. What is not `weak` must
    not be called so: some slice is always the lowest.

    Args:
        scores: Of all entries.
    """
    found: dict[str, SliceScore] = {}
    for score in scores:
        if score.p_value is None or score.difference >= 0:
            continue
        known = found.get(score.entry)
        if known is None or _weakness(score) > _weakness(known):
            found[score.entry] = score
    return found


def _weakness(score: SliceScore) -> tuple[bool, float]:
    return score.weak, -score.difference


def _slices(outcomes: Outcomes) -> Iterable[_Slice]:
    for name, values in outcomes.slices.items():
        column = np.array(values, dtype=object)
        for value in sorted({value for value in values if value is not None}, key=_by_number):
            yield _Slice(name, value, column == value)


def _by_number(value: str) -> tuple[float, str]:
    start = re.match(r"\d+", value)
    return (float(start[0]) if start else math.inf), value


def _score(answers: Answers, scores: Scores, one: _Slice, clusters: Clusters) -> SliceScore:
    inside = one.inside
    _, numbers = np.unique(clusters.of_item[inside], return_inverse=True)
    own = Clusters.of(numbers.astype(np.int64))
    low, high = _interval(scores[:, inside], own, seeded=answers.seeded)
    value = float(scores[:, inside].mean())
    rest = len(np.unique(clusters.of_item[~inside]))
    tested = min(own.count, rest) >= SMALL
    return SliceScore(
        entry=answers.id,
        name=one.name,
        value=one.value,
        items=own.items,
        groups=own.count,
        mean=value,
        low=low,
        high=high,
        difference=value - float(scores.mean()),
        p_value=_p_value(answers, scores, inside, clusters, min(own.count, rest) - 1)
        if tested
        else None,
    )


def _interval(
    scores: Scores, clusters: Clusters, *, seeded: bool
) -> tuple[float | None, float | None]:
    from scipy.stats import norm, t

    share = float(scores.mean())
    single = len(scores) == 1 or not seeded
    if single and clusters.count == clusters.items and np.isin(scores, (0.0, 1.0)).all():
        return wilson(share, clusters.items, float(norm.ppf(0.5 + LEVEL / 2)))
    if clusters.count < 2:
        return None, None
    estimate = mean(Sample.of(scores, clusters, seeded=seeded), clusters)
    binomial = share * (1 - share)
    # Where all answers are alike, nothing shows how much those of one group depend on each other:
    # each group counts once. Never more answers than there are items.
    worth = binomial / estimate.variance if estimate.variance > 0 else float(clusters.count)
    quantile = float(t.ppf(0.5 + LEVEL / 2, estimate.df))
    return wilson(share, min(worth, clusters.items), quantile)


def wilson(share: float, count: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's interval of a share.

    Args:
        share: The share, 0 … 1.
        count: Answers that it rests on, at least as many as the variance is worth.
        quantile: Of the normal or t distribution.

    Returns:
        Lower and upper end, both within 0 … 1.
    """
    square = quantile**2 / count
    centre = (share + square / 2) / (1 + square)
    half = quantile / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _p_value(answers: Answers, scores: Scores, inside: Bools, clusters: Clusters, df: int) -> float:
    """Return the two-sided p-value that the slice has the entry's own mean."""
    from scipy.stats import t

    weights = inside / inside.mean() - 1
    residuals = scores - scores.mean(axis=1, keepdims=True)
    # The mean over items is the difference of each seed.
    sample = Sample.of(residuals * weights, clusters, seeded=answers.seeded)
    items = max(
        # No mean is taken off the sums: there is none if the hypothesis holds.
        clusters.count / (clusters.count - 1) * float(sample.sums @ sample.sums),
        _exchangeable(residuals.mean(axis=0), weights, clusters),
    )
    items /= clusters.items**2
    # An estimated variance may be negative; the seeds' part is none then.
    seeds = max(sample.seed_variance, 0.0)
    variance = items + seeds
    if variance <= 0:
        return 1.0
    weight = items**2 / df
    if seeds > 0:
        weight += sample.between**2 / (sample.seeds - 1)
    statistic = abs(sample.mean) / math.sqrt(variance)
    return float(2 * t.sf(statistic, variance**2 / weight))


def _exchangeable(residuals: Scores, weights: Scores, clusters: Clusters) -> float:
    """Return the variance of ``Σ w·r`` if any group's residuals could stand in any other group.

    All items have one variance v, and two items of a group one covariance c:
    ``Σ_g v·Σ w² + c·((Σ w)² − Σ w²)``.
    """
    square = float(residuals @ residuals)
    variance = square / (clusters.items - 1)
    pairs = float((clusters.sizes * (clusters.sizes - 1)).sum())
    total, pull = clusters.sums(np.stack([residuals, weights]))
    covariance = (float(total @ total) - square) / pairs if pairs else 0.0
    own = float(weights @ weights)
    return variance * own + covariance * (float(pull @ pull) - own)
