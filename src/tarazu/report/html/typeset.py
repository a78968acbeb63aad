"""What paper needs beyond style: directions, tables that fit, and words of charts as real text.

A browser does these by itself. The layout engine behind the PDF knows neither ``unicode-bidi`` nor
``dir="auto"``, lets a table that is too wide run off the page, and draws the words of a chart
letter by letter, which tears Persian words apart. So the page's tree is prepared before it is laid
out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement

_SVG = "{http://www.w3.org/2000/svg}"
_MOVE = re.compile(r"translate\(\s*(-?[\d.]+)[\s,]+(-?[\d.]+)\s*\)")
_ISOLATE, _LEFT, _END = "\u2068", "\u2066", "\u2069"
_BLOCKS = {"td", "th", "dd", "p", "pre", "div", "li"}

PORTRAIT, LANDSCAPE = 176.0, 269.0
"""Room between the margins of a page, in millimetres, as in ``paper.css``."""
# Sections that lie across, as in ``paper.css``; examples within them do not.
_WIDE = {"results", "failures"}
# Of a letter, and of the space beside a cell's text, in em: a little more than they take.
_LETTER, _PADDING = 0.64, 1.3
_POINT = 25.4 / 72
_SIZES = (8.0, 7.0, 6.0, 5.0)
# Millimetres; a chart is never drawn larger than it was made.
_CHARTS = {"curves": 60.0, "pair": 84.0}
_PIXEL = 25.4 / 96
# From the middle of a line of text to its base line, in em.
_RISE = 0.36


def typeset(root: Element) -> None:
    """Prepare a page for paper.

    Args:
        root: The page's tree; it is changed.
    """
    _directions(root, "rtl" if root.get("dir") == "rtl" else "ltr")
    for element, classes in list(_with_classes(root, ())):
        if element.tag == "table":
            wide = not _WIDE.isdisjoint(classes) and "examples" not in classes
            _fit(element, LANDSCAPE if wide else PORTRAIT)
        drawing = element.find(f"{_SVG}svg")
        if drawing is not None and "chart" in classes:
            _write(element, drawing, _chart_width(classes, drawing))


def _directions(element: Element, around: str) -> None:
    """Give each element of its own direction that direction, and close it off from its line."""
    inside = element.get("dir", around)
    if inside == "auto":
        inside = first_strong("".join(element.itertext()))
        element.set("dir", inside)
    if element.tag == "bdi" or (element.get("dir") and element.tag not in {*_BLOCKS, "html"}):
        _enclose(element, _ISOLATE)
    elif element.tag == "code":
        _enclose(element, _LEFT)
    for child in element:
        if isinstance(child.tag, str) and not child.tag.startswith(_SVG):
            _directions(child, inside)


def first_strong(text: str) -> str:
    """Return the direction of the first letter that has one, as browsers do (UAX #9, P2 and P3)."""
    for sign in text:
        kind = unicodedata.bidirectional(sign)
        if kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


def _enclose(element: Element, start: str) -> None:
    element.text = start + (element.text or "")
    last = element[-1] if len(element) else None
    if last is None:
        element.text += _END
    else:
        last.tail = (last.tail or "") + _END


def _fit(table: Element, room: float) -> None:
    """Choose the largest letters with which a table fits; if none do, columns share the room."""
    needed = [0.0]
    for row in table.iter("tr"):
        for place, cell in enumerate(row):
            text = " ".join("".join(cell.itertext()).split())
            whole = cell.tag == "td" and "number" in cell.get("class", "")
            longest = len(text) if whole else max(map(len, re.split(r"[\s-]", text)))
            needed += [0.0] * (place + 1 - len(needed))
            needed[place] = max(needed[place], longest * _LETTER + _PADDING)
    total = sum(needed) * _POINT
    size = next((size for size in _SIZES if total * size <= room), None)
    added = "fit-any" if size is None else f"fit-{size:.0f}"
    table.set("class", f"{table.get('class', '')} {added}".strip())


def _with_classes(
    element: Element, around: tuple[str, ...]
) -> Iterator[tuple[Element, tuple[str, ...]]]:
    """Walk over all elements with the classes and ids of each and of those around it."""
    classes = (*around, element.get("id", ""), *element.get("class", "").split())
    yield element, classes
    for child in element:
        if isinstance(child.tag, str) and not child.tag.startswith(_SVG):
            yield from _with_classes(child, classes)


def _box(drawing: Element) -> tuple[float, float]:
    _, _, width, height = map(float, drawing.get("viewBox", "0 0 1 1").split())
    return width, height


def _chart_width(classes: tuple[str, ...], drawing: Element) -> float:
    room = next((_CHARTS[one] for one in classes if one in _CHARTS), PORTRAIT)
    return min(room, _box(drawing)[0] * _PIXEL)


def _write(frame: Element, drawing: Element, width: float) -> None:
    """Take the words out of a drawing and write them over it at the same places.

    Args:
        frame: The element around the drawing.
        drawing: The drawing.
        width: Of the drawing on paper, in millimetres.
    """
    across, down = _box(drawing)
    scale = width / across
    frame.set("style", f"width: {width:.2f}mm; height: {down * scale:.2f}mm")
    drawing.set("width", f"{width:.2f}mm")
    drawing.set("height", f"{down * scale:.2f}mm")
    for parent, text, x, y in list(_texts(drawing, 0.0, 0.0)):
        size = float((text.get("font-size") or "11").removesuffix("px"))
        label = SubElement(frame, "span", {"class": f"label {text.get('text-anchor', 'start')}"})
        label.set(
            "style",
            f"left: {x * scale:.2f}mm; top: {(y - _RISE * size) * scale:.2f}mm; "
            f"font-size: {size * scale:.3f}mm; color: {text.get('fill', '#000')}",
        )
        words = SubElement(label, "span", {"dir": first_strong(text.text or "")})
        words.text = text.text
        parent.remove(text)


def _texts(element: Element, x: float, y: float) -> Iterator[tuple[Element, Element, float, float]]:
    """Find the texts of a drawing that are only moved, with their parents and places."""
    for child in element:
        move = _MOVE.fullmatch(child.get("transform", "translate(0,0)"))
        if move is None:
            continue  # turned or scaled: it stays within the drawing
        place = x + float(move[1]), y + float(move[2])
        if child.tag == f"{_SVG}text":
            yield element, child, place[0], place[1]
        else:
            yield from _texts(child, *place)
