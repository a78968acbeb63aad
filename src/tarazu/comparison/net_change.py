"""Whether two counts over the same items and runs differ beyond luck: McNemar's over seeds.

What is counted and what is tested must be the same. The counts that reports show are means over
seeds, so the test is of their difference: an item counts with every run, and not by what most of
its runs do, which may even point the other way. Items are shared by all runs and by their group,
so runs are no further items.
"""

from __future__ import annotations

import numpy as np

from tarazu.comparison.correctness import Bools, Indices
from tarazu.comparison.crossed import zero_mean
from tarazu.comparison.exact import sign_flip


def net_change(more: Bools, less: Bools, groups: Indices, *, seeded: bool) -> float:
    """Return the two-sided p-value that two things happen equally often over items and seeds.

    The exact sign-flip test over groups of items, each with the sum over its runs; of one run over
    single items it is McNemar's exact test. It knows nothing of other seeds. So with several of
    them the test of `crossed`, which adds what seeds vary by but is rough where little happens,
    must agree: the larger of both p-values counts. Where seeds alone decide, three of them still
    call 7 to 8 of 100 even changes uneven at 5 %, and two 13 (simulated, 1,000 studies each);
    where they do not, fewer than 5.

    Args:
        more: Where one of them happens, seeds × items.
        less: Where the other one does.
        groups: Number of each item's group.
        seeded: Whether another seed could give other values.
    """
    net = more.astype(np.int64) - less.astype(np.int64)
    exact = sign_flip(net.sum(axis=0), groups)
    if len(net) == 1 or not seeded:
        return exact
    over_seeds = zero_mean(net.astype(np.float64), groups, seeded=seeded)
    return exact if over_seeds is None else max(exact, over_seeds)
