"""The page for paper: the same sections, all open, with a table of contents and no controls."""

from __future__ import annotations

import json
from dataclasses import replace

from markupsafe import Markup

from tarazu.report.html.browser import FailuresPart
from tarazu.report.html.examples import examples
from tarazu.report.html.page import asset, environment, page_names, page_parts
from tarazu.report.html.source import Source
from tarazu.report.html.writer import Writer
from tarazu.text import Language

# What these sections say of themselves on the screen is how to use their controls.
_ABOUT = {"results": "paper_results", "failures": "paper_failures"}


def paper_page(source: Source, language: Language) -> str:
    """Return the whole report as a page to be laid out on paper.

    Args:
        source: What it is made from.
        language: Of all its words and numbers.
    """
    write = Writer(language)
    parts = page_parts(source, write)
    failures: FailuresPart | None = parts["failures"]
    shown = []
    if failures is not None and failures.data:
        shown = examples(json.loads(failures.data), write)
        parts["failures"] = replace(failures, data="")
        if not (failures.analyses or shown):
            parts["failures"] = None
    style = "\n".join(
        asset(name)
        for name in ("style.css", "paper.css", *(["paper-fa.css"] if language == "fa" else []))
    )
    days = [record.finished[:10] for record in source.used if record.finished]
    return (
        environment()
        .get_template("paper.html.jinja")
        .render(
            **page_names(source, write, parts),
            about=_ABOUT,
            examples=shown,
            style=Markup(style),
            day=max(days, default=""),
        )
    )
