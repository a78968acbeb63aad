"""The columns of the final table, shared by the terminal and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarazu.comparison.entries import EntryResult, metric_order
from tarazu.report.compared import interval_text
from tarazu.report.notes import notes
from tarazu.report.numbers import NOTHING, duration, percent, size
from tarazu.report.plain import one_line

if TYPE_CHECKING:
    from tarazu.comparison.result import Comparison

NOTES = "Notes"
_HEADINGS = {"accuracy": "Accuracy %", "f1": "F1 %", "em": "EM %", "exact_match": "EM %"}
# Never dropped: what the entries are compared by. Other metrics give way to what a run costs.
_MAIN_METRICS = tuple(_HEADINGS)


@dataclass(frozen=True)
class Column:
    """A column of the final table.

    Attributes:
        heading: Its heading.
        cell: Text of an entry's cell.
        numeric: Numbers are aligned to the right and never broken or cut.
        keep: Columns of least value go first where the page is narrow; None stays always.
        best: Value whose maximum is highlighted.
    """

    heading: str
    cell: Callable[[EntryResult], str]
    numeric: bool = True
    keep: int | None = None
    best: Callable[[EntryResult], float | None] = lambda entry: None


def columns(rows: Sequence[EntryResult], comparison: Comparison | None = None) -> list[Column]:
    """Return the columns that say something about these rows.

    Args:
        rows: The entries of one table.
        comparison: The entries held against each other by their primary metric.
    """
    found = [Column("Entry", _name, numeric=False)]
    if len({row.model for row in rows}) > 1:
        model = Column("Model", lambda row: one_line(row.model or NOTHING), numeric=False, keep=4)
        found.append(model)
    for name in metric_order(name for row in rows for name in row.metrics):
        found.append(_metric(name))
        if comparison is not None and comparison.metric == name and comparison.pairs:
            found += _compared(comparison)
    found += [
        Column("Trained + head", _trained, keep=9),
        Column("Training", _training, keep=8),
        Column("Whole run", _own(lambda row: duration(row.seconds)), keep=7),
        Column("Deployed", _deployed, keep=3),
        Column("Memory", _own(lambda row: size(row.peak_memory_bytes)), keep=5),
    ]
    if any(row.peak_device_bytes for row in rows):
        device = _own(lambda row: size(row.peak_device_bytes))
        found.append(Column("Device memory", device, keep=6))
    if any(notes(row) for row in rows):
        found.append(
            Column(
                NOTES, lambda row: "; ".join(note.en for note in notes(row)), numeric=False, keep=2
            )
        )
    return found


def best_rows(column: Column, rows: Sequence[EntryResult]) -> set[str]:
    """Return the ids of the rows with a column's highest value; only primary forms compete."""
    return top_rows(column.best, rows)


def top_rows(value: Callable[[EntryResult], float | None], rows: Sequence[EntryResult]) -> set[str]:
    """Return the ids of the rows with the highest value; only primary forms compete."""
    values = {row.id: value(row) for row in rows if row.primary}
    known = [found for found in values.values() if found is not None and found == found]
    if len(known) < 2:
        return set()
    # Means of equal scores may differ in the last bit.
    top = max(known) - 1e-12
    return {name for name, found in values.items() if found is not None and found >= top}


def splits(rows: Sequence[EntryResult]) -> list[tuple[str, list[EntryResult]]]:
    """Return the rows of each split, in order; entries without results stand in every one.

    Args:
        rows: All entries.
    """
    names = list(dict.fromkeys(row.split for row in rows if row.split is not None))
    if not names:
        return [("", list(rows))] if rows else []
    return [(name, [row for row in rows if row.split in (name, None)]) for name in names]


def _metric(name: str) -> Column:
    def mean(row: EntryResult) -> float | None:
        return row.metrics[name].mean if name in row.metrics else None

    heading = _HEADINGS.get(name, f"{one_line(name).replace('_', ' ')} %")
    keep = None if name in _MAIN_METRICS else 1
    return Column(heading, lambda row: percent(row.metrics.get(name)), keep=keep, best=mean)


def _compared(comparison: Comparison) -> list[Column]:
    def ends(row: EntryResult) -> str:
        return interval_text(comparison.intervals.get(row.id))

    def group(row: EntryResult) -> str:
        return comparison.letters.get(row.id, "")

    return [Column("95 %", ends, keep=6), Column("Group", group, numeric=False, keep=10)]


def _name(row: EntryResult) -> str:
    return one_line(row.id) if row.primary else f"↳ {one_line(row.variant)}"


def _own(cell: Callable[[EntryResult], str]) -> Callable[[EntryResult], str]:
    """Leave a cell empty for other forms: they come out of the same run."""
    return lambda row: cell(row) if row.primary else ""


def _trained(row: EntryResult) -> str:
    if not row.primary:
        return ""
    if row.parameters is None:
        return NOTHING
    head = f" + {row.parameters.head:,}" if row.parameters.head else ""
    return f"{row.parameters.trained:,}{head}"


def _training(row: EntryResult) -> str:
    return duration(row.seconds_by_phase.get("train")) if row.primary else ""


def _deployed(row: EntryResult) -> str:
    return size(row.parameters.deployed_bytes if row.parameters else None) if row.primary else ""
