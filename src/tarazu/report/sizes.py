"""The data-size axis: each entry at every training size, and where training begins to pay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tarazu.comparison.sizes import BreakEven, LearningCurve, break_even, learning_curves
from tarazu.report.numbers import percent
from tarazu.report.plain import markdown_inline, markdown_table

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord


def size_tables(records: Sequence[RunRecord]) -> list[str]:
    """Return the Markdown of the learning curves; empty when there is one training size.

    Args:
        records: All records of the study.
    """
    curves = learning_curves(records)
    parts = []
    for split in dict.fromkeys(curve.split for curve in curves):
        shown = [curve for curve in curves if curve.split == split]
        metric = shown[0].metric
        parts += [f"### {markdown_inline(split)}, {markdown_inline(metric)} %", _table(shown)]
        if lines := [f"- {markdown_inline(_sentence(one))}" for one in break_even(shown)]:
            parts.append("\n".join(lines))
    return parts


def _table(curves: Sequence[LearningCurve]) -> str:
    sizes = sorted({point.rows for curve in curves if curve.learns for point in curve.points})
    body = [
        [markdown_inline(curve.id), *(percent(curve.at(rows)) for rows in sizes)]
        for curve in curves
    ]
    headings = ["training rows", *(f"{rows:,}" for rows in sizes)]
    return markdown_table(headings, body, numeric=set(range(1, len(headings))))


def _sentence(one: BreakEven) -> str:
    if one.rows is None:
        return f"{one.trained} is ahead of {one.prompted} at no measured size."
    later = "" if one.stays else ", but not at every larger size"
    return f"{one.trained} is ahead of {one.prompted} from {one.rows:,} training rows{later}."
