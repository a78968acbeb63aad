"""Items across entries: which ones nobody gets right, which one entry alone, which divide them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tarazu.comparison.correctness import (
    Bools,
    Indices,
    primary_entries,
    share_right,
    usually_right,
)
from tarazu.comparison.outcomes import Outcomes, Scores


@dataclass(frozen=True)
class ItemView:
    """Who is right and who is wrong, item by item.

    Attributes:
        entries: Ids of the entries, primary forms only.
        item_ids: Ids of the items.
        share: Share of an entry's runs that are right, entries × items.
        right: Whether an entry is usually right (more than half of its runs), entries × items.
    """

    entries: tuple[str, ...]
    item_ids: tuple[str, ...]
    share: Scores
    right: Bools

    def never_right(self) -> Indices:
        """Return the items that every run of every entry gets wrong, in their order."""
        return np.flatnonzero((self.share == 0).all(axis=0) & bool(self.entries))

    def always_right(self) -> Indices:
        """Return the items that every run of every entry gets right, in their order."""
        return np.flatnonzero((self.share == 1).all(axis=0) & bool(self.entries))

    def only_right_for(self, entry: str) -> Indices:
        """Return the items that this entry alone usually gets right, in their order.

        Args:
            entry: Id of an entry.

        Raises:
            ValueError: There is no such entry.
        """
        alone = self.right.sum(axis=0) == 1
        return np.flatnonzero(alone & self.right[self.entries.index(entry)])

    def ranked(self) -> list[str]:
        """Return the entries, the one whose runs are right most often first."""
        # Sums of thirds that are equal may differ in the last bit.
        order = np.argsort(-self.share.mean(axis=1).round(12), kind="stable")
        return [self.entries[place] for place in order.tolist()]

    def division(self) -> Scores:
        """Return, per item, the share of pairs of entries of which one is right and one wrong."""
        count = len(self.entries)
        rights = self.right.sum(axis=0)
        found: Scores = rights * (count - rights) / max(count * (count - 1) / 2, 1)
        return found

    def most_divided(self) -> Indices:
        """Return the items that divide the entries at all, the most divided first.

        Items that divide them equally stay in their order.
        """
        division = self.division()
        order = np.argsort(-division, kind="stable")
        return order[division[order] > 0]


def item_view(outcomes: Outcomes) -> ItemView:
    """Hold all entries against each other, item by item.

    Args:
        outcomes: Their answers.
    """
    entries = primary_entries(outcomes)
    shape = (len(entries), len(outcomes.item_ids))
    share = np.empty(shape)
    right = np.empty(shape, dtype=np.bool_)
    for row, answers in enumerate(entries):
        share[row] = share_right(answers, outcomes)
        right[row] = usually_right(answers, outcomes)
    return ItemView(tuple(one.id for one in entries), outcomes.item_ids, share, right)
