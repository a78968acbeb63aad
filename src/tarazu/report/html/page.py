"""Records → one page: sections as plain data, then a template for each."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tarazu.report.html import again, data_part, final_table, header, losses, method_part
from tarazu.report.html.browser import failures_part
from tarazu.report.html.cost_part import cost_tables
from tarazu.report.html.pareto import pareto_parts
from tarazu.report.html.prompt_part import prompt_passages
from tarazu.report.html.size_part import size_parts
from tarazu.report.html.source import Source
from tarazu.report.html.standing import standing_parts
from tarazu.report.html.tuning_part import tuning_part
from tarazu.report.html.writer import Writer
from tarazu.report.persian import isolated
from tarazu.report.plain import one_line, plain
from tarazu.text import Language

SECTIONS = (
    "results", "standing", "pareto", "costs", "sizes", "tuning", "dynamics", "failures", "data",
    "prompts", "methods", "settings", "events", "again", "sources",
)  # fmt: skip
"""Sections below the head, in order; each is the template of the same name."""


def html_page(source: Source, language: Language) -> str:
    """Return the whole report as one page that needs nothing else.

    Args:
        source: What it is made from.
        language: Of all its words and numbers.
    """
    write = Writer(language)
    style, script = asset("style.css"), asset("script.js")
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            **page_names(source, write, page_parts(source, write)),
            style=Markup(style),
            script=Markup(script),
            policy=policy(style, script),
        )
    )


def page_names(source: Source, write: Writer, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template of a whole page names.

    Args:
        source: What it is made from.
        write: Writes in its language.
        parts: What each section shows; one with nothing to show is left out.
    """
    return {
        "write": write,
        "say": write.say,
        "language": write.language,
        "direction": "rtl" if write.language == "fa" else "ltr",
        "sections": [name for name in SECTIONS if parts[name]],
        "parts": parts,
        "header": header.header(source, write),
    }


def page_parts(source: Source, write: Writer) -> dict[str, Any]:
    """Return what each section shows, by its name."""
    return {
        "results": {
            "tables": final_table.final_tables(source, write),
            "foot": final_table.foot(source, write),
        },
        "standing": standing_parts(source, write),
        "pareto": pareto_parts(source, write),
        "costs": cost_tables(source, write),
        "sizes": size_parts(source, write),
        "tuning": tuning_part(source, write),
        "dynamics": losses.loss_passages(source, write),
        "failures": failures_part(source, write),
        "data": data_part.data_part(source, write),
        "prompts": prompt_passages(source, write),
        "methods": method_part.method_passages(source, write),
        "settings": method_part.setting_passages(source, write),
        "events": method_part.event_rows(source, write),
        "again": again.again_part(source, write),
        "sources": {
            "citations": again.citations(source),
            "licences": again.licence_rows(source, write),
        },
    }


@cache
def environment() -> Environment:
    """Return the templates' environment: everything is escaped, and a missing name is an error."""
    made = Environment(
        loader=PackageLoader("tarazu.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Whatever comes from records loses the signs that reorder or hide text.
    made.filters |= {"plain": plain, "one_line": one_line, "isolate": isolated, "trusted": Markup}
    return made


@cache
def asset(name: str) -> str:
    """Return a style sheet or a script that lies with the templates."""
    return (files("tarazu.report.html") / "templates" / name).read_text("utf-8")


def policy(style: str, script: str) -> str:
    """Return the page's Content-Security-Policy: its own style and script, and no network.

    Args:
        style: The style sheet between its tags.
        script: The script between its tags.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{_sha(style)}'",
            f"script-src 'sha256-{_sha(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _sha(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
