"""Which entries can be told apart: groups, intervals and the comparison of every two (Q6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tarazu.comparison.entries import EntryResult
from tarazu.report.html.charts import ForestRow, forest
from tarazu.report.html.parts import Cell, Figure, Heading, Row, Table, name, number
from tarazu.report.html.source import Source
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.text import Text


class Interval(Protocol):
    """A mean with its interval."""

    @property
    def mean(self) -> float:
        """The estimate."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""


class Pair(Protocol):
    """Two entries compared on the same items."""

    @property
    def a(self) -> str:
        """The first entry."""

    @property
    def b(self) -> str:
        """The second entry."""

    @property
    def difference(self) -> float:
        """Score of a minus score of b."""

    @property
    def low(self) -> float:
        """Lower end of the difference."""

    @property
    def high(self) -> float:
        """Upper end of the difference."""

    @property
    def p_value(self) -> float:
        """Of no difference, on its own."""

    @property
    def p_holm(self) -> float:
        """The same, corrected for all pairs."""

    @property
    def separable(self) -> bool:
        """Whether they differ."""

    @property
    def equivalent(self) -> bool:
        """Whether they differ by less than the margin."""


class Standing(Protocol):
    """What the statistics say of one split."""

    @property
    def intervals(self) -> Mapping[str, Interval]:
        """By entry."""

    @property
    def pairs(self) -> Sequence[Pair]:
        """Of every two entries."""

    @property
    def letters(self) -> Mapping[str, str]:
        """By entry; two entries that share a letter cannot be separated."""

    @property
    def margin(self) -> float:
        """Below it a difference does not matter."""

    @property
    def detectable(self) -> float | None:
        """Smallest difference that these items can show."""

    @property
    def warnings(self) -> Sequence[Text]:
        """What weakens the statistics."""


@dataclass(frozen=True)
class Group:
    """Entries that cannot be separated.

    Attributes:
        letter: Of the group.
        entries: Their names, best first.
    """

    letter: str
    entries: tuple[str, ...]


@dataclass(frozen=True)
class StandingPart:
    """The section for one split.

    Attributes:
        split: The split.
        known: Whether there are statistics at all.
        groups: Groups that cannot be separated.
        forest: All means with their intervals.
        pairs: Every two entries compared.
        notes: Sentences.
    """

    split: str
    known: bool
    groups: tuple[Group, ...]
    forest: Figure
    pairs: Table | None
    notes: tuple[str, ...]


def standing_parts(source: Source, write: Writer) -> list[StandingPart]:
    """Build the section, one part per test split."""
    return [_part(source, split, write) for split in source.splits() if source.finished(split)]


def ranked(source: Source, split: str) -> list[EntryResult]:
    """Return the entries of a split, best first."""
    metric = source.metric(split) or ""
    rows = [row for row in source.finished(split) if metric in row.metrics]
    return sorted(rows, key=lambda row: -row.metrics[metric].mean)


def groups(rows: Sequence[EntryResult], letters: Mapping[str, str]) -> tuple[Group, ...]:
    """Return the groups that cannot be separated, that of the best entry first."""
    present = dict.fromkeys(letter for row in rows for letter in letters.get(row.id, ""))
    return tuple(
        Group(letter, tuple(row.id for row in rows if letter in letters.get(row.id, "")))
        for letter in present
    )


def _part(source: Source, split: str, write: Writer) -> StandingPart:
    rows = ranked(source, split)
    metric = source.metric(split) or ""
    known = source.standings.get(split)
    notes = _notes(known, write) if known else (write.say("standing_unknown"),)
    return StandingPart(
        split,
        known is not None,
        groups(rows, known.letters) if known else (),
        _forest(rows, metric, known, write),
        _pairs(known, write) if known and known.pairs else None,
        notes,
    )


def _notes(known: Standing, write: Writer) -> tuple[str, ...]:
    lines = [write.say("standing_margin", margin=write.difference(known.margin).replace("+", ""))]
    if known.detectable is not None:
        least = write.difference(known.detectable).replace("+", "")
        lines.append(write.say("standing_detectable", least=least))
    return (*lines, *map(write.text, known.warnings))


def _forest(
    rows: Sequence[EntryResult], metric: str, known: Standing | None, write: Writer
) -> Figure:
    intervals = known.intervals if known else {}
    letters = known.letters if known else {}
    top = set(letters.get(rows[0].id, "")) if rows else set()
    drawn = [
        ForestRow(
            row.id,
            intervals[row.id].mean if row.id in intervals else row.metrics[metric].mean,
            intervals[row.id].low if row.id in intervals else None,
            intervals[row.id].high if row.id in intervals else None,
            leading=bool(top & set(letters.get(row.id, ""))),
        )
        for row in rows
    ]
    label = write.text(metric_name(metric))
    return Figure(
        forest(drawn, write.say("in_percent", metric=label), write.language),
        write.say("forest_title" if known else "means_title", metric=label),
        write.say(
            "forest_about", count=write.number(len(rows)), best=write.name(rows[0].id if rows else "")
        ),
    )


def _pairs(known: Standing, write: Writer) -> Table:
    return Table(
        (
            Heading(write.say("pair_a")),
            Heading(write.say("pair_b")),
            Heading(write.say("pair_difference"), numeric=True),
            Heading(write.say("interval_95"), numeric=True),
            Heading(write.say("pair_p"), numeric=True),
            Heading(write.say("pair_holm"), numeric=True),
            Heading(write.say("pair_verdict")),
        ),
        tuple(_pair(pair, write) for pair in known.pairs),
        write.say("pairs_title"),
        sortable=True,
        notes=(write.say("pairs_note"),),
    )


def _pair(pair: Pair, write: Writer) -> Row:
    verdict = (
        "separable" if pair.separable else "equivalent" if pair.equivalent else "undecided"
    )
    return Row(
        (
            name(pair.a),
            name(pair.b),
            number(write.difference(pair.difference), pair.difference),
            number(write.interval(pair.low, pair.high), pair.low),
            number(write.p_value(pair.p_value), pair.p_value),
            number(write.p_value(pair.p_holm), pair.p_holm),
            Cell(write.say(f"verdict_{verdict}"), sort=verdict, strong=verdict == "separable"),
        )
    )
