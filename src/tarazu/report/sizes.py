"""The data-size axis: each entry at every training size, and where training begins to pay."""

from __future__ import annotations

from collections.abc import Sequence

from tarazu.comparison.result import Interval
from tarazu.comparison.sizes import BreakEven, LearningCurve, break_even, sizes_of
from tarazu.report.compared import interval_text
from tarazu.report.numbers import NOTHING, percent
from tarazu.report.plain import markdown_inline, markdown_table


def size_tables(curves: Sequence[LearningCurve]) -> list[str]:
    """Return the Markdown of the learning curves; empty when there is one training size.

    Args:
        curves: The learning curves of the study.
    """
    parts = []
    for split in dict.fromkeys(curve.split for curve in curves):
        shown = [curve for curve in curves if curve.split == split]
        metric = shown[0].metric
        parts += [f"### {markdown_inline(split)}, {markdown_inline(metric)} %", _table(shown)]
        if lines := [f"- {markdown_inline(_sentence(one))}" for one in break_even(shown)]:
            parts.append("\n".join(lines))
    return parts


def _table(curves: Sequence[LearningCurve]) -> str:
    sizes = sizes_of(curves)
    body = [
        [markdown_inline(curve.id), *(_score(curve, rows) for rows in sizes)] for curve in curves
    ]
    headings = ["training rows", *(f"{rows:,}" for rows in sizes)]
    return markdown_table(headings, body, numeric=set(range(1, len(headings))))


def _score(curve: LearningCurve, rows: int) -> str:
    point = curve.point(rows)
    if point is None:
        return NOTHING
    ends = interval_text(Interval(point.score.mean, point.low, point.high))
    return percent(point.score) if ends == NOTHING else f"{percent(point.score)} ({ends})"


def _sentence(one: BreakEven) -> str:
    if one.rows is None:
        return f"{one.trained} is ahead of {one.prompted} at no measured size."
    later = "" if one.stays else ", but not at every larger size"
    return f"{one.trained} is ahead of {one.prompted} from {one.rows:,} training rows{later}."
