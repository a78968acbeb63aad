"""Variance of means and differences when items are crossed with seeds and clustered in groups.

A score ``y[s, i]`` of an entry has an effect of the item, one of the seed, and a rest::

    y[s, i] = μ + item[i] + seed[s] + rest[s, i]

Two entries answer the *same* items, so the item part is taken from the differences item by item
(paired) and summed over groups, whose items move together. Seeds of two entries have nothing in
common, so their parts add up. The variance of a difference ``d`` of means over S seeds and I items
is estimated by

    V = V_items + max(0, Σ_entries (B − R))

    V_items  C/(C−1) · Σ_c (Σ_{i in c} (δ[i] − d))² / I²     δ: difference of the means over seeds
    B        variance of the seeds' means / S                  holds the seed's effect and the rest
    R        the rest's share in B, from the residuals         already counted in V_items

and its degrees of freedom by Satterthwaite's formula over V_items (C − 1) and each B (S − 1, or
more where the entries' variances lend each other strength, see `tarazu.comparison.moderated`).

Sources: Searle, Casella and McCulloch 1992, *Variance Components*, chapter 4 (crossed random
effects); Satterthwaite 1946, *Biometrics Bulletin* 2(6); Cameron and Miller 2015, *Journal of Human
Resources* 50(2) (sums over clusters). What it holds is shown by ``benchmarks/calibration.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    """The groups of a test split.

    Attributes:
        of_item: Number of each item's group, 0 … count − 1.
        sizes: Items per group.
    """

    of_item: NDArray[np.int64]
    sizes: Floats

    @classmethod
    def of(cls, groups: NDArray[np.int64]) -> Clusters:
        """Count the items of each group.

        Args:
            groups: Number of each item's group.
        """
        return cls(groups, np.bincount(groups).astype(np.float64))

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.sizes)

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.of_item)

    def sums(self, values: Floats) -> Floats:
        """Return sums over each group.

        Args:
            values: One row per series, one column per item.

        Returns:
            One row per series, one column per group.
        """
        if self.count == self.items:  # every item is its own group, perhaps in another order
            found = np.empty_like(values)
            found[:, self.of_item] = values
            return found
        return np.stack(
            [np.bincount(self.of_item, weights=row, minlength=self.count) for row in values]
        )


@dataclass(frozen=True)
class Sample:
    """One entry's scores, reduced to what its mean and its differences need.

    Attributes:
        mean: Mean over seeds and items.
        sums: Sum over each group of the items' means over seeds.
        between: B of the module's text; 0 with one seed.
        residual: R of the module's text; 0 with one seed.
        df: Degrees of freedom of `between`.
        most_df: What the degrees of freedom of several such variances together are at most.
        seeds: Number of runs.
        seeds_known: Whether the seeds' part is known: with several runs, or where seeds do nothing.
    """

    mean: float
    sums: Floats
    between: float
    residual: float
    df: float
    most_df: float
    seeds: int
    seeds_known: bool

    @classmethod
    def of(cls, scores: Floats, clusters: Clusters, *, seeded: bool = True) -> Sample:
        """Reduce scores.

        Args:
            scores: Seeds × items.
            clusters: The items' groups.
            seeded: Whether another seed could give other scores.
        """
        seeds = len(scores)
        of_items = scores.mean(axis=0)
        mean = float(of_items.mean())
        sums = clusters.sums(of_items[None])[0]
        if seeds == 1:
            return cls(mean, sums, 0.0, 0.0, 0.0, math.inf, seeds, not seeded)
        of_seeds = scores.mean(axis=1)
        between = float(of_seeds.var(ddof=1)) / seeds
        rest = scores - of_items - (of_seeds - mean)[:, None]
        squares = float((clusters.sums(rest) ** 2).sum())
        bessel = clusters.count / max(clusters.count - 1, 1)
        residual = bessel * squares / (seeds - 1) / clusters.items**2 / seeds
        return cls(mean, sums, between, residual, seeds - 1.0, math.inf, seeds, True)

    @property
    def seed_variance(self) -> float:
        """Estimated variance of `mean` due to seeds alone. Unbiased, so it may be negative."""
        return self.between - self.residual


@dataclass(frozen=True)
class Estimate:
    """An estimated mean or difference.

    Attributes:
        value: The estimate.
        variance: Estimated variance of `value`.
        df: Degrees of freedom of the variance.
    """

    value: float
    variance: float
    df: float

    @property
    def error(self) -> float:
        """Standard error."""
        return math.sqrt(self.variance)


def difference(a: Sample, b: Sample, clusters: Clusters) -> Estimate:
    """Estimate the difference of two entries on the same items.

    The items' part is at least what it would be if each of the two had been right about one item
    that the other got wrong: entries that agreed on every item of a small test set have not been
    shown to be equal. (Bonett and Price 2012, *Journal of Educational and Behavioral Statistics*
    37(4), add one discordant pair each way to that end; as a bound it leaves other cases alone.)

    Args:
        a: One entry.
        b: The other entry.
        clusters: The items' groups.

    Returns:
        The estimate of a − b.
    """
    value = a.mean - b.mean
    spread = a.sums - b.sums - clusters.sizes * value
    items = _items_part(max(float(spread @ spread), 2.0), clusters)
    return _total(value, items, clusters, (a, b))


def mean(a: Sample, clusters: Clusters) -> Estimate:
    """Estimate the mean of an entry over seeds and items.

    Args:
        a: The entry.
        clusters: The items' groups.
    """
    spread = a.sums - clusters.sizes * a.mean
    return _total(a.mean, _items_part(float(spread @ spread), clusters), clusters, (a,))


def zero_mean(scores: Floats, groups: NDArray[np.int64], *, seeded: bool) -> float | None:
    """Return the two-sided p-value that a mean over seeds and items is 0.

    Args:
        scores: Seeds × items.
        groups: Number of each item's group; numbers may be left out.
        seeded: Whether another seed could give other scores.

    Returns:
        None where nothing varies or there is one group.
    """
    from scipy.stats import t

    _, numbers = np.unique(groups, return_inverse=True)
    clusters = Clusters.of(numbers.astype(np.int64))
    estimate = mean(Sample.of(scores, clusters, seeded=seeded), clusters)
    if clusters.count < 2 or estimate.variance == 0:
        return None
    return float(2 * t.sf(abs(estimate.value) / estimate.error, estimate.df))


def _items_part(squares: float, clusters: Clusters) -> float:
    count = clusters.count
    return count / max(count - 1, 1) * squares / clusters.items**2


def _total(value: float, items: float, clusters: Clusters, samples: tuple[Sample, ...]) -> Estimate:
    seeds = sum(sample.seed_variance for sample in samples)
    few = max(clusters.count - 1, 1)
    if seeds <= 0:
        return Estimate(value, items, float(few))
    variance = items + seeds
    between = sum(one.between for one in samples)
    parts = sum(one.between**2 / one.df for one in samples if one.seeds > 1)
    df = min(between**2 / parts, *(one.most_df for one in samples))
    weight = items**2 / few + between**2 / df
    # R is taken off the variance and not off the weight: no variance is known worse than its parts.
    least = min(few, *(one.df for one in samples if one.seeds > 1))
    return Estimate(value, variance, max(variance**2 / weight, least))
