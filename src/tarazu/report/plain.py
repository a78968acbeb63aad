"""Foreign text made harmless: data, models and records never steer a terminal or a page."""

from __future__ import annotations

import re

# Control characters (C0 but tab and newline, DEL, C1) start terminal escape sequences; the
# directional overrides reorder what is shown; lone surrogates cannot be written as UTF-8. The
# zero-width non-joiner stays: Persian is wrong without it.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BUT_MARKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~$]|(?<![^\W_])_|_(?![^\W_])")


def plain(text: object) -> str:
    """Return a text without the characters that steer a terminal."""
    return _CONTROL.sub("", str(text))


def escaped(said: str) -> str:
    """Return JSON, or a log, that says the same and steers no terminal: characters are escaped."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", said)


def one_line(text: object) -> str:
    """Return a harmless text on one line: all white space becomes single spaces."""
    # White space first: a carriage return parts words before it is stripped as a control.
    return plain(" ".join(str(text).split()))


def own_line(text: str) -> str:
    """Return a text of ours on one harmless line; the marks that isolate foreign words stay."""
    return _CONTROL_BUT_MARKS.sub("", re.sub(r"[\t\r\n]+", " ", text))


def shorten(text: object, length: int) -> str:
    """Return a harmless one-line text of at most `length` characters, an ellipsis included."""
    line = one_line(text)
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def markdown_inline(text: object) -> str:
    """Return a text that Markdown shows literally, in a paragraph or a table cell."""
    return _MARKDOWN.sub(lambda match: "\\" + match[0], one_line(text))


def markdown_sentence(sentence: str) -> str:
    """Return a sentence of ours that Markdown shows literally.

    Args:
        sentence: Foreign text in it is harmless already; the marks that keep it apart stay.
    """
    return _MARKDOWN.sub(lambda match: "\\" + match[0], own_line(sentence))


def markdown_block(text: object) -> str:
    """Return a text as a fenced block that it cannot break out of."""
    body = plain(text)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def markdown_table(headings: list[str], rows: list[list[str]], numeric: set[int]) -> str:
    """Return a Markdown table. Cells are given ready, escaped where they are foreign text.

    Args:
        headings: Column headings.
        rows: Cells by row.
        numeric: Columns that are aligned to the right.
    """
    rule = ["---:" if column in numeric else "---" for column in range(len(headings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [headings, rule, *rows])
