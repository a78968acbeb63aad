"""What quality costs: Pareto plots against time, memory and deployed size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tarazu.comparison.costs import Costs, costs, pareto_front
from tarazu.report import numbers
from tarazu.report.html.charts import Axis, CostPoint, pareto
from tarazu.report.html.parts import Cell, Figure, Table, headings, name, number, row
from tarazu.report.html.source import Source
from tarazu.report.html.svg import ticks_of
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.numbers import NOTHING

# Places for ticks, from few to many: the first that gives enough is taken.
_TIMES: tuple[tuple[float, ...], ...] = (
    (0.1, 1, 10, 60, 600, 3600, 36_000, 360_000),
    (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10_800, 36_000, 108_000, 360_000),
)
_SIZES = (
    tuple(float(10**power) for power in range(16)),
    tuple(float(step * 10**power) for power in range(16) for step in (1, 2, 5)),
)


@dataclass(frozen=True)
class Price:
    """Something that quality is paid with.

    Attributes:
        key: Its name among the words of the page.
        of: How much of it an entry takes; None when it is not known.
        write: A value in words.
        tick: A round value in few words.
        steps: Places for ticks, from few to many.
    """

    key: str
    of: Callable[[Costs], float | None]
    write: Callable[[float], str]
    tick: Callable[[float], str]
    steps: tuple[tuple[float, ...], ...]


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


def prices(write: Writer, *, tuned: bool) -> tuple[Price, ...]:
    """Return what quality is paid with.

    Args:
        write: Writes amounts.
        tuned: Whether trials belong to what an entry takes; the final table has its run alone.
    """
    run = "tuned_run" if tuned else "whole_run"

    def size(value: float) -> str:
        return write.size(round(value))

    def size_tick(value: float) -> str:
        return write.tick(numbers.size(round(value)))

    def time_tick(value: float) -> str:
        return write.tick(numbers.duration(value))

    def peak(memory: Mapping[str, int]) -> int | None:
        return max(memory.values(), default=None)

    return (
        Price(run, lambda c: c.total_seconds, write.duration, time_tick, _TIMES),
        Price("answering", lambda c: c.seconds_per_thousand, write.duration, time_tick, _TIMES),
        Price("memory", lambda c: peak(c.memory), size, size_tick, _SIZES),
        Price("device_memory", lambda c: peak(c.device_memory), size, size_tick, _SIZES),
        Price("deployed", lambda c: c.deployed_bytes, size, size_tick, _SIZES),
    )


@dataclass(frozen=True)
class _Priced:
    """An entry, its score and what it costs."""

    name: str
    quality: float
    cost: Costs


def pareto_parts(source: Source, write: Writer) -> list[ParetoPart]:
    """Build the section, one part per test split with at least two entries."""
    known = {(cost.entry, cost.model): cost for cost in costs(source.records)}
    parts = []
    for place, split in enumerate(source.splits()):
        metric = source.metric(split) or ""
        rows = [
            _Priced(row.id, row.metrics[metric].mean, known[row.entry, row.model])
            for row in source.finished(split)
            if metric in row.metrics
        ]
        if len(rows) > 1:
            parts.append(_part(split, place, metric, rows, write))
    return parts


def _part(
    split: str, place: int, metric: str, rows: Sequence[_Priced], write: Writer
) -> ParetoPart:
    figures, fronts = [], {}
    tuned = any("tune" in row.cost.seconds for row in rows)
    for price in prices(write, tuned=tuned):
        known = [(row, amount) for row in rows if (amount := price.of(row.cost)) is not None]
        if len(known) < 2:
            continue
        best = pareto_front({row.name: (row.quality, amount) for row, amount in known})
        fronts[price] = best
        figures.append(_figure(price, f"pareto-{place}", metric, known, best, write))
    return ParetoPart(split, tuple(figures), _table(metric, rows, fronts, write))


def _figure(
    price: Price,
    mark: str,
    metric: str,
    known: Sequence[tuple[_Priced, float]],
    best: set[str],
    write: Writer,
) -> Figure:
    scale = LogScale.over([amount for _, amount in known])
    title = write.say(price.key)
    ticks = [(scale.place(value), price.tick(value)) for value in scale.ticks(price.steps)]
    svg = pareto(
        [
            CostPoint(row.name, scale.place(amount), row.quality, row.name in best)
            for row, amount in known
        ],
        Axis(write.say("log_axis", cost=title), ticks),
        write.say("in_percent", metric=write.text(metric_name(metric))),
        write.language,
        f"{mark}-{price.key}",
    )
    leaders = [row.name for row, _ in known if row.name in best]
    about = write.say("pareto_about", cost=title, entries=write.listed(map(write.name, leaders)))
    return Figure(svg, write.say("pareto_title", cost=title), about)


def _table(
    metric: str, rows: Sequence[_Priced], fronts: Mapping[Price, set[str]], write: Writer
) -> Table:
    label = write.say("in_percent", metric=write.text(metric_name(metric)))
    titles = [write.say(price.key) for price in fronts]
    return Table(
        headings(write.say("entry"), label, *titles, numeric=range(1, 2 + len(titles))),
        tuple(
            row(
                name(one.name),
                number(write.percent(one.quality), one.quality),
                *(_amount(price, one, one.name in ids, write) for price, ids in fronts.items()),
            )
            for one in rows
        ),
        write.say("front_table"),
        sortable=True,
        notes=(write.say("front_note"),),
    )


def _amount(price: Price, one: _Priced, leads: bool, write: Writer) -> Cell:
    amount = price.of(one.cost)
    text = NOTHING if amount is None else price.write(amount)
    return Cell(text, amount, "number", strong=leads)


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
        span = math.log(self.high) - math.log(self.low)
        return first + (0.94 - first) * (
            (math.log(value) - math.log(self.low)) / span if span else 0.5
        )

    def ticks(self, steps: Sequence[tuple[float, ...]]) -> list[float]:
        """Return the values that get a tick: three or more where there are so many.

        Args:
            steps: Places for ticks, from few to many.
        """
        found: list[float] = []
        for every in steps:
            found = ticks_of(self.low, self.high, every)
            if len(found) > 2:
                break
        found = found or list(dict.fromkeys((self.low, self.high)))
        return [0.0, *found] if self.zero else found
