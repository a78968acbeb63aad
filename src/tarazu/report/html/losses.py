"""How training went: losses by epoch as curve and table, and the reading of them (Q3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tarazu.comparison.entries import metric_order
from tarazu.record.record import RunRecord
from tarazu.report.dynamics import read_dynamics
from tarazu.report.html.charts import LossPoint, losses
from tarazu.report.html.parts import Cell, Figure, Heading, Passage, Row, Table, number
from tarazu.report.html.source import Source, entry_name
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name


def loss_passages(source: Source, write: Writer) -> list[Passage]:
    """Build one passage per trained entry."""
    runs: dict[str, list[RunRecord]] = {}
    for record in source.used:
        if record.epochs:
            runs.setdefault(entry_name(record), []).append(record)
    return [
        _passage(entry, place, records, write)
        for place, (entry, records) in enumerate(runs.items())
    ]


def _passage(entry: str, place: int, records: Sequence[RunRecord], write: Writer) -> Passage:
    readings = [(record.seed, _readings(record, write)) for record in records]
    several = len({tuple(lines) for _, lines in readings}) > 1
    lines = [
        write.say("of_seed", seed=write.digits(str(seed)), text=line) if several else line
        for seed, said in (readings if several else readings[:1])
        for line in said
    ]
    return Passage(
        entry,
        tables=(_table(entry, records, write),),
        figures=_figures(entry, place, records, write),
        lines=tuple(lines),
    )


def _readings(record: RunRecord, write: Writer) -> list[str]:
    names = metric_order(name for epoch in record.epochs for name in epoch.metrics)
    found = read_dynamics(record.epochs, names[0] if names else None)
    return [write.text(finding.text) for finding in found]


def _figures(
    entry: str, place: int, records: Sequence[RunRecord], write: Writer
) -> tuple[Figure, ...]:
    points = []
    for record in records:
        for epoch in record.epochs:
            kept = epoch.epoch == record.selected_epoch
            values = {"training": epoch.train_loss, "validation": epoch.validation_loss}
            points += [
                LossPoint(epoch.epoch, value, series, record.seed, kept)
                for series, value in values.items()
                if value is not None and math.isfinite(value)
            ]
    if len({point.epoch for point in points}) < 2:
        return ()  # one point shows no course
    svg = losses(points, write.say("epoch"), write.say("loss"), write.language, f"loss-{place}")
    title = write.say("loss_title", entry=write.name(entry))
    return (Figure(svg, title, write.say("loss_about", entry=write.name(entry))),)


def _table(entry: str, records: Sequence[RunRecord], write: Writer) -> Table:
    names = metric_order(
        name for record in records for epoch in record.epochs for name in epoch.metrics
    )
    several = len(records) > 1
    heads = [
        *([Heading(write.say("seed"), numeric=True)] if several else []),
        Heading(write.say("epoch"), numeric=True),
        Heading(write.say("training_loss"), numeric=True),
        Heading(write.say("validation_loss"), numeric=True),
        *(
            Heading(
                write.say("validation_metric", metric=write.text(metric_name(metric))),
                numeric=True,
            )
            for metric in names
        ),
    ]
    rows = [
        Row(
            (
                *([number(write.digits(str(record.seed)), record.seed)] if several else []),
                _epoch(epoch.epoch, epoch.epoch == record.selected_epoch, write),
                number(write.loss(epoch.train_loss), epoch.train_loss),
                number(write.loss(epoch.validation_loss), epoch.validation_loss),
                *(
                    number(write.percent(epoch.metrics.get(metric)), epoch.metrics.get(metric))
                    for metric in names
                ),
            )
        )
        for record in records
        for epoch in record.epochs
    ]
    title = write.say("loss_title", entry=write.name(entry))
    return Table(tuple(heads), tuple(rows), title)


def _epoch(epoch: int, kept: bool, write: Writer) -> Cell:
    text = write.number(epoch)
    return Cell(write.say("kept", epoch=text) if kept else text, epoch, "number", strong=kept)
