"""The charts of the page, drawn by Altair; altair is imported only when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tarazu.report.html.svg import ACCENT, INK, MUTED, RULE, SECOND, draw, values
from tarazu.report.plain import one_line
from tarazu.text import Language

_ROW = 24


@dataclass(frozen=True)
class ForestRow:
    """One entry of a forest plot; numbers are shares.

    Attributes:
        entry: Its name.
        mean: Its score.
        low: Lower end of its interval; None without one.
        high: Upper end.
        leading: Whether it cannot be separated from the best.
    """

    entry: str
    mean: float
    low: float | None
    high: float | None
    leading: bool


def forest(rows: Sequence[ForestRow], axis: str, language: Language) -> str:
    """Draw means with their intervals, in the order given.

    Args:
        rows: The entries.
        axis: Title of the axis.
        language: Of the numbers.
    """
    import altair as alt

    data = [
        {
            "entry": row.entry,
            "mean": 100 * row.mean,
            "low": None if row.low is None else 100 * row.low,
            "high": None if row.high is None else 100 * row.high,
            "colour": ACCENT if row.leading else MUTED,
        }
        for row in rows
    ]
    order = [one_line(row.entry) for row in rows]
    base = alt.Chart(values(data)).encode(
        y=alt.Y("entry:N", sort=order, title=None, axis=_names(alt)),
        color=alt.Color("colour:N", scale=None),
    )
    ends = [end for one in rows for end in (one.mean, one.low, one.high) if end is not None]
    room = max(0.04 * (max(ends) - min(ends)), 0.01)
    domain = [100 * max(min(ends) - room, 0), 100 * min(max(ends) + room, 1)]
    score: dict[str, Any] = {
        "title": axis,
        "scale": alt.Scale(domain=domain, nice=False),
        "axis": alt.Axis(tickCount=8),
    }
    lines = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q", **score), x2="high:Q")
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("mean:Q", **score))
    chart = alt.layer(lines, points).properties(width=640, height=max(_ROW * len(rows), 60))
    return draw(chart, language, "forest")


def _names(alt: Any) -> Any:
    return alt.Axis(labelColor=INK, ticks=False, domain=False, grid=True, labelPadding=8)


@dataclass(frozen=True)
class CostPoint:
    """One entry of a Pareto plot.

    Attributes:
        entry: Its name.
        place: Its cost as a place on the axis, from 0 to 1.
        quality: Its score as a share.
        leading: Whether it is on the front.
    """

    entry: str
    place: float
    quality: float
    leading: bool


@dataclass(frozen=True)
class Axis:
    """An axis whose ticks are written by us.

    Attributes:
        title: Its title.
        ticks: Pairs of a place and a label.
    """

    title: str
    ticks: Sequence[tuple[float, str]]


_WIDTH, _HEIGHT = 460, 300


def pareto(points: Sequence[CostPoint], x: Axis, y: str, language: Language, mark: str) -> str:
    """Draw quality against a cost, with the front marked.

    Args:
        points: The entries.
        x: The axis of the cost.
        y: Title of the axis of quality.
        language: Of the numbers.
        mark: Names the chart.
    """
    import altair as alt

    from tarazu.report.html.labels import place_labels

    low = min(point.quality for point in points)
    high = max(point.quality for point in points)
    room = max(0.08 * (high - low), 0.005)
    bounds = (low - room, high + room)

    def down_of(quality: float) -> float:
        return _HEIGHT * (bounds[1] - quality) / (bounds[1] - bounds[0])

    corners = _steps(points)
    labels = place_labels(
        [(_WIDTH * p.place, down_of(p.quality), p.entry, p.leading) for p in points],
        _WIDTH,
        _HEIGHT,
        [
            (
                _WIDTH * start["x"] - 2,
                down_of(end["y"] / 100) - 2,
                _WIDTH * end["x"] + 2,
                down_of(start["y"] / 100) + 2,
            )
            for start, end in pairwise(corners)
        ],
    )
    data = [
        {
            "x": point.place,
            "y": 100 * point.quality,
            "colour": ACCENT if point.leading else MUTED,
            "size": 90 if point.leading else 45,
        }
        for point in points
    ]
    names = [
        {
            "x": label.x / _WIDTH,
            "y": 100 * (bounds[1] - label.y / _HEIGHT * (bounds[1] - bounds[0])),
            "text": label.text,
            "align": label.align,
            "colour": INK if label.leading else MUTED,
        }
        for label in labels
    ]
    expression = " : ".join(
        f"abs(datum.value - {place:.6f}) < 1e-6 ? '{label}'" for place, label in x.ticks
    )
    across = alt.X(
        "x:Q",
        title=x.title,
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(
            values=[round(place, 6) for place, _ in x.ticks],
            labelExpr=f"{expression} : ''" if x.ticks else "''",
            labelOverlap=False,
        ),
    )
    up = alt.Y(
        "y:Q",
        title=y,
        scale=alt.Scale(domain=[100 * end for end in bounds], nice=False, zero=False),
        axis=alt.Axis(tickCount=5),
    )
    colour = alt.Color("colour:N", scale=None)
    line = (
        alt.Chart(values(corners))
        .mark_line(color=ACCENT, strokeWidth=1.5, strokeDash=[4, 3], opacity=0.8)
        .encode(x=across, y=up, order="order:Q")
    )
    dots = (
        alt.Chart(values(data))
        .mark_point(filled=True, opacity=1)
        .encode(x=across, y=up, color=colour, size=alt.Size("size:Q", scale=None))
    )
    layers = [line, dots]
    for align in ("left", "center", "right"):
        chosen = [name for name in names if name["align"] == align]
        if chosen:
            layers.append(
                alt.Chart(values(chosen))
                .mark_text(align=align, baseline="middle", fontSize=11)
                .encode(x=across, y=up, text="text:N", color=colour)
            )
    return draw(alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT), language, mark)


def _steps(points: Sequence[CostPoint]) -> list[dict[str, float]]:
    """Return the corners of the front: the best quality that each cost can buy."""
    corners: list[tuple[float, float]] = []
    for point in sorted((p for p in points if p.leading), key=lambda p: (p.place, p.quality)):
        if corners:
            corners.append((point.place, corners[-1][1]))
        corners.append((point.place, 100 * point.quality))
    return [{"x": x, "y": y, "order": order} for order, (x, y) in enumerate(corners)]


@dataclass(frozen=True)
class LossPoint:
    """A loss at the end of an epoch.

    Attributes:
        epoch: The epoch.
        loss: The loss.
        series: ``training`` or ``validation``.
        seed: Of the run.
        kept: Whether this epoch's weights were kept.
    """

    epoch: int
    loss: float
    series: str
    seed: int
    kept: bool = False


def losses(points: Sequence[LossPoint], x: str, y: str, language: Language, mark: str) -> str:
    """Draw the losses of an entry's runs by epoch.

    Args:
        points: The losses.
        x: Title of the axis of epochs.
        y: Title of the axis of losses.
        language: Of the numbers.
        mark: Names the chart.
    """
    import altair as alt

    colours = {"training": ACCENT, "validation": SECOND}
    data = [
        {
            "epoch": point.epoch,
            "loss": point.loss,
            "line": f"{point.series} {point.seed}",
            "colour": colours[point.series],
            "size": 70 if point.kept else 22,
        }
        for point in points
    ]
    epochs = sorted({point.epoch for point in points})
    every = -(-len(epochs) // 8)
    base = alt.Chart(values(data)).encode(
        x=alt.X(
            "epoch:Q",
            title=x,
            scale=alt.Scale(domain=[epochs[0], epochs[-1]], nice=False, padding=10),
            axis=alt.Axis(values=epochs[::every], format="d", grid=False, domainColor=RULE),
        ),
        y=alt.Y(
            "loss:Q", title=y, scale=alt.Scale(zero=False, padding=10), axis=alt.Axis(tickCount=4)
        ),
        color=alt.Color("colour:N", scale=None),
        detail="line:N",
    )
    chart = alt.layer(
        base.mark_line(strokeWidth=2),
        base.mark_point(filled=True, opacity=1).encode(size=alt.Size("size:Q", scale=None)),
    )
    return draw(chart.properties(width=250, height=150), language, mark)
