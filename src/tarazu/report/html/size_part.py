"""How many labels each entry needs: scores by number of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tarazu.comparison.sizes import BreakEven, LearningCurve, break_even, sizes_of
from tarazu.report.html.line_chart import Line, LinePoint, line_chart
from tarazu.report.html.parts import Cell, Figure, Heading, Row, Table, name, number
from tarazu.report.html.source import Source
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.numbers import NOTHING


@dataclass(frozen=True)
class SizePart:
    """The section for one split.

    Attributes:
        split: The split.
        figure: Scores with intervals against the number of training rows.
        lines: From how many rows training is ahead of prompting.
        table: The scores.
    """

    split: str
    figure: Figure
    lines: tuple[str, ...]
    table: Table


def size_parts(source: Source, write: Writer) -> list[SizePart]:
    """Build the section, one part per test split; none for a study with one training size."""
    return [
        _part([curve for curve in source.curves if curve.split == split], place, write)
        for place, split in enumerate(dict.fromkeys(curve.split for curve in source.curves))
    ]


def _part(curves: Sequence[LearningCurve], place: int, write: Writer) -> SizePart:
    sizes = sizes_of(curves)
    metric = write.text(metric_name(curves[0].metric))
    lines = [_line(curve, sizes) for curve in curves]
    known = any(point.low is not None for line in lines for point in line.points)
    svg = line_chart(
        lines,
        sizes,
        write.say("sizes_axis"),
        write.say("in_percent", metric=metric),
        write.language,
        f"sizes-{place}",
        log=True,
    )
    title = write.say("sizes_figure" if known else "sizes_figure_means", metric=metric)
    return SizePart(
        curves[0].split,
        Figure(svg, title, write.say("sizes_about", count=write.number(len(lines)))),
        tuple(_sentence(one, write) for one in break_even(curves)),
        _table(curves, sizes, write),
    )


def _line(curve: LearningCurve, sizes: Sequence[int]) -> Line:
    if not curve.learns:
        # One measurement, which stands at any size: level from end to end.
        point = curve.points[0]
        ends = [LinePoint(sizes[0], point.score.mean), LinePoint(sizes[-1], point.score.mean)]
        ends[-1] = LinePoint(sizes[-1], point.score.mean, point.low, point.high)
        return Line(curve.id, tuple(ends))
    return Line(
        curve.id, tuple(LinePoint(p.rows, p.score.mean, p.low, p.high) for p in curve.points)
    )


def _table(curves: Sequence[LearningCurve], sizes: Sequence[int], write: Writer) -> Table:
    heads = [Heading(write.say("entry"))]
    heads += [
        Heading(write.say("rows_of", count=write.number(rows)), numeric=True) for rows in sizes
    ]
    rows = tuple(
        Row((name(curve.id), *(_score(curve, rows, write) for rows in sizes))) for curve in curves
    )
    notes = [write.say("sizes_note")]
    if any(not curve.learns for curve in curves):
        notes.append(write.say("sizes_level"))
    title = write.say("sizes_table", metric=write.text(metric_name(curves[0].metric)))
    return Table(tuple(heads), rows, title, sortable=True, notes=tuple(notes))


def _score(curve: LearningCurve, rows: int, write: Writer) -> Cell:
    point = curve.point(rows)
    if point is None:
        return number(NOTHING, None)
    text = write.spread(point.score)
    if point.low is not None:
        text = write.say("sizes_cell", score=text, ends=write.ends(point.low, point.high))
    return number(text, point.score.mean)


def _sentence(one: BreakEven, write: Writer) -> str:
    trained, prompted = write.name(one.trained), write.name(one.prompted)
    if one.rows is None:
        return write.say("break_even_never", trained=trained, prompted=prompted)
    key = "break_even" if one.stays else "break_even_once"
    return write.say(key, trained=trained, prompted=prompted, rows=write.number(one.rows))
