"""The results as a piece of a page, for notebooks."""

from __future__ import annotations

from tarazu.report.html.final_table import final_tables, foot
from tarazu.report.html.header import header
from tarazu.report.html.page import environment
from tarazu.report.html.source import Source
from tarazu.report.html.writer import Writer
from tarazu.text import Language


def html_fragment(source: Source, language: Language = "en") -> str:
    """Return what won and the final table; a notebook gives them its own looks.

    Args:
        source: What it is made from.
        language: Of words and numbers.
    """
    write = Writer(language)
    return (
        environment()
        .get_template("fragment.html.jinja")
        .render(
            say=write.say,
            language=language,
            direction="rtl" if language == "fa" else "ltr",
            header=header(source, write),
            tables=final_tables(source, write),
            foot=foot(source, write),
        )
    )
