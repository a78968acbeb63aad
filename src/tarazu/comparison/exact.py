"""Exact paired tests of right against wrong, for items that may come in groups."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tarazu.comparison.correctness import Bools, Indices


def exact_paired(a: Bools, b: Bools, groups: NDArray[np.int64]) -> float:
    """Return the exact two-sided p-value that a is right as often as b.

    Where every item is a group of its own, this is the exact test of McNemar 1947, *Psychometrika*
    12(2) (the binomial form).

    Args:
        a: Whether one is right, one value per item.
        b: Whether the other is right about the same items.
        groups: Number of each item's group.
    """
    return sign_flip(a.astype(np.int64) - b.astype(np.int64), groups)


def sign_flip(differences: Indices, groups: NDArray[np.int64]) -> float:
    """Return the exact two-sided p-value that differences add up to nothing but by luck.

    Under the hypothesis both sides could change places in any group, since the items of a group
    move together: every group's difference keeps its size and takes either sign with the same
    chance. The distribution of the sum is computed in full, without drawing: the sign-flip test of
    Fisher 1935, *The Design of Experiments*, section 21.

    Args:
        differences: Whole numbers, one per item.
        groups: Number of each item's group.
    """
    sums = np.rint(np.bincount(groups, weights=differences)).astype(np.int64)
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    # Runs that are alike multiply every size, and what is computed would grow with them.
    unit = math.gcd(*sizes.tolist())
    return _tails((sizes // unit).tolist(), counts.tolist(), abs(int(sums.sum())) // unit)


def _tails(sizes: list[int], counts: list[int], observed: int) -> float:
    """Return the chance of a sum at least as far from 0 as the observed one.

    Args:
        sizes: Sizes of the groups' differences, each once.
        counts: Groups of each size.
        observed: Size of the sum.
    """
    from scipy.stats import binom

    chances = np.ones(1)  # of the sum of the positive differences
    for size, count in zip(sizes, counts, strict=True):
        step = np.zeros(size * count + 1)
        step[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, step)
    total = len(chances) - 1
    far = np.abs(2 * np.arange(total + 1) - total) >= observed
    return min(float(chances[far].sum()), 1.0)
