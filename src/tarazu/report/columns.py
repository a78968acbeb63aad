"""The columns of the final table, shared by the terminal and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarazu.comparison.entries import EntryResult, metric_order
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.notes import notes
from tarazu.report.numbers import NOTHING
from tarazu.report.plain import one_line
from tarazu.text import Language

if TYPE_CHECKING:
    from tarazu.comparison.result import Comparison

NOTES = "Notes"
_HEADINGS = {"accuracy": "Accuracy %", "f1": "F1 %", "em": "EM %", "exact_match": "EM %"}
_PERSIAN = {
    "Entry": "روش", "Model": "مدل", "95 %": "بازهٔ ۹۵٪", "Group": "گروه",
    "Trained + head": "آموزش‌دیده + سر", "Training": "آموزش", "Whole run": "کل اجرا",
    "Deployed": "اندازهٔ استقرار", "Memory": "حافظه", "Device memory": "حافظهٔ شتاب‌دهنده",
    NOTES: "یادداشت‌ها",
}  # fmt: skip
# Never dropped: what the entries are compared by. Other metrics give way to what a run costs.
_MAIN_METRICS = tuple(_HEADINGS)


@dataclass(frozen=True)
class Column:
    """A column of the final table.

    Attributes:
        heading: Its heading in English, by which it is known.
        cell: Text of an entry's cell.
        numeric: Numbers are aligned to the right and never broken or cut.
        keep: Columns of least value go first where the page is narrow; None stays always.
        best: Value whose maximum is highlighted.
        persian: Its heading in Persian.
    """

    heading: str
    cell: Callable[[EntryResult], str]
    numeric: bool = True
    keep: int | None = None
    best: Callable[[EntryResult], float | None] = lambda entry: None
    persian: str = ""

    def title(self, language: Language) -> str:
        """Return the heading in a language."""
        return (self.persian or _PERSIAN[self.heading]) if language == "fa" else self.heading


def columns(
    rows: Sequence[EntryResult], comparison: Comparison | None = None, language: Language = "en"
) -> list[Column]:
    """Return the columns that say something about these rows.

    Args:
        rows: The entries of one table.
        comparison: The entries held against each other by their primary metric.
        language: Of the cells.
    """
    write = Writer(language)
    found = [Column("Entry", lambda row: _name(row, write), numeric=False)]
    if len({row.model for row in rows}) > 1:
        found.append(Column("Model", lambda row: _model(row, write), numeric=False, keep=4))
    for name in metric_order(name for row in rows for name in row.metrics):
        found.append(_metric(name, write))
        if comparison is not None and comparison.metric == name and comparison.pairs:
            found += _compared(comparison, write)
    found += [
        Column("Trained + head", lambda row: _trained(row, write), keep=9),
        Column("Training", _own(lambda row: _training(row, write)), keep=8),
        Column("Whole run", _own(lambda row: write.duration(row.seconds)), keep=7),
        Column("Deployed", _own(lambda row: _deployed(row, write)), keep=3),
        Column("Memory", _own(lambda row: write.size(row.peak_memory_bytes)), keep=5),
    ]
    if any(row.peak_device_bytes for row in rows):
        device = _own(lambda row: write.size(row.peak_device_bytes))
        found.append(Column("Device memory", device, keep=6))
    if any(notes(row) for row in rows):
        found.append(Column(NOTES, lambda row: notes_text(row, language), numeric=False, keep=2))
    return found


def notes_text(row: EntryResult, language: Language = "en") -> str:
    """Return the notes of an entry on one line.

    Args:
        row: The entry.
        language: Of the notes.
    """
    if language == "en":
        return "; ".join(note.en for note in notes(row))
    return "؛ ".join(map(Writer(language).text, notes(row)))


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


def _metric(name: str, write: Writer) -> Column:
    def mean(row: EntryResult) -> float | None:
        return row.metrics[name].mean if name in row.metrics else None

    heading = _HEADINGS.get(name, f"{one_line(name).replace('_', ' ')} %")
    return Column(
        heading,
        lambda row: write.spread(row.metrics.get(name)),
        keep=None if name in _MAIN_METRICS else 1,
        best=mean,
        persian=f"{metric_name(name).fa} (٪)",
    )


def _compared(comparison: Comparison, write: Writer) -> list[Column]:
    def ends(row: EntryResult) -> str:
        found = comparison.intervals.get(row.id)
        return write.ends(found.low, found.high) if found else NOTHING

    def group(row: EntryResult) -> str:
        return write.name(comparison.letters.get(row.id, ""))

    return [Column("95 %", ends, keep=6), Column("Group", group, numeric=False, keep=10)]


def _name(row: EntryResult, write: Writer) -> str:
    return write.name(row.id) if row.primary else f"↳ {write.name(row.variant)}"


def _model(row: EntryResult, write: Writer) -> str:
    return write.name(row.model) if row.model else NOTHING


def _own(cell: Callable[[EntryResult], str]) -> Callable[[EntryResult], str]:
    """Leave a cell empty for other forms: they come out of the same run."""
    return lambda row: cell(row) if row.primary else ""


def _trained(row: EntryResult, write: Writer) -> str:
    if not row.primary:
        return ""
    if row.parameters is None:
        return NOTHING
    head = f" + {row.parameters.head:,}" if row.parameters.head else ""
    return write.prose(f"{row.parameters.trained:,}{head}")


def _training(row: EntryResult, write: Writer) -> str:
    return write.duration(row.seconds_by_phase.get("train"))


def _deployed(row: EntryResult, write: Writer) -> str:
    return write.size(row.parameters.deployed_bytes if row.parameters else None)
