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
from tarazu.report.columns import NOTES, Column, best_rows, columns, splits
from tarazu.report.compared import summary
from tarazu.report.notes import caption, footnotes, notes
from tarazu.report.plain import one_line
from tarazu.text import Text as Line

if TYPE_CHECKING:
    from tarazu.comparison.result import Comparison
    from tarazu.record.record import RunRecord

# A column's padding on both sides, and the separator.
_GAP = 3
_NARROWEST = {"Entry": 22, NOTES: 24}
_NARROWEST_TEXT = 10


class FinalTable:
    """All entries of a study, as wide as the terminal allows.

    Numbers are never cut: where the page is narrow the columns of least value are left out, and
    notes move below the table.

    Args:
        records: All records of the study.
        comparisons: Its entries held against each other.
        below: Further lines below it.
    """

    def __init__(
        self,
        records: Sequence[RunRecord],
        comparisons: Sequence[Comparison] = (),
        below: Sequence[Line] = (),
    ) -> None:
        self._records = records
        self._comparisons = comparisons
        self._below = below

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render one table per split, then the foot."""
        if not any(record.stage == "final" for record in self._records):
            yield Text("No run is done.")
            return
        study = one_line(self._records[0].spec.study)
        task = one_line(self._records[0].task)
        for split, rows in splits(entries(self._records)):
            title = " · ".join(part for part in (study, task, one_line(split)) if part)
            yield Text(title, style="bold")
            comparison = leading(self._comparisons, split)
            every = columns(rows, comparison)
            kept = fitting(every, rows, options.max_width)
            yield _table(kept, rows)
            yield Text(caption(rows).en, style="dim")
            for said in summary(comparison) if comparison is not None else ():
                yield Text(said, style="dim")
            yield from _notes_below(every, kept, rows)
        for line in (*footnotes(self._records), *self._below):
            yield Text(line.en, style="dim")


def fitting(every: list[Column], rows: Sequence[EntryResult], width: int) -> list[Column]:
    """Return the columns that fit a width, leaving out the least important ones.

    Args:
        every: All columns.
        rows: The rows they will show.
        width: Cells available.
    """
    kept = list(every)
    while sum(_needed(column, rows) + _GAP for column in kept) - _GAP > width:
        spare = [column for column in kept if column.keep is not None]
        if not spare:
            break
        kept.remove(min(spare, key=lambda column: column.keep or 0))
    return kept


def _needed(column: Column, rows: Sequence[EntryResult]) -> int:
    """Return the least width of a column: numbers whole, names and notes may wrap."""
    widest = max([cell_len(column.cell(row)) for row in rows] + [cell_len(column.heading)])
    if column.numeric:
        return widest
    return min(widest, _NARROWEST.get(column.heading, _NARROWEST_TEXT))


def _table(kept: list[Column], rows: Sequence[EntryResult]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for column in kept:
        table.add_column(
            column.heading,
            justify="right" if column.numeric else "left",
            no_wrap=column.numeric,
            # Rich shrinks columns that may wrap first; the least width protects the numbers.
            min_width=_needed(column, rows),
            overflow="fold",
        )
    best = [best_rows(column, rows) for column in kept]
    for row in rows:
        cells = [
            Text(column.cell(row), style="bold green" if row.id in top else "")
            for column, top in zip(kept, best, strict=True)
        ]
        table.add_row(*cells, style="" if row.primary else "dim")
    return table


def _notes_below(
    every: list[Column], kept: list[Column], rows: Sequence[EntryResult]
) -> RenderResult:
    if len(kept) < len(every) and not any(column.heading == NOTES for column in kept):
        for row in rows:
            if notes(row):
                yield Text(f"{one_line(row.id)}: {'; '.join(note.en for note in notes(row))}")
