"""An exact paired test of right against wrong, for items that may come in groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tarazu.comparison.correctness import Bools


def exact_paired(a: Bools, b: Bools, groups: NDArray[np.int64]) -> float:
    """Return the exact two-sided p-value that a is right as often as b.

    Under the hypothesis a and b could change places in any group, since the items of a group move
    together: every group's difference keeps its size and takes either sign with the same chance.
    The distribution of the sum is computed in full, without drawing. Where every item is a group
    of its own, this is the exact test of McNemar 1947, *Psychometrika* 12(2) (the binomial form);
    for groups it is the sign-flip test of Fisher 1935, *The Design of Experiments*, section 21.

    Args:
        a: Whether one is right, one value per item.
        b: Whether the other is right about the same items.
        groups: Number of each item's group.
    """
    signed = a.astype(np.int64) - b.astype(np.int64)
    sums = np.rint(np.bincount(groups, weights=signed)).astype(np.int64)
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    return _tails(sizes.tolist(), counts.tolist(), abs(int(sums.sum())))


def _tails(sizes: list[int], counts: list[int], observed: int) -> float:
    """Return the chance of a sum at least as far from 0 as the observed one.

    Args:
        sizes: Sizes of the groups' differences, each once.
        counts: Groups of each size.
        observed: Size of the sum.
    """
    from scipy.stats import binom

    chances = np.ones(1)
    for size, count in zip(sizes, counts, strict=True):
        # Of `count` signs k are positive; each of them moves the sum by twice the size.
        step = np.zeros(2 * size * count + 1)
        step[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, step)
    reach = len(chances) // 2
    far = np.abs(np.arange(len(chances)) - reach) >= observed
    return min(float(chances[far].sum()), 1.0)
