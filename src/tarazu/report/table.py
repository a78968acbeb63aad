"""The final table in the terminal (requirement N13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from tarazu.comparison.entries import EntryResult, entries
from tarazu.comparison.result import leading
from tarazu.report.columns import NOTES, Column, best_rows, columns, notes_text, splits
from tarazu.report.compared import summary_texts
from tarazu.report.html.writer import Writer
from tarazu.report.notes import caption, footnotes, notes
from tarazu.report.plain import own_line
from tarazu.text import Language
from tarazu.text import Text as Line

if TYPE_CHECKING:
    from tarazu.comparison.result import Comparison
    from tarazu.record.record import RunRecord

# A column's padding on both sides, and the separator.
_GAP = 3
_NARROWEST = {"Entry": 22, NOTES: 24}
_NARROWEST_TEXT = 10
# The right-to-left mark: a line that begins with it is Persian, whatever name comes first.
_MARK = "\u200f"
_NO_RUN = Line("No run is done.", "هیچ اجرایی به پایان نرسیده است.")


class FinalTable:
    """All entries of a study, as wide as the terminal allows.

    Numbers are never cut: where the page is narrow the columns of least value are left out, and
    notes move below the table.

    Args:
        records: All records of the study.
        comparisons: Its entries held against each other.
        below: Further lines below it.
        language: Of words and numbers. In Persian every line is laid out from right to left, by a
            terminal that can do so.
    """

    def __init__(
        self,
        records: Sequence[RunRecord],
        comparisons: Sequence[Comparison] = (),
        below: Sequence[Line] = (),
        language: Language = "en",
    ) -> None:
        self._records = records
        self._comparisons = comparisons
        self._below = below
        self._write = Writer(language)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render one table per split, then the foot."""
        write = self._write
        if not any(record.stage == "final" for record in self._records):
            yield _line(_NO_RUN.in_(write.language), write)
            return
        study = write.name(self._records[0].spec.study)
        task = write.name(self._records[0].task)
        for split, rows in splits(entries(self._records)):
            shown = write.name(split) if split else ""
            title = " · ".join(part for part in (study, task, shown) if part)
            yield _line(title, write, "bold")
            comparison = leading(self._comparisons, split)
            every = columns(rows, comparison, write.language)
            kept = fitting(every, rows, options.max_width, write.language)
            yield _table(kept, rows, write)
            yield _said(caption(rows), write)
            for said in summary_texts(comparison) if comparison is not None else ():
                yield _said(said, write)
            yield from _notes_below(every, kept, rows, write)
        for line in (*footnotes(self._records), *self._below):
            yield _said(line, write)


def _said(text: Line, write: Writer) -> Text:
    # A terminal shows no-break spaces as they are, so English stays as it is.
    return _line(write.text(text) if write.language == "fa" else text.en, write, "dim")


def _line(line: str, write: Writer, style: str = "") -> Text:
    return Text(own_line(f"{_MARK}{line}" if write.language == "fa" else line), style=style)


def fitting(
    every: list[Column], rows: Sequence[EntryResult], width: int, language: Language = "en"
) -> list[Column]:
    """Return the columns that fit a width, leaving out the least important ones.

    Args:
        every: All columns.
        rows: The rows they will show.
        width: Cells available.
        language: Of the headings.
    """
    kept = list(every)
    while sum(_needed(column, rows, language) + _GAP for column in kept) - _GAP > width:
        spare = [column for column in kept if column.keep is not None]
        if not spare:
            break
        kept.remove(min(spare, key=lambda column: column.keep or 0))
    return kept


def _needed(column: Column, rows: Sequence[EntryResult], language: Language) -> int:
    """Return the least width of a column: numbers whole, names and notes may wrap."""
    title = column.title(language)
    widest = max([cell_len(column.cell(row)) for row in rows] + [cell_len(title)])
    if column.numeric:
        return widest
    return min(widest, _NARROWEST.get(column.heading, _NARROWEST_TEXT))


def _table(kept: list[Column], rows: Sequence[EntryResult], write: Writer) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    # Every line of a Persian table begins with a mark: rows run the way that their heading does.
    marks = [_MARK if write.language == "fa" else "", *[""] * (len(kept) - 1)]
    for column, mark in zip(kept, marks, strict=True):
        table.add_column(
            mark + column.title(write.language),
            justify="right" if column.numeric else "left",
            no_wrap=column.numeric,
            # Rich shrinks columns that may wrap first; the least width protects the numbers.
            min_width=_needed(column, rows, write.language),
            overflow="fold",
        )
    best = [best_rows(column, rows) for column in kept]
    for row in rows:
        cells = [
            Text(mark + column.cell(row), style="bold green" if row.id in top else "")
            for column, mark, top in zip(kept, marks, best, strict=True)
        ]
        table.add_row(*cells, style="" if row.primary else "dim")
    return table


def _notes_below(
    every: list[Column], kept: list[Column], rows: Sequence[EntryResult], write: Writer
) -> RenderResult:
    if len(kept) < len(every) and not any(column.heading == NOTES for column in kept):
        for row in rows:
            if notes(row):
                yield _line(f"{write.name(row.id)}: {notes_text(row, write.language)}", write)
