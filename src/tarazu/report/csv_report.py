"""Entries → CSV, one row per entry and test split, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tarazu.comparison.costs import Costs, Price, costs
from tarazu.comparison.entries import EntryResult, entries, metric_order
from tarazu.comparison.result import leading
from tarazu.report.notes import notes
from tarazu.report.plain import one_line

if TYPE_CHECKING:
    from tarazu.comparison.result import Comparison
    from tarazu.record.record import RunRecord

# A cell that begins so is run as a formula by spreadsheets (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | None


def csv_report(
    records: Sequence[RunRecord],
    comparisons: Sequence[Comparison] = (),
    price: Price | None = None,
) -> str:
    """Return all entries as CSV; shares are in 0 … 1, times in seconds, sizes in bytes.

    Args:
        records: All records of a study.
        comparisons: Its entries held against each other.
        price: Of the machine: adds what training, tuning and a thousand answers cost in money.
    """
    rows = entries(records)
    names = metric_order(name for row in rows for name in row.metrics)
    known = {(one.entry, one.model): one for one in costs(records)} if price else {}
    table = [
        _row(row, names, comparisons)
        | (_money(known.get((row.entry, row.model)), row, price) if price else {})
        for row in rows
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if table:
        writer.writerow(table[0])
    for cells in table:
        writer.writerow([_safe(cell) for cell in cells.values()])
    return out.getvalue()


def _row(
    row: EntryResult, names: Sequence[str], comparisons: Sequence[Comparison]
) -> dict[str, Cell]:
    comparison = leading(comparisons, row.split) if row.split is not None else None
    interval = comparison.intervals.get(row.id) if comparison is not None else None
    compared = {one.metric for one in comparisons if leading(comparisons, one.split) is one}
    cells: dict[str, Cell] = {
        "entry": row.id,
        "method": row.method,
        "model": row.model,
        "form": row.variant,
        "split": row.split,
        "items": row.n,
        "seeds": " ".join(map(str, row.seeds)),
    }
    for name in names:
        spread = row.metrics.get(name)
        cells[name] = spread.mean if spread else None
        cells[f"{name}_sd"] = spread.sd if spread else None
        if name in compared:
            cells[f"{name}_low95"] = interval.low if interval else None
            cells[f"{name}_high95"] = interval.high if interval else None
    cells["group"] = comparison.letters.get(row.id) if comparison is not None else None
    parameters = row.parameters
    cells |= {
        "trained": parameters.trained if parameters else None,
        "head": parameters.head if parameters else None,
        "deployed_bytes": parameters.deployed_bytes if parameters else None,
        "train_seconds": row.seconds_by_phase.get("train"),
        "seconds": row.seconds,
        "peak_memory_bytes": row.peak_memory_bytes,
        "peak_device_bytes": row.peak_device_bytes,
        "notes": "; ".join(note.en for note in notes(row)),
    }
    return cells


def _money(cost: Costs | None, row: EntryResult, price: Price) -> dict[str, Cell]:
    """Return costs in money. How fast another form answers is not known from the primary one."""
    seconds = cost.seconds if cost else {}
    thousand = cost.seconds_per_thousand if cost and row.primary else None
    return {
        "money_tune": price.of(seconds.get("tune")),
        "money_train": price.of(seconds.get("train")),
        "money_per_thousand": price.of(thousand),
        "currency": price.currency,
    }


def _safe(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet runs; numbers stay numbers."""
    if not isinstance(cell, str):
        return cell
    text = one_line(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
