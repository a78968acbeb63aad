"""Two entries' errors: what each of them fixes of the other's, and agreement beyond chance.

Both entries are right about an item when more than half of their runs are; see `correctness`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tarazu.comparison.correctness import Bools, Indices
from tarazu.comparison.item_view import ItemView


@dataclass(frozen=True)
class Overlap:
    """The errors of two entries.

    Attributes:
        a: Id of an entry.
        b: Id of the other one.
        fixed_by_a: Items that a gets right and b wrong.
        fixed_by_b: Items that b gets right and a wrong.
        both_right: Number of items that both get right.
        both_wrong: Number of items that both get wrong.
        both_wrong_by_chance: The same if the errors of one said nothing about the other's.
        kappa: Agreement on who is right beyond what chance would give; None where one of them has
            no errors or nothing but errors together with the other, so that chance explains all.
    """

    a: str
    b: str
    fixed_by_a: Indices
    fixed_by_b: Indices
    both_right: int
    both_wrong: int
    both_wrong_by_chance: float
    kappa: float | None

    @property
    def items(self) -> int:
        """Number of items."""
        return self.both_right + self.both_wrong + len(self.fixed_by_a) + len(self.fixed_by_b)

    @property
    def either_right(self) -> int:
        """Items that at least one gets right: what a perfect choice between both would reach."""
        return self.items - self.both_wrong


def overlaps(view: ItemView) -> list[Overlap]:
    """Return the overlap of every two entries, in their order.

    Args:
        view: Who is right and who is wrong.
    """
    return [
        overlap(view.entries[i], view.entries[j], view.right[i], view.right[j])
        for i, j in combinations(range(len(view.entries)), 2)
    ]


def overlap(a: str, b: str, a_right: Bools, b_right: Bools) -> Overlap:
    """Return the overlap of two entries' errors.

    Args:
        a: Id of an entry.
        b: Id of the other one.
        a_right: Whether a is right, one value per item.
        b_right: Whether b is right.
    """
    items = len(a_right)
    a_wrong, b_wrong = items - int(a_right.sum()), items - int(b_right.sum())
    both_right, both_wrong = int((a_right & b_right).sum()), int((~a_right & ~b_right).sum())
    return Overlap(
        a=a,
        b=b,
        fixed_by_a=np.flatnonzero(a_right & ~b_right),
        fixed_by_b=np.flatnonzero(b_right & ~a_right),
        both_right=both_right,
        both_wrong=both_wrong,
        both_wrong_by_chance=a_wrong * b_wrong / items if items else 0.0,
        kappa=_kappa(items, a_wrong, b_wrong, both_right + both_wrong),
    )


def _kappa(items: int, a_wrong: int, b_wrong: int, agreed: int) -> float | None:
    """Return Cohen's kappa of two entries' right and wrong.

    Cohen 1960, *Educational and Psychological Measurement* 20(1); over right and wrong it is the
    error consistency of Geirhos, Meding and Wichmann 2020 (NeurIPS): 0 for entries whose errors
    have nothing to do with each other, 1 for the same errors, below 0 for opposite ones. The
    counts are whole numbers, so that "chance explains all" is told exactly.
    """
    by_chance = a_wrong * b_wrong + (items - a_wrong) * (items - b_wrong)
    if by_chance == items * items:
        return None
    return (agreed * items - by_chance) / (items * items - by_chance)
