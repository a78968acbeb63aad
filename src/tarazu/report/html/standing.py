"""Which entries can be told apart: groups, intervals and the comparison of every two (Q6)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tarazu.comparison.entries import EntryResult
from tarazu.comparison.result import Comparison, Interval, Pair
from tarazu.report.compared import summary, verdict
from tarazu.report.html.charts import ForestRow, forest
from tarazu.report.html.parts import Cell, Figure, Row, Table, headings, name, number, row
from tarazu.report.html.source import Source
from tarazu.report.html.words import VERDICTS
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name

# A letter, or what stands for one after z.
_LETTER = re.compile(r"[a-z]|\([a-z]+\)")


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
        groups: Groups that cannot be separated.
        forest: All means with their intervals.
        pairs: Every two entries compared.
        notes: Sentences.
    """

    split: str
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


def shared(letters: str) -> frozenset[str]:
    """Return the letters of an entry one by one."""
    return frozenset(_LETTER.findall(letters))


def groups(rows: Sequence[EntryResult], letters: Mapping[str, str]) -> tuple[Group, ...]:
    """Return the groups that cannot be separated, that of the best entry first.

    Args:
        rows: Entries, best first.
        letters: Letters by entry.
    """
    present = dict.fromkeys(
        letter for row in rows for letter in _LETTER.findall(letters.get(row.id, ""))
    )
    return tuple(
        Group(letter, tuple(row.id for row in rows if letter in shared(letters.get(row.id, ""))))
        for letter in present
    )


def _part(source: Source, split: str, write: Writer) -> StandingPart:
    rows = ranked(source, split)
    metric = source.metric(split) or ""
    known = source.comparison(split)
    notes = map(write.prose, summary(known, write.language)) if known else ()
    return StandingPart(
        split,
        groups(rows, known.letters) if known else (),
        _forest(rows, metric, known, write),
        _pairs(known, write) if known and known.pairs else None,
        tuple(notes) or (write.say("standing_unknown"),),
    )


def _forest(
    rows: Sequence[EntryResult], metric: str, known: Comparison | None, write: Writer
) -> Figure:
    intervals = known.intervals if known else {}
    letters = known.letters if known else {}
    top = shared(letters.get(rows[0].id, ""))
    drawn = []
    for entry in rows:
        interval = intervals.get(entry.id) or Interval(entry.metrics[metric].mean, None, None)
        leading = bool(top & shared(letters.get(entry.id, "")))
        drawn.append(ForestRow(entry.id, interval.mean, interval.low, interval.high, leading))
    label = write.text(metric_name(metric))
    title = "forest_title" if any(one.low is not None for one in drawn) else "means_title"
    return Figure(
        forest(drawn, write.say("in_percent", metric=label), write.language),
        write.say(title, metric=label),
        write.say("forest_about", count=write.number(len(rows)), best=write.name(rows[0].id)),
    )


def _pairs(known: Comparison, write: Writer) -> Table:
    keys = (
        "pair_a", "pair_b", "pair_difference", "interval_95", "pair_p", "pair_holm", "pair_verdict",
    )  # fmt: skip
    ordered = sorted(
        known.pairs, key=lambda p: (2.0 if p.p_holm is None else p.p_holm, -abs(p.difference))
    )
    return Table(
        headings(*map(write.say, keys), numeric=(2, 3, 4, 5)),
        tuple(_pair(pair, write) for pair in ordered),
        write.say("pairs_title"),
        sortable=True,
        notes=(write.say("pairs_note", margin=write.number(100 * known.margin, 1)),),
    )


def _pair(pair: Pair, write: Writer) -> Row:
    key = verdict(pair)
    return row(
        name(pair.a),
        name(pair.b),
        number(write.difference(pair.difference), pair.difference),
        number(write.ends(pair.low, pair.high, signed=True), pair.low),
        number(write.p_value(pair.p_value), pair.p_value),
        number(write.p_value(pair.p_holm), pair.p_holm),
        Cell(write.text(VERDICTS[key]), sort=key, strong=pair.separable),
    )
