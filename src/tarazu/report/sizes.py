"""The data-size axis: each entry at every training size, and where training begins to pay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tarazu.comparison.sizes import BreakEven, LearningCurve, break_even, learning_curves
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.persian import isolated
from tarazu.report.plain import markdown_inline, markdown_table
from tarazu.text import Language, Text

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord


def size_tables(records: Sequence[RunRecord], language: Language = "en") -> list[str]:
    """Return the Markdown of the learning curves; empty when there is one training size.

    Args:
        records: All records of the study.
        language: Of words and numbers.
    """
    write = Writer(language)
    curves = learning_curves(records)
    parts = []
    for split in dict.fromkeys(curve.split for curve in curves):
        shown = [curve for curve in curves if curve.split == split]
        metric = shown[0].metric
        title = Text(
            f"{markdown_inline(split)}, {markdown_inline(metric)} %",
            f"{isolated(markdown_inline(split))}، {metric_name(metric).fa} (٪)",
        )
        parts += [f"### {write.text(title)}", _table(shown, write)]
        if lines := [f"- {write.literal(_sentence(one))}" for one in break_even(shown)]:
            parts.append("\n".join(lines))
    return parts


def _table(curves: Sequence[LearningCurve], write: Writer) -> str:
    sizes = sorted({point.rows for curve in curves if curve.learns for point in curve.points})
    body = [
        [write.inline(curve.id), *(write.spread(curve.at(rows)) for rows in sizes)]
        for curve in curves
    ]
    first = write.text(Text("training rows", "سطرهای آموزش"))
    headings = [first, *(write.number(rows) for rows in sizes)]
    return markdown_table(headings, body, numeric=set(range(1, len(headings))))


def _sentence(one: BreakEven) -> Text:
    trained, prompted = isolated(one.trained), isolated(one.prompted)
    if one.rows is None:
        return Text(
            f"{one.trained} is ahead of {one.prompted} at no measured size.",
            f"{trained} در هیچ اندازه‌ای که سنجیده شد از {prompted} پیش نیست.",
        )
    later = "" if one.stays else ", but not at every larger size"
    later_fa = "" if one.stays else "، ولی نه در همهٔ اندازه‌های بزرگ‌تر"
    return Text(
        f"{one.trained} is ahead of {one.prompted} from {one.rows:,} training rows{later}.",
        f"{trained} از {one.rows:,} سطر آموزش به بعد از {prompted} پیش است{later_fa}.",
    )
