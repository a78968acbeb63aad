"""What comes of a comparison, as plain values: importing them costs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tarazu.text import Text

_LETTER = re.compile(r"\([^()]+\)|[^()]")


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: Mean over seeds and items.
        low: Lower end; None where there is no ground for an interval.
        high: Upper end.
    """

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Pair:
    """Two entries, compared on the same items.

    Attributes:
        a: Id of an entry.
        b: Id of the other one.
        metric: The per-item metric.
        difference: Mean of a less mean of b.
        low: Lower end of the 95 % interval of the difference; None where there is no ground.
        high: Upper end.
        p_value: Two-sided, of no difference.
        p_holm: The same, adjusted for all pairs.
        p_equivalent: Of a difference of at least the margin, adjusted for all pairs (TOST).
        separable: Whether `p_holm` is below 5 %.
        equivalent: Whether `p_equivalent` is below 5 %.
        test: ``mcnemar`` (exact) or ``crossed``.
    """

    a: str
    b: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    p_equivalent: float | None
    separable: bool
    equivalent: bool
    test: str


@dataclass(frozen=True)
class Comparison:
    """All entries of one test split by one metric.

    Attributes:
        split: The split.
        metric: The metric.
        items: Number of test items.
        clusters: Number of their groups.
        margin: Differences below it do not matter to the user; equivalence is meant within it.
        intervals: Mean and interval by entry, primary forms and others.
        pairs: Every two primary forms.
        letters: Letters by entry; entries that share one cannot be separated.
        detectable: The true difference that a single planned comparison of two entries would find
            in 80 of 100 studies like this one; None where there is no ground.
        detectable_holm: The same for the strictest step of Holm's correction.
        warnings: What makes these figures weak.
    """

    split: str
    metric: str
    items: int
    clusters: int
    margin: float
    intervals: Mapping[str, Interval]
    pairs: tuple[Pair, ...]
    letters: Mapping[str, str]
    detectable: float | None
    detectable_holm: float | None
    warnings: tuple[Text, ...]

    def groups(self) -> list[list[str]]:
        """Return the entries of each letter, the best group first."""
        shared = {name: _LETTER.findall(found) for name, found in self.letters.items()}
        names = sorted({one for found in shared.values() for one in found}, key=_place)
        return [[name for name, found in shared.items() if one in found] for one in names]


def _place(letter: str) -> tuple[int, str]:
    """Order letters as they are given: ``(aa)`` comes after ``z``."""
    return len(letter), letter


def leading(comparisons: Iterable[Comparison], split: str) -> Comparison | None:
    """Return the comparison by the primary metric of a split, the first one of it.

    Args:
        comparisons: As `compare_all` returns them.
        split: Name of the split.
    """
    return next((one for one in comparisons if one.split == split), None)
