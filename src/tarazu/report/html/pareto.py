"""What quality costs: Pareto plots against time, memory and deployed size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tarazu.comparison.entries import EntryResult
from tarazu.comparison.pareto import front
from tarazu.report.html.charts import Axis, CostPoint, pareto
from tarazu.report.html.parts import Cell, Figure, Table, headings, name, number, row
from tarazu.report.html.source import Source
from tarazu.report.html.svg import ticks_of
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name

_TIMES = (0.1, 1, 10, 60, 600, 3600, 36_000, 360_000)
_SIZES = tuple(float(10**power) for power in range(16))


@dataclass(frozen=True)
class Cost:
    """Something that quality is paid with.

    Attributes:
        key: Its name among the words of the page.
        of: How much of it an entry takes; None when it is not known.
        write: A value in words.
        steps: Places for ticks.
    """

    key: str
    of: Callable[[EntryResult], float | None]
    write: Callable[[float], str]
    steps: tuple[float, ...]


@dataclass(frozen=True)
class ParetoPart:
    """The section for one split.

    Attributes:
        split: The split.
        figures: One per cost.
        table: Who is on which front.
    """

    split: str
    figures: tuple[Figure, ...]
    table: Table


def costs(write: Writer) -> tuple[Cost, ...]:
    """Return what quality is paid with."""

    def size(value: float) -> str:
        return write.size(round(value))

    return (
        Cost("whole_run", lambda entry: entry.seconds, write.duration, _TIMES),
        Cost("memory", lambda entry: entry.peak_memory_bytes, size, _SIZES),
        Cost("device_memory", lambda entry: entry.peak_device_bytes, size, _SIZES),
        Cost(
            "deployed",
            lambda entry: entry.parameters.deployed_bytes if entry.parameters else None,
            size,
            _SIZES,
        ),
    )


def pareto_parts(source: Source, write: Writer) -> list[ParetoPart]:
    """Build the section, one part per test split with at least two entries."""
    parts = []
    for place, split in enumerate(source.splits()):
        metric = source.metric(split)
        rows = [entry for entry in source.finished(split) if metric in entry.metrics]
        if metric is not None and len(rows) > 1:
            parts.append(_part(split, place, metric, rows, write))
    return parts


def _part(
    split: str, place: int, metric: str, rows: Sequence[EntryResult], write: Writer
) -> ParetoPart:
    figures, fronts = [], {}
    for cost in costs(write):
        known = [entry for entry in rows if cost.of(entry) is not None]
        if len(known) < 2:
            continue
        points = [(cost.of(entry) or 0.0, entry.metrics[metric].mean) for entry in known]
        leading = front(points)
        fronts[cost] = {entry.id for entry, leads in zip(known, leading, strict=True) if leads}
        figures.append(_figure(cost, place, metric, known, points, leading, write))
    return ParetoPart(split, tuple(figures), _table(metric, rows, fronts, write))


def _figure(
    cost: Cost,
    place: int,
    metric: str,
    rows: Sequence[EntryResult],
    points: Sequence[tuple[float, float]],
    leading: Sequence[bool],
    write: Writer,
) -> Figure:
    scale = LogScale.over([amount for amount, _ in points])
    drawn = [
        CostPoint(entry.id, scale.place(amount), quality, leads)
        for entry, (amount, quality), leads in zip(rows, points, leading, strict=True)
    ]
    title = write.say(cost.key)
    ticks = [(scale.place(value), cost.write(value)) for value in scale.ticks(cost.steps)]
    quality = write.say("in_percent", metric=write.text(metric_name(metric)))
    best = [entry.id for entry, leads in zip(rows, leading, strict=True) if leads]
    svg = pareto(
        drawn,
        Axis(write.say("log_axis", cost=title), ticks),
        quality,
        write.language,
        f"pareto-{place}-{cost.key}",
    )
    about = write.say(
        "pareto_about", cost=title, entries=write.listed(map(write.name, best))
    )
    return Figure(svg, write.say("pareto_title", cost=title), about)


def _table(
    metric: str,
    rows: Sequence[EntryResult],
    fronts: dict[Cost, set[str]],
    write: Writer,
) -> Table:
    on_any = [entry for entry in rows if any(entry.id in ids for ids in fronts.values())]
    label = write.say("in_percent", metric=write.text(metric_name(metric)))
    titles = [write.say(cost.key) for cost in fronts]
    return Table(
        headings(write.say("entry"), label, *titles, numeric=range(1, 2 + len(titles))),
        tuple(
            row(
                name(entry.id),
                number(write.spread(entry.metrics[metric]), entry.metrics[metric].mean),
                *(_mark(cost, entry, ids, write) for cost, ids in fronts.items()),
            )
            for entry in on_any
        ),
        write.say("front_table"),
        sortable=True,
        notes=(write.say("front_note"),),
    )


def _mark(cost: Cost, entry: EntryResult, ids: set[str], write: Writer) -> Cell:
    amount = cost.of(entry)
    if entry.id not in ids or amount is None:
        return number("", None)
    return number(f"● {cost.write(amount)}", amount)


@dataclass(frozen=True)
class LogScale:
    """A logarithmic axis on which zero has a place too, at its very start.

    Attributes:
        low: Smallest positive value shown.
        high: Largest value.
        zero: Whether there is a zero.
    """

    low: float
    high: float
    zero: bool

    @classmethod
    def over(cls, values: Sequence[float]) -> LogScale:
        """Return the scale for values, none of them negative."""
        positive = [value for value in values if value > 0]
        low, high = min(positive, default=1.0), max(positive, default=1.0)
        return cls(low, high, len(positive) < len(values))

    def place(self, value: float) -> float:
        """Return the place of a value between 0 and 1, with room at both ends."""
        first = 0.2 if self.zero else 0.06
        if value <= 0:
            return 0.06
        span = math.log(self.high / self.low)
        return first + (0.94 - first) * (math.log(value / self.low) / span if span else 0.5)

    def ticks(self, steps: tuple[float, ...]) -> list[float]:
        """Return the values that get a tick."""
        found = ticks_of(self.low, self.high, steps)
        if not found:
            found = list(dict.fromkeys((self.low, self.high)))
        return [0.0, *found] if self.zero else found
