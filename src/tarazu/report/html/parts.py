"""What a page is made of, as plain data: tables, charts and passages, before any HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tarazu.report.numbers import NOTHING
from tarazu.report.plain import one_line

Kind = Literal["words", "number", "name", "code", "prose", "foreign"]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it shows.
        sort: What its column is sorted by; None comes last in either direction.
        kind: ``words`` of the report, a ``number``, a ``name``, ``code``, ``prose`` of the
            report, or ``foreign`` words that stand in the records as they are.
        strong: Whether it is set off from its column.
    """

    text: str
    sort: float | str | None = None
    kind: Kind = "words"
    strong: bool = False


@dataclass(frozen=True)
class Heading:
    """Heading of a column.

    Attributes:
        text: Its words.
        numeric: Whether numbers stand below it.
        about: A longer explanation, shown when pointed at.
    """

    text: str
    numeric: bool = False
    about: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        cells: One per column.
        style: ``other`` for another form of the entry above, ``failed`` for a failed one.
    """

    cells: tuple[Cell, ...]
    style: Literal["", "other", "failed"] = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        headings: Of the columns.
        rows: The rows.
        title: What the table shows, for those who cannot see it.
        sortable: Whether each column can be sorted by.
        notes: Lines below it.
    """

    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    title: str
    sortable: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A chart.

    Attributes:
        svg: The drawing.
        title: Its caption.
        about: What it shows, in words.
    """

    svg: str
    title: str
    about: str


@dataclass(frozen=True)
class Passage:
    """A piece of a section that can be opened, such as one entry's page.

    Attributes:
        title: A name.
        about: A few words beside it.
        html: Rendered Markdown; empty without one.
        blocks: Titled texts, such as prompts.
        tables: Tables.
        figures: Charts.
        lines: Sentences.
    """

    title: str
    about: str = ""
    html: str = ""
    blocks: tuple[Block, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """A text shown as it is, line by line.

    Attributes:
        title: What it is.
        text: The text.
        kind: ``text`` in any language, ``code`` from left to right, or ``words`` on one line.
    """

    title: str
    text: str
    kind: Literal["text", "code", "words"] = "text"


def name(text: str) -> Cell:
    """Return the cell of a name."""
    return Cell(text, sort=one_line(text).casefold(), kind="name")


def number(text: str, value: float | None) -> Cell:
    """Return the cell of a number."""
    return Cell(text, sort=value, kind="number")


def words(text: str) -> Cell:
    """Return a cell of words."""
    return Cell(text or NOTHING, sort=one_line(text).casefold() or None)


def prose(text: str) -> Cell:
    """Return the cell of a sentence of the report."""
    return Cell(text or NOTHING, kind="prose")


def row(*cells: Cell) -> Row:
    """Return a row."""
    return Row(cells)


def headings(*texts: str, numeric: Sequence[int] = ()) -> tuple[Heading, ...]:
    """Return headings, given the places of those above numbers."""
    return tuple(Heading(text, place in numeric) for place, text in enumerate(texts))
