"""Entries held against each other on the same items: intervals, paired tests, groups.

The estimand is the method on this task: a new seed and new items of the same kind, not these
checkpoints on these items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np
from scipy import special, stats

from tarazu.comparison.cautions import cautions
from tarazu.comparison.crossed import Clusters, Estimate, Floats, Sample, difference, mean
from tarazu.comparison.macro import MACRO_F1, with_macro_f1
from tarazu.comparison.moderated import moderated
from tarazu.comparison.multiple import holm, letters
from tarazu.comparison.outcomes import Answers, Outcomes
from tarazu.comparison.result import Comparison, Interval, Pair

LEVEL = 0.95
POWER = 0.8
# Below so many groups an interval has no ground: sums over clusters need several of them.
FEWEST_GROUPS = 5


def compare_all(splits: Sequence[Outcomes], margin: float) -> list[Comparison]:
    """Compare all entries on every test split by every metric that has a value per item.

    Args:
        splits: Their answers.
        margin: A difference that does not matter, in 0 … 1.

    Returns:
        For each split the primary metric first.
    """
    found = []
    for outcomes in splits:
        names = dict.fromkeys([outcomes.primary_metric])
        names |= dict.fromkeys(name for a in outcomes.entries for name in a.metrics)
        if outcomes.labels:
            names[MACRO_F1] = None
        found += [compare(outcomes, margin, name) for name in names]
    return found


def compare(outcomes: Outcomes, margin: float, metric: str | None = None) -> Comparison:
    """Compare all entries on one test split.

    Args:
        outcomes: Their answers.
        margin: A difference that does not matter, in 0 … 1.
        metric: A per-item metric, or ``macro_f1``; the task's primary one by default.
    """
    metric = metric or outcomes.primary_metric
    scored = [
        (answers, scores)
        for answers in outcomes.entries
        if (scores := with_macro_f1(answers, outcomes).get(metric)) is not None
    ]
    clusters = Clusters.of(outcomes.groups)
    grounded = clusters.count >= FEWEST_GROUPS
    single = [Sample.of(scores, clusters, seeded=a.seeded) for a, scores in scored]
    samples = {a.id: one for (a, _), one in zip(scored, moderated(single), strict=True)}
    primary = [(answers, scores) for answers, scores in scored if answers.primary]
    found = [
        _Raw.of((a, x), (b, y), samples, clusters) for (a, x), (b, y) in combinations(primary, 2)
    ]
    pairs = _pairs(found, metric, margin) if grounded else _ungrounded(found, metric)
    ranked = sorted((a.id for a, _ in primary), key=lambda name: -samples[name].mean)
    errors = [raw.estimate for raw in found] if grounded else []
    return Comparison(
        split=outcomes.split,
        metric=metric,
        items=clusters.items,
        clusters=clusters.count,
        margin=margin,
        intervals={
            name: _interval(sample, clusters, grounded=grounded) for name, sample in samples.items()
        },
        pairs=pairs,
        letters=letters(ranked, [(pair.a, pair.b) for pair in pairs if pair.separable]),
        detectable=_detectable(errors, 1),
        detectable_holm=_detectable(errors, len(errors)),
        warnings=cautions(
            clusters, {a.id: samples[a.id] for a, _ in primary}, fewest=FEWEST_GROUPS
        ),
    )


@dataclass(frozen=True)
class _Raw:
    """A pair before it is seen among the others."""

    a: str
    b: str
    estimate: Estimate
    p_value: float
    test: str

    @classmethod
    def of(
        cls,
        first: tuple[Answers, Floats],
        second: tuple[Answers, Floats],
        samples: Mapping[str, Sample],
        clusters: Clusters,
    ) -> _Raw:
        (a, x), (b, y) = first, second
        estimate = difference(samples[a.id], samples[b.id], clusters)
        single = len(x) == 1 and len(y) == 1 and clusters.count == clusters.items
        if single and _binary(x) and _binary(y):
            return cls(a.id, b.id, estimate, mcnemar(x[0], y[0]), "mcnemar")
        return cls(a.id, b.id, estimate, _two_sided(estimate), "crossed")


def mcnemar(a: Floats, b: Floats) -> float:
    """Return the exact two-sided p-value of McNemar's test.

    McNemar 1947, *Psychometrika* 12(2); the binomial form: of the items that one entry gets right
    and the other wrong, half would favour each if there were no difference.

    Args:
        a: 1 where an entry is right and 0 where it is wrong, per item.
        b: The same of the other entry.
    """
    better, worse = int((a > b).sum()), int((a < b).sum())
    if better + worse == 0:
        return 1.0
    return float(stats.binomtest(better, better + worse, 0.5).pvalue)


def _binary(scores: Floats) -> bool:
    return bool(np.isin(scores, (0.0, 1.0)).all())


def _two_sided(estimate: Estimate) -> float:
    return 2 * _above(abs(estimate.value) / estimate.error, estimate.df)


def _not_equivalent(estimate: Estimate, margin: float) -> float:
    """Return the larger p-value of two one-sided tests (Schuirmann 1987)."""
    nearest = min(margin - estimate.value, margin + estimate.value)
    return _above(nearest / estimate.error, estimate.df)


def _pairs(found: Sequence[_Raw], metric: str, margin: float) -> tuple[Pair, ...]:
    adjusted = holm([raw.p_value for raw in found])
    equivalent = holm([_not_equivalent(raw.estimate, margin) for raw in found])
    pairs = []
    for raw, p_holm, p_equivalent in zip(found, adjusted, equivalent, strict=True):
        estimate = raw.estimate
        half = _quantile(0.5 + LEVEL / 2, estimate.df) * estimate.error
        pairs.append(
            Pair(
                a=raw.a,
                b=raw.b,
                metric=metric,
                difference=estimate.value,
                low=max(estimate.value - half, -1.0),
                high=min(estimate.value + half, 1.0),
                p_value=raw.p_value,
                p_holm=p_holm,
                p_equivalent=p_equivalent,
                separable=p_holm < 1 - LEVEL,
                equivalent=p_equivalent < 1 - LEVEL,
                test=raw.test,
            )
        )
    return tuple(pairs)


def _ungrounded(found: Sequence[_Raw], metric: str) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            raw.a, raw.b, metric, raw.estimate.value, None, None, None, None, None,
            separable=False, equivalent=False, test="none",
        )
        for raw in found
    )  # fmt: skip


def _interval(sample: Sample, clusters: Clusters, *, grounded: bool) -> Interval:
    """Return Wilson's interval (1927, *JASA* 22) with the sample size that the variance is worth.

    So it is done for surveys (Korn and Graubard 1998, *Survey Methodology* 24(2); Dean and Pagano
    2015, *Journal of Survey Statistics and Methodology* 3(4)): it stays inside 0 … 1 and has a
    width even where every answer is right.
    """
    if not grounded:
        return Interval(sample.mean, None, None)
    estimate = mean(sample, clusters)
    share = min(max(estimate.value, 0.0), 1.0)
    binomial = share * (1 - share)
    count = binomial / estimate.variance if estimate.variance > 0 < binomial else clusters.count
    t = _quantile(0.5 + LEVEL / 2, estimate.df)
    centre = (share + t**2 / (2 * count)) / (1 + t**2 / count)
    half = t / (1 + t**2 / count) * float(np.sqrt(binomial / count + t**2 / (4 * count**2)))
    return Interval(sample.mean, max(centre - half, 0.0), min(centre + half, 1.0))


def _detectable(estimates: Sequence[Estimate], comparisons: int) -> float | None:
    if not estimates:
        return None
    level = (1 - LEVEL) / max(comparisons, 1)
    return float(
        median(
            (_quantile(1 - level / 2, one.df) + _quantile(POWER, one.df)) * one.error
            for one in estimates
        )
    )


# Student's t by the special functions: `scipy.stats.t` takes a hundred times as long for a number.
def _quantile(share: float, df: float) -> float:
    return float(special.stdtrit(df, share))


def _above(t: float, df: float) -> float:
    return float(special.stdtr(df, -t))
