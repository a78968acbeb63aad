"""Lines over a number of trials or of training rows, each named at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tarazu.report.html.svg import PALETTE, draw, values
from tarazu.text import Language

_WIDTH, _HEIGHT = 560, 300
_LABEL = 16.0
# What stays between a line's end and its name.
_GAP, _REACH = 6, 20
_ROOM, _BESIDE = 18, 5
_DASHES: tuple[list[int], ...] = ([1, 0], [7, 3], [2, 3])


@dataclass(frozen=True)
class LinePoint:
    """A point of a line.

    Attributes:
        x: Trials or training rows.
        y: A score as a share.
        low: Lower end of its interval; None without one.
        high: Upper end.
    """

    x: int
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A line.

    Attributes:
        name: Of the entry.
        points: From left to right, at least one.
    """

    name: str
    points: tuple[LinePoint, ...]


def line_chart(
    lines: Sequence[Line],
    ticks: Sequence[int],
    x: str,
    y: str,
    language: Language,
    mark: str,
    *,
    log: bool = False,
) -> str:
    """Draw scores as lines with their intervals.

    Args:
        lines: The lines, at least one.
        ticks: What the horizontal axis names, from small to large.
        x: Title of the horizontal axis.
        y: Title of the axis of scores.
        language: Of the numbers.
        mark: Names the chart.
        log: Whether the horizontal axis is logarithmic.
    """
    import altair as alt

    height = max(_HEIGHT, round(_LABEL * len(lines)))
    bounds = _bounds(lines)
    across = alt.X(
        "x:Q",
        title=x,
        scale=alt.Scale(
            type="log" if log else "linear", domain=[ticks[0], ticks[-1]], nice=False, padding=_ROOM
        ),
        axis=alt.Axis(values=list(ticks), format=",d", grid=False, labelOverlap=True),
    )
    score: dict[str, Any] = {
        "title": y,
        "scale": alt.Scale(domain=[100 * end for end in bounds], nice=False, zero=False),
        # Names stand at the right ends of the lines, so the axis is on the left in Persian, too.
        "axis": alt.Axis(tickCount=5, orient="left", titleAlign="left"),
    }
    up = alt.Y("y:Q", **score)
    colour = alt.Color("colour:N", scale=None)
    base = alt.Chart(values(_points(lines, ticks, log=log))).encode(color=colour)
    layers = [
        base.mark_rule(strokeWidth=1.5, opacity=0.55)
        .transform_filter("isValid(datum.low)")
        .encode(x=across, y=alt.Y("low:Q", **score), y2="high:Q"),
        base.mark_point(filled=True, size=45, opacity=1).encode(x=across, y=up),
        *_names(alt, _labels(lines, bounds, height), score),
    ]
    for place, dash in enumerate(_DASHES):
        chosen = [line for at, line in enumerate(lines) if _style(at)[1] == place]
        if chosen:
            layers.append(
                base.mark_line(strokeWidth=2, strokeDash=dash)
                .transform_filter(f"datum.dash == {place}")
                .encode(x=across, y=up, detail="name:N")
            )
    return draw(alt.layer(*layers).properties(width=_WIDTH, height=height), language, mark)


def _style(place: int) -> tuple[str, int]:
    """Return the colour and the dash of a line: no two of the first eighteen look the same."""
    return PALETTE[place % len(PALETTE)], place // len(PALETTE) % len(_DASHES)


def _bounds(lines: Sequence[Line]) -> tuple[float, float]:
    ends = [
        end
        for line in lines
        for point in line.points
        for end in (point.y, point.low, point.high)
        if end is not None
    ]
    room = max(0.06 * (max(ends) - min(ends)), 0.005)
    return max(min(ends) - room, 0.0), min(max(ends) + room, 1.0)


def _points(lines: Sequence[Line], ticks: Sequence[int], *, log: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for place, line in enumerate(lines):
        aside = _aside(place, len(lines), ticks, log=log)
        colour, dash = _style(place)
        about = {"name": line.name, "colour": colour, "dash": dash}
        for point in line.points:
            row = {"x": aside(point.x), "y": 100 * point.y, "low": None, "high": None}
            if point.low is not None and point.high is not None:
                row |= {"low": 100 * point.low, "high": 100 * point.high}
            rows.append({**row, **about})
    return rows


def _aside(place: int, count: int, ticks: Sequence[int], *, log: bool) -> Callable[[int], float]:
    """Return what moves a line sideways by a few pixels, so that intervals do not cover others."""
    if not log or ticks[0] == ticks[-1]:
        return float
    pixels = (place - (count - 1) / 2) * min(_BESIDE, 1.6 * _ROOM / count)
    factor = (ticks[-1] / ticks[0]) ** (pixels / (_WIDTH - 2 * _ROOM))
    return lambda x: x * factor


def _labels(
    lines: Sequence[Line], bounds: tuple[float, float], height: int
) -> list[dict[str, Any]]:
    low, high = bounds
    ends = [height * (high - line.points[-1].y) / (high - low) for line in lines]
    return [
        {
            "text": line.name,
            "y": 100 * line.points[-1].y,
            "label": 100 * (high - at / height * (high - low)),
            "colour": _style(place)[0],
        }
        for place, (line, at) in enumerate(
            zip(lines, spread_out(ends, _LABEL, height), strict=True)
        )
    ]


def _names(alt: Any, labels: Sequence[dict[str, Any]], score: dict[str, Any]) -> list[Any]:
    base = alt.Chart(values(labels)).encode(color=alt.Color("colour:N", scale=None))
    return [
        base.mark_rule(strokeWidth=1, opacity=0.6).encode(
            x=alt.value(_WIDTH - _GAP),
            x2=alt.value(_WIDTH + _REACH - 3),
            y=alt.Y("y:Q", **score),
            y2="label:Q",
        ),
        base.mark_text(align="left", baseline="middle", fontSize=11).encode(
            x=alt.value(_WIDTH + _REACH), y=alt.Y("label:Q", **score), text="text:N"
        ),
    ]


def spread_out(places: Sequence[float], gap: float, length: float) -> list[float]:
    """Return places moved apart as little as needed, in the order given.

    Args:
        places: Wanted places.
        gap: The least distance between two.
        length: All places lie between 0 and this, as far as there is room.
    """
    order = sorted(range(len(places)), key=lambda number: places[number])
    moved: list[float] = []
    for number in order:
        moved.append(max(places[number], moved[-1] + gap if moved else places[number]))
    limit = length
    for at in reversed(range(len(moved))):
        moved[at] = min(moved[at], limit)
        limit = moved[at] - gap
    found = [0.0] * len(places)
    for number, place in zip(order, moved, strict=True):
        found[number] = place
    return found
