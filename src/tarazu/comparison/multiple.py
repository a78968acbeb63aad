"""Many comparisons at once: Holm's correction, and groups of entries that cannot be separated."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that all errors together stay below the level.

    Holm 1979, *Scandinavian Journal of Statistics* 6(2): the k-th smallest of m is multiplied by
    ``m − k + 1``, and none may fall below the one before.

    Args:
        p_values: One p-value per comparison.

    Returns:
        Adjusted p-values in the same order, at most 1.
    """
    if not p_values:
        return []
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    adjusted = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    found = np.empty_like(adjusted)
    found[order] = adjusted
    return [float(value) for value in found]


def letters(names: Sequence[str], separable: Collection[tuple[str, str]]) -> dict[str, str]:
    """Return a compact letter display: entries that share a letter cannot be separated.

    The insert-and-absorb algorithm of Piepho 2004, *Journal of Computational and Graphical
    Statistics* 13(2). Every pair that cannot be separated shares a letter, and no pair that can be.

    Args:
        names: Entries, the best first: the first letters go to them.
        separable: Pairs that can be separated, in either order.

    Returns:
        Letters by entry: ``a``, ``ab`` …; after ``z`` come ``(aa)``, ``(ab)`` ….
    """
    columns = [frozenset(names)]
    for a, b in separable:
        split = []
        for column in columns:
            split += [column - {a}, column - {b}] if a in column and b in column else [column]
        columns = _absorbed(split)
    place = {name: rank for rank, name in enumerate(names)}
    columns.sort(key=lambda column: sorted(place[name] for name in column))
    found = dict.fromkeys(names, "")
    for number, column in enumerate(columns):
        for name in column:
            found[name] += _letter(number)
    return found


def _absorbed(columns: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """Drop columns that another one contains."""
    unique = list(dict.fromkeys(columns))
    return [one for one in unique if not any(one < other for other in unique)]


def _letter(number: int) -> str:
    if number < 26:
        return chr(ord("a") + number)
    return f"({_letter(number // 26 - 1)}{_letter(number % 26)})"
