"""The data-size axis: each entry at every training size, and where training begins to pay."""

from __future__ import annotations

from collections.abc import Sequence

from tarazu.comparison.result import Interval
from tarazu.comparison.sizes import BreakEven, LearningCurve, break_even, sizes_of
from tarazu.report.compared import interval_text
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.numbers import NOTHING
from tarazu.report.persian import isolated
from tarazu.report.plain import markdown_inline, markdown_table
from tarazu.text import Language, Text


def size_tables(curves: Sequence[LearningCurve], language: Language = "en") -> list[str]:
    """Return the Markdown of the learning curves; empty when there is one training size.

    Args:
        curves: The learning curves of the study.
        language: Of words and numbers.
    """
    write = Writer(language)
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
    sizes = sizes_of(curves)
    body = [
        [write.inline(curve.id), *(_score(curve, rows, write) for rows in sizes)]
        for curve in curves
    ]
    first = write.text(Text("training rows", "سطرهای آموزش"))
    headings = [first, *(write.number(rows) for rows in sizes)]
    return markdown_table(headings, body, numeric=set(range(1, len(headings))))


def _score(curve: LearningCurve, rows: int, write: Writer) -> str:
    point = curve.point(rows)
    if point is None:
        return NOTHING
    score = write.spread(point.score)
    ends = interval_text(Interval(point.score.mean, point.low, point.high))
    return score if ends == NOTHING else f"{score} ({write.prose(ends)})"


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
