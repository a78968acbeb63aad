"""Which entries no other entry beats in both quality and cost."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Say of each point whether it lies on the Pareto front.

    A point is off the front when another one costs no more and is no worse, and is better in one
    of the two. Equal points are on the front together.

    Args:
        points: Pairs of a cost (less is better) and a quality (more is better).
    """
    return [
        not any(
            other_cost <= cost and other_quality >= quality and (other_cost, other_quality) != point
            for other_cost, other_quality in points
        )
        for point in points
        for cost, quality in [point]
    ]
