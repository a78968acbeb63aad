"""What each step took: time, tokens per second, memory, and money where a price is stated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tarazu.comparison.costs import Costs, costs
from tarazu.report.html.parts import Cell, Row, Table, headings, name, number
from tarazu.report.html.source import Source
from tarazu.report.html.writer import Writer
from tarazu.report.numbers import NOTHING
from tarazu.report.price import priced_steps

_STEPS = ("load", "tune", "train", "evaluate", "merge")


@dataclass(frozen=True)
class _Column:
    """A column of numbers.

    Attributes:
        title: Its heading.
        of: The value of an entry; None when it is not known.
        write: A value in words.
    """

    title: str
    of: Callable[[Costs], float | None]
    write: Callable[[float], str]


def cost_tables(source: Source, write: Writer) -> list[Table]:
    """Build the section: times with speeds, and peaks of memory; nothing where no run is done."""
    found = costs(source.records)
    if not found:
        return []
    times = [
        *_times(found, write),
        _Column(write.say("rate_train"), lambda c: c.train_tokens_per_second, write.number),
        _Column(write.say("rate_answer"), lambda c: c.evaluate_tokens_per_second, write.number),
        _Column(write.say("answering"), lambda c: c.seconds_per_thousand, write.duration),
        *_money(source, found, write),
    ]
    notes = [write.say("times_note")]
    if source.price is not None:
        amount, currency = write.money(source.price.per_hour), write.name(source.price.currency)
        notes.append(write.say("money_note", amount=amount, currency=currency))
    memory = [*_peaks(found, write, "memory"), *_peaks(found, write, "device_memory")]
    tables = [_table(found, times, write.say("times_title"), tuple(notes), write)]
    if memory:
        tables.append(_table(found, memory, write.say("peaks_title"), (), write))
    return tables


def _times(found: Sequence[Costs], write: Writer) -> list[_Column]:
    return [
        _Column(write.say(f"step_{step}"), _at(step, lambda c: c.seconds), write.duration)
        for step in _STEPS
        if any(step in one.seconds for one in found)
    ]


def _peaks(found: Sequence[Costs], write: Writer, kind: str) -> list[_Column]:
    def of(cost: Costs) -> Mapping[str, int]:
        return cost.memory if kind == "memory" else cost.device_memory

    return [
        _Column(
            write.say("peak_of", memory=write.say(kind), step=write.say(f"step_{step}")),
            _at(step, of),
            lambda value: write.size(round(value)),
        )
        for step in _STEPS
        if any(step in of(one) for one in found)
    ]


def _money(source: Source, found: Sequence[Costs], write: Writer) -> list[_Column]:
    price = source.price
    if price is None:
        return []

    def column(title: str, seconds: Callable[[Costs], float | None]) -> _Column:
        heading = write.say("in_money", what=title, currency=write.name(price.currency))
        return _Column(heading, lambda cost: price.of(seconds(cost)), write.money)

    return [
        *(
            column(write.say(f"step_{step}"), _at(step, lambda c: c.seconds))
            for step in priced_steps(found)
        ),
        column(write.say("thousand_answers"), lambda c: c.seconds_per_thousand),
    ]


def _at(
    step: str, values: Callable[[Costs], Mapping[str, float]]
) -> Callable[[Costs], float | None]:
    return lambda cost: values(cost).get(step)


def _table(
    found: Sequence[Costs],
    columns: Sequence[_Column],
    title: str,
    notes: tuple[str, ...],
    write: Writer,
) -> Table:
    shown = [column for column in columns if any(column.of(one) is not None for one in found)]
    titles = [write.say("entry"), *(column.title for column in shown)]
    rows = tuple(Row((name(one.name), *(_cell(column, one) for column in shown))) for one in found)
    return Table(
        headings(*titles, numeric=range(1, len(titles))), rows, title, sortable=True, notes=notes
    )


def _cell(column: _Column, one: Costs) -> Cell:
    value = column.of(one)
    return number(NOTHING if value is None else column.write(value), value)
