"""Labels of points: each beside its point, none over another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Of 11-pixel text; a little too wide rather than too narrow.
_SIGN, _LINE, _GAP = 6.2, 13.0, 8.0


@dataclass(frozen=True)
class Label:
    """A label at its place.

    Attributes:
        x: Pixels from the left.
        y: Pixels from the top, at the middle of the line.
        text: Its words.
        align: Where `x` is in it.
        leading: Whether its point is on the front.
    """

    x: float
    y: float
    text: str
    align: Literal["left", "center", "right"]
    leading: bool


Box = tuple[float, float, float, float]


def place_labels(
    points: Sequence[tuple[float, float, str, bool]],
    width: float,
    height: float,
    lines: Sequence[Box] = (),
) -> list[Label]:
    """Place labels where they are free, leading points first; what has no room is left out.

    Args:
        points: Horizontal and vertical place in pixels, words, and whether the point leads.
        width: Of the drawing.
        height: Of the drawing.
        lines: What else must not be covered, as left, top, right and bottom.
    """
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y, _, _ in points]
    taken += lines
    placed = []
    for x, y, text, leading in sorted(points, key=lambda point: not point[3]):
        for label in _places(x, y, text, leading):
            box = _box(label)
            inside = box[0] >= -2 and box[2] <= width + 2 and box[1] >= -2 and box[3] <= height + 2
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                placed.append(label)
                break
    return placed


def _places(x: float, y: float, text: str, leading: bool) -> list[Label]:
    return [
        Label(x + _GAP, y, text, "left", leading),
        Label(x - _GAP, y, text, "right", leading),
        Label(x, y - _LINE, text, "center", leading),
        Label(x, y + _LINE, text, "center", leading),
        Label(x + _GAP, y - _LINE, text, "left", leading),
        Label(x + _GAP, y + _LINE, text, "left", leading),
        Label(x - _GAP, y - _LINE, text, "right", leading),
        Label(x - _GAP, y + _LINE, text, "right", leading),
    ]


def _box(label: Label) -> Box:
    width = _SIGN * len(label.text)
    left = {"left": 0.0, "center": width / 2, "right": width}[label.align]
    return (
        label.x - left, label.y - _LINE / 2, label.x - left + width, label.y + _LINE / 2
    )  # fmt: skip


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
