"""The final table (requirement N13), with everything by which entries are weighed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tarazu.comparison.entries import EntryResult, metric_order
from tarazu.comparison.result import Comparison
from tarazu.report.columns import splits, top_rows
from tarazu.report.html.parts import Cell, Heading, Row, Table, name, number, words
from tarazu.report.html.source import Source
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.notes import caption, footnotes, notes
from tarazu.report.numbers import NOTHING

Make = Callable[[EntryResult], Cell]
_EMPTY = Cell("", kind="number")


@dataclass(frozen=True)
class _Column:
    heading: Heading
    cell: Make


def final_tables(source: Source, write: Writer) -> list[tuple[str, Table]]:
    """Build the final table of each test split.

    Returns:
        Pairs of a split's name and its table; the name is empty when no run is done.
    """
    return [
        (split, _table(source, split, rows, write)) for split, rows in splits(list(source.rows))
    ]


def foot(source: Source, write: Writer) -> list[str]:
    """Return what must be said below the tables."""
    return [write.text(line) for line in (*footnotes(source.records), *source.below)]


def _table(source: Source, split: str, rows: Sequence[EntryResult], write: Writer) -> Table:
    columns = _columns(source, split, rows, write)
    return Table(
        tuple(column.heading for column in columns),
        tuple(Row(tuple(column.cell(row) for column in columns), _style(row)) for row in rows),
        write.say("table_title", split=write.name(split)),
        sortable=True,
        notes=(write.text(caption(rows)),),
    )


def _style(row: EntryResult) -> Literal["", "other", "failed"]:
    if not row.metrics:
        return "failed"
    return "" if row.primary else "other"


def _columns(
    source: Source, split: str, rows: Sequence[EntryResult], write: Writer
) -> list[_Column]:
    known = source.comparison(split)
    found = [_Column(Heading(write.say("entry")), _entry)]
    if any(row.model for row in rows):
        model = _Column(Heading(write.say("model")), lambda row: name(row.model or NOTHING))
        found.append(model)
    leading = source.metric(split)
    if leading is not None:
        found.append(_metric(leading, rows, write))
    if known is not None and known.pairs:
        found += _compared(known, write)
    found += _costs(rows, write)
    found.append(_trials(write))
    others = metric_order(metric for row in rows for metric in row.metrics)
    found += [_metric(metric, rows, write) for metric in others if metric != leading]
    if any(notes(row) for row in rows):
        heading = Heading(write.say("notes"))
        separator = "؛ " if write.language == "fa" else "; "
        found.append(
            _Column(heading, lambda row: words(separator.join(map(write.text, notes(row)))))
        )
    return found


def _entry(row: EntryResult) -> Cell:
    return name(row.id if row.primary else f"{row.entry} ↳ {row.variant}")


def _metric(metric: str, rows: Sequence[EntryResult], write: Writer) -> _Column:
    def mean(row: EntryResult) -> float | None:
        return row.metrics[metric].mean if metric in row.metrics else None

    best = top_rows(mean, rows)
    heading = write.say("in_percent", metric=write.text(metric_name(metric)))
    return _Column(
        Heading(heading, numeric=True),
        lambda row: Cell(
            write.spread(row.metrics.get(metric)), mean(row), "number", strong=row.id in best
        ),
    )


def _compared(known: Comparison, write: Writer) -> list[_Column]:
    def interval(row: EntryResult) -> Cell:
        found = known.intervals.get(row.id)
        return number(write.ends(found.low, found.high), found.low) if found else _EMPTY

    def letters(row: EntryResult) -> Cell:
        text = known.letters.get(row.id, "")
        return Cell(text, sort=text or None, kind="name")

    group = Heading(write.say("group"), about=write.say("group_about"))
    return [
        _Column(Heading(write.say("interval_95"), numeric=True), interval),
        _Column(group, letters),
    ]


def _costs(rows: Sequence[EntryResult], write: Writer) -> list[_Column]:
    def column(
        key: str, value: Callable[[EntryResult], float | None], show: Callable[[float], str]
    ) -> _Column:
        def cell(row: EntryResult) -> Cell:
            if not row.primary:  # it comes out of the same run
                return _EMPTY
            found = value(row)
            return number(NOTHING if found is None else show(found), found)

        return _Column(Heading(write.say(key), numeric=True), cell)

    found = [
        column("trained", _counted("trained"), write.number),
        column("head", _counted("head"), write.number),
        column("training", lambda row: row.seconds_by_phase.get("train"), write.duration),
        column("whole_run", lambda row: row.seconds, write.duration),
        column("memory", lambda row: row.peak_memory_bytes, lambda v: write.size(int(v))),
    ]
    if any(row.peak_device_bytes for row in rows):
        device = column(
            "device_memory", lambda row: row.peak_device_bytes, lambda v: write.size(int(v))
        )
        found.append(device)
    found.append(column("deployed", _counted("deployed_bytes"), lambda v: write.size(int(v))))
    return found


def _counted(what: str) -> Callable[[EntryResult], float | None]:
    return lambda row: getattr(row.parameters, what) if row.parameters else None


def _trials(write: Writer) -> _Column:
    def cell(row: EntryResult) -> Cell:
        return number(write.number(row.trials), row.trials) if row.primary else _EMPTY

    return _Column(Heading(write.say("trials"), True, write.say("trials_about")), cell)
