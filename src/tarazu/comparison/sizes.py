"""Records → how each entry does with more training data, and from how many rows training pays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarazu.comparison.entries import entries, every_size, train_rows

if TYPE_CHECKING:
    from tarazu.comparison.result import Interval
    from tarazu.comparison.spread import Spread
    from tarazu.record.record import RunRecord

# What learns nothing from a model's pretraining, and what only asks the model: the rest trains it.
_UNTRAINED = frozenset({"baseline", "prompting"})

Place = tuple[str, str, int]
"""Id of an entry, test split, training rows."""


@dataclass(frozen=True)
class Point:
    """A result at one training size.

    Attributes:
        rows: Training rows.
        score: Mean and spread of the metric over seeds.
        seeds: The seeds.
        low: Lower end of the 95 % interval over items and seeds; None where it is not known.
        high: Upper end.
    """

    rows: int
    score: Spread
    seeds: tuple[int, ...]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LearningCurve:
    """An entry at every training size, on one test split.

    Attributes:
        id: The entry's id.
        method: Name of the method.
        family: Kind of the method.
        model: Name of the model, if there is one.
        split: The test split.
        metric: The metric of the scores: the one by which methods are compared.
        points: By rising size. One point when the entry does not learn from the training split.
        learns: Whether the size of the training split means anything to the entry.
    """

    id: str
    method: str
    family: str
    model: str | None
    split: str
    metric: str
    points: tuple[Point, ...]
    learns: bool

    def at(self, rows: int) -> Spread | None:
        """Return the score with so many training rows; None where it was not measured."""
        point = self.point(rows)
        return None if point is None else point.score

    def point(self, rows: int) -> Point | None:
        """Return the result with so many training rows; None where it was not measured."""
        if not self.learns:
            return self.points[0]
        return next((point for point in self.points if point.rows == rows), None)


@dataclass(frozen=True)
class BreakEven:
    """From how many training rows a trained entry is better than prompting the same model.

    Attributes:
        trained: Id of the trained entry.
        prompted: Id of the zero-shot or few-shot entry.
        split: The test split.
        metric: The metric.
        rows: The smallest measured size at which the mean of the trained entry exceeds the mean of
            the prompted one, which is given the same training rows to show; None: at no size.
        stays: Whether it is ahead at every larger measured size, too.
    """

    trained: str
    prompted: str
    split: str
    metric: str
    rows: int | None
    stays: bool


def learning_curves(
    records: Sequence[RunRecord], intervals: Mapping[Place, Interval] | None = None
) -> list[LearningCurve]:
    """Return the learning curves of a study, in the order of its records.

    Args:
        records: All records of the study.
        intervals: Of `tarazu.comparison.size_intervals`, which reads the answers.

    Returns:
        A curve per entry and test split; none when the study has one training size. A size at
        which all runs of an entry failed has no point.
    """
    kept = every_size(records)
    if not any(record.spec.train_sizes for record in kept):
        return []
    points: dict[tuple[str, str], list[Point]] = {}
    about: dict[tuple[str, str], RunRecord] = {}
    metrics: dict[tuple[str, str], str] = {}
    for rows in sorted({train_rows(record) for record in kept}):
        sized = [record for record in kept if train_rows(record) == rows]
        of_entry = {(record.entry, record.model): record for record in sized}
        for result in entries(sized):
            record = of_entry[result.entry, result.model]
            # Old records do not say which metric leads; it is the first then.
            metric = record.primary_metric or next(iter(result.metrics), "")
            score = result.metrics.get(metric)
            if result.primary and result.split is not None and score is not None:
                place = result.id, result.split
                known = (intervals or {}).get((*place, rows))
                ends = (known.low, known.high) if known else (None, None)
                points.setdefault(place, []).append(Point(rows, score, result.seeds, *ends))
                about[place], metrics[place] = record, metric
    order = {(record.entry, record.model): n for n, record in reversed(list(enumerate(kept)))}
    curves = [
        LearningCurve(
            id=name,
            method=about[name, split].method,
            family=about[name, split].family,
            model=about[name, split].model,
            split=split,
            metric=metrics[name, split],
            points=tuple(found),
            learns=bool(about[name, split].spec.train_sizes),
        )
        for (name, split), found in points.items()
    ]
    return sorted(
        curves, key=lambda c: order[about[c.id, c.split].entry, about[c.id, c.split].model]
    )


def sizes_of(curves: Iterable[LearningCurve]) -> list[int]:
    """Return the training sizes at which something that learns was measured, from small to large.

    Args:
        curves: The learning curves of a study.
    """
    return sorted({point.rows for curve in curves if curve.learns for point in curve.points})


def break_even(curves: Iterable[LearningCurve]) -> list[BreakEven]:
    """Say from how many training rows training pays, for each trained and prompted entry.

    Means over seeds are compared at measured sizes; between two sizes nothing is known, and a lead
    may be luck: see the intervals of the comparison.

    Args:
        curves: The learning curves of a study.

    Returns:
        One per pair of a trained and a prompted entry on the same model and test split.
    """
    curves = list(curves)
    found = []
    for trained in curves:
        if trained.family in _UNTRAINED or trained.model is None:
            continue
        for prompted in curves:
            same = (prompted.model, prompted.split) == (trained.model, trained.split)
            if prompted.family == "prompting" and same:
                found.append(_break_even(trained, prompted))
    return found


def _break_even(trained: LearningCurve, prompted: LearningCurve) -> BreakEven:
    ahead: list[tuple[int, bool]] = []
    for point in trained.points:
        other = prompted.at(point.rows)
        if other is not None:
            ahead.append((point.rows, point.score.mean > other.mean))
    first = next((rows for rows, better in ahead if better), None)
    stays = first is not None and all(better for rows, better in ahead if rows >= first)
    return BreakEven(trained.id, prompted.id, trained.split, trained.metric, first, stays)
