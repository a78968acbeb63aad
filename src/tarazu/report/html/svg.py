"""Chart → a drawing that can stand in a page: no styles, ids of its own, no size in pixels."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from tarazu.report.plain import one_line
from tarazu.text import Language

if TYPE_CHECKING:
    import altair as alt

# The page gives these their colours, one set for light and one for dark (style.css).
INK, MUTED, RULE, ACCENT, SECOND, PAPER = (
    "#1b1f24", "#6b7280", "#d9d6cf", "#0f6b7f", "#b4551f", "#fffefb",
)  # fmt: skip
PALETTE = (ACCENT, SECOND, "#6b4fa0", "#6f7d1c", "#a62c5b", "#2f6db5")
"""Of lines on one chart; beyond these they are told apart by dashes, too."""
FONT = "sans-serif"
_PERSIAN_NUMBERS = {
    "decimal": "٫",
    "thousands": "٬",
    "grouping": [3],
    "currency": ["", ""],
    "numerals": list("۰۱۲۳۴۵۶۷۸۹"),
    "percent": "٪",
    "minus": "−",
}


def draw(chart: alt.LayerChart | alt.FacetChart, language: Language, mark: str) -> str:
    """Return a chart as SVG for a page.

    Args:
        chart: The chart.
        language: Of its numbers.
        mark: Begins the ids of its parts, so that those of two charts on a page never meet.
    """
    spec = chart.configure(**_config(language)).to_dict()
    return tidy(_render(json.dumps(spec, ensure_ascii=False), language), mark)


def values(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the data of a chart, given row by row; its texts become harmless lines.

    Vega writes names into expressions of its own, in which a line separator is a mistake.
    """
    import altair

    data: Any = altair.Data  # it has no types
    clean = [
        {key: one_line(cell) if isinstance(cell, str) else cell for key, cell in row.items()}
        for row in rows
    ]
    return data(values=clean)


@cache
def _render(spec: str, language: Language) -> str:
    import vl_convert

    locale = _PERSIAN_NUMBERS if language == "fa" else None
    return str(vl_convert.vegalite_to_svg(spec, format_locale=locale))


def tidy(svg: str, mark: str) -> str:
    """Return an SVG that obeys the page: it scales, and carries neither styles nor shared ids.

    Styles within attributes would be refused by the page's security policy.

    Args:
        svg: As drawn.
        mark: Begins its ids.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\sstyle="([^"]*)"', _attributes, svg)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{mark}-\1"', svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(?:class|version|xmlns:xlink|aria-hidden|role)="[^"]*"', "", head)
    return f'{head} aria-hidden="true" focusable="false">{rest}'


def _attributes(style: re.Match[str]) -> str:
    """Turn ``style="a: b"`` into the presentation attributes that it stands for."""
    pairs = (part.split(":", 1) for part in style[1].split(";") if ":" in part)
    known = ("fill", "stroke", "opacity", "font", "stroke-", "fill-", "text-anchor")
    return "".join(
        f' {name.strip()}="{value.strip()}"'
        for name, value in pairs
        if name.strip().startswith(known)
    )


def _config(language: Language) -> dict[str, Any]:
    axis = {
        "labelColor": MUTED,
        "titleColor": INK,
        "domainColor": RULE,
        "tickColor": RULE,
        "gridColor": RULE,
        "labelFont": FONT,
        "titleFont": FONT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridOpacity": 0.7,
        "labelLimit": 260,
    }
    return {
        "aria": False,  # the page describes each chart in its own language
        "background": "transparent",
        # Letters may be wider where the page is read than where it was drawn.
        "padding": {"left": 12, "right": 12, "top": 4, "bottom": 4},
        "font": FONT,
        "view": {"stroke": None},
        "axis": axis,
        # The title of the upright axis lies above it, so that nobody must turn their head.
        "axisY": {
            "orient": "right" if language == "fa" else "left",
            "titleAngle": 0,
            "titleAnchor": "end",
            "titleAlign": "right" if language == "fa" else "left",
            "titleBaseline": "bottom",
            "titleX": 0,
            "titleY": -10,
        },
        "text": {"font": FONT, "fontSize": 12, "color": INK},
    }


def ticks_of(low: float, high: float, steps: tuple[float, ...]) -> list[float]:
    """Return the steps within a range, thinned so that labels do not meet.

    Args:
        low: Lower end.
        high: Upper end.
        steps: All places for a tick, in order.
    """
    inside = [step for step in steps if low <= step <= high]
    every = -(-len(inside) // 6) or 1
    return list(itertools.islice(inside, 0, None, every))
