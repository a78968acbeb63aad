"""Records → trials: what was tried, what each knob did, and what more trials would bring (Q9)."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tarazu.comparison.entries import current
from tarazu.comparison.spent import trial_seconds
from tarazu.record.key import canonical_json

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord, Searched, Tuned

FEWEST = 4
"""Below four trials no rank correlation is given: with three, any order comes up by chance in one
of three cases."""
PARTS = 3
"""A range is shown in so many equal parts, on its own scale."""
_EXACT, _DRAWN = 8, 9_999


@dataclass(frozen=True)
class TrialResult:
    """One setting that was tried.

    Attributes:
        number: 0 is the method's default settings.
        values: Values of the searched settings.
        rung: The last rung that it reached, counted from 1.
        share: Share of its updates made there; 1 is the whole training.
        score: Primary metric over the validation items there; None when it failed.
        loss: Validation loss there, if there is one.
        first_score: The same at the first rung, which all trials reached.
        failure: Why it failed.
        seconds: All phases of all its rungs; what a rung goes on from is counted once.
    """

    number: int
    values: Mapping[str, Any]
    rung: int
    share: float
    score: float | None
    loss: float | None
    first_score: float | None
    failure: str | None
    seconds: float


@dataclass(frozen=True)
class Part:
    """Trials whose value of a knob lies in one part of what was searched.

    Attributes:
        label: The value, or both ends of the part.
        trials: How many have a score.
        mean: Mean of their scores; None without any.
        ends: Both ends of a part of a range; None for a value.
    """

    label: str
    trials: int
    mean: float | None
    ends: tuple[str, str] | None = None


@dataclass(frozen=True)
class KnobEffect:
    """What a knob did over the trials of an entry. The other knobs changed at the same time.

    Attributes:
        name: The knob or training setting.
        reason: Why its range was searched.
        trials: Trials with a score.
        correlation: Spearman's rank correlation of value and score; None for choices without an
            order, for fewer than `FEWEST` trials, and where nothing differs.
        p_value: How often chance alone gives a correlation as strong, by permutation; not
            corrected for the number of knobs.
        parts: Mean score per value, or per part of the range.
        spread: Largest difference between those means; None with fewer than two.
    """

    name: str
    reason: str
    trials: int
    correlation: float | None
    p_value: float | None
    parts: tuple[Part, ...]
    spread: float | None


@dataclass(frozen=True)
class EntryTuning:
    """The tuning of one entry.

    Attributes:
        entry: Id of the entry.
        model: Its model.
        metric: The metric by which trials were compared.
        budget: Trials that every entry of the study had.
        seed: Of the sequence and of every trial.
        winner: Number of the trial whose settings were used.
        score: Its score, trained to the end.
        compared_at: Share of the updates at which all trials were measured, which is where the
            knobs are compared: 1 without pruning.
        trials: By number.
        fixed: What was not searched because the study fixes it.
        nothing: Why nothing was searched, by language.
        knobs: What each knob did.
        expected_best: Expected best score of n trials, n from 1; empty without trials.
    """

    entry: str
    model: str | None
    metric: str
    budget: int
    seed: int
    winner: int | None
    score: float | None
    compared_at: float
    trials: tuple[TrialResult, ...]
    fixed: tuple[str, ...]
    nothing: Mapping[str, str]
    knobs: tuple[KnobEffect, ...]
    expected_best: tuple[float, ...]


def tunings(records: Sequence[RunRecord]) -> list[EntryTuning]:
    """Return the tuning of every entry, in the order of the records.

    Only the trials that the current final runs name are used: those of older settings in the same
    folder play no part.

    Args:
        records: All records of a study.
    """
    trials: dict[tuple[str, str], RunRecord] = {
        (r.entry, r.key): r for r in records if r.trial is not None
    }
    firsts: dict[tuple[str, str | None], RunRecord] = {}
    for record in current(records):
        firsts.setdefault((record.entry, record.model), record)
    found = []
    for first in firsts.values():
        if first.tuned is not None:
            used = [trials.get((first.entry, key)) for key in first.tuned.keys]
            found.append(_entry(first, first.tuned, [r for r in used if r is not None]))
    return found


def _entry(first: RunRecord, tuned: Tuned, records: Sequence[RunRecord]) -> EntryTuning:
    by_number: dict[int, list[RunRecord]] = defaultdict(list)
    for record in records:
        assert record.trial is not None
        by_number[record.trial.number].append(record)
    results = tuple(_trial(n, runs, tuned) for n, runs in sorted(by_number.items()))
    scores = [trial.first_score for trial in results]
    return EntryTuning(
        entry=first.entry,
        model=first.model,
        metric=first.primary_metric,
        budget=tuned.budget,
        seed=tuned.seed,
        winner=tuned.winner,
        score=tuned.score,
        compared_at=min((record.spec.share for record in records), default=1.0),
        trials=results,
        fixed=tuple(tuned.fixed),
        nothing=tuned.nothing,
        knobs=tuple(_effect(name, item, results) for name, item in tuned.searched.items()),
        expected_best=tuple(expected_best([0.0 if s is None else s for s in scores])),
    )


def _trial(number: int, runs: Sequence[RunRecord], tuned: Tuned) -> TrialResult:
    runs = sorted(runs, key=lambda run: run.spec.share)
    first, last = runs[0], runs[-1]
    assert last.trial is not None
    loss = next((e.validation_loss for e in last.epochs if e.epoch == last.selected_epoch), None)
    settings = last.spec.settings
    return TrialResult(
        number=number,
        values={name: settings[name].value for name in tuned.searched if name in settings},
        rung=last.trial.rung,
        share=last.spec.share,
        score=_score(last),
        loss=loss,
        first_score=_score(first),
        failure=last.error if last.status == "failed" else None,
        seconds=trial_seconds(runs),
    )


def _score(record: RunRecord) -> float | None:
    if record.status == "failed" or not record.variants:
        return None
    score = record.variants[0].metrics.get(record.primary_metric)
    return score if score is not None and math.isfinite(score) else None


def _effect(name: str, item: Searched, trials: Iterable[TrialResult]) -> KnobEffect:
    pairs = [
        (trial.values[name], trial.first_score)
        for trial in trials
        if trial.first_score is not None
        and name in trial.values
        # In a range, nothing is no number: such as a head that takes the method's own rate.
        and (trial.values[name] is not None or item.values is not None)
    ]
    parts = _values(item, pairs) if item.values is not None else _thirds(item, pairs)
    means = [part.mean for part in parts if part.mean is not None]
    correlation, p_value = _correlation(item, pairs)
    return KnobEffect(
        name=name,
        reason=item.reason,
        trials=len(pairs),
        correlation=correlation,
        p_value=p_value,
        parts=parts,
        spread=max(means) - min(means) if len(means) > 1 else None,
    )


def _values(item: Searched, pairs: Sequence[tuple[Any, float]]) -> tuple[Part, ...]:
    scores: dict[str, list[float]] = {canonical_json(value): [] for value in item.values or ()}
    for value, score in pairs:
        scores.setdefault(canonical_json(value), []).append(score)
    return tuple(_part(_plain(label), found) for label, found in scores.items())


def _plain(label: str) -> str:
    return "none" if label == "null" else label.strip('"')


def _thirds(item: Searched, pairs: Sequence[tuple[Any, float]]) -> tuple[Part, ...]:
    """Cut a range into equal parts on its own scale."""
    assert item.low is not None
    assert item.high is not None

    def scale(value: float) -> float:
        return math.log(value) if item.log else value

    low, width = scale(item.low), (scale(item.high) - scale(item.low)) / PARTS
    ends = [low + width * number for number in range(PARTS + 1)]
    scores: list[list[float]] = [[] for _ in range(PARTS)]
    for value, score in pairs:
        # A default may lie outside of what is searched; it counts for the nearest part.
        place = int((scale(value) - low) / width) if width and value > 0 else 0
        scores[min(max(place, 0), PARTS - 1)].append(score)
    shown = [f"{math.exp(end) if item.log else end:.2g}" for end in ends]
    return tuple(
        _part(f"{shown[number]} to {shown[number + 1]}", found, (shown[number], shown[number + 1]))
        for number, found in enumerate(scores)
    )


def _part(label: str, scores: Sequence[float], ends: tuple[str, str] | None = None) -> Part:
    return Part(label, len(scores), fmean(scores) if scores else None, ends)


def _correlation(
    item: Searched, pairs: Sequence[tuple[Any, float]]
) -> tuple[float | None, float | None]:
    """Return Spearman's rank correlation and its p-value, where the values have an order.

    The p-value is by permutation: all of them up to 8 trials, else 9,999 random ones (fixed seed).
    """
    import numpy as np
    from scipy.stats import rankdata

    ordered = item.values is None or all(isinstance(value, int | float) for value in item.values)
    if len(pairs) < FEWEST or not ordered:
        return None, None
    x, y = (rankdata(column) - (len(pairs) + 1) / 2 for column in zip(*pairs, strict=True))
    spread = math.sqrt(float(x @ x) * float(y @ y))
    if not spread:
        return None, None
    if len(pairs) <= _EXACT:
        orders = np.array(list(itertools.permutations(x)))
    else:
        drawn = np.random.default_rng(0).permuted(np.tile(x, (_DRAWN, 1)), axis=1)
        orders = np.vstack([x, drawn])  # the order at hand is one of those that could have been
    as_strong = np.abs(orders @ y) >= abs(float(x @ y)) - 1e-9
    return float(x @ y) / spread, float(as_strong.mean())


def expected_best(scores: Sequence[float]) -> list[float]:
    """Return the expected best score of n trials, for n from 1 to their number.

    The quantity is that of Dodge et al. 2019 (Show Your Work, arXiv 1909.03004). Theirs is a
    plug-in estimate with replacement, which is biased downwards (Tang et al. 2020, arXiv
    2004.13705); this is the unbiased one without replacement: with the scores v(1) ≤ … ≤ v(B),

        E[best of n] = Σ_{i=n..B} C(i−1, n−1) / C(B, n) · v(i),

    because C(i−1, n−1) of the C(B, n) sets of n trials have their best at place i. It takes trials
    as independent draws; a quasi-random sequence covers the space more evenly, so that its best of
    a few is, if anything, better than this.

    Args:
        scores: One per trial. A trial that failed counts with the lowest score there is, 0.
    """
    ordered = sorted(scores)
    count = len(ordered)
    return [
        sum(
            math.comb(place - 1, n - 1) / math.comb(count, n) * ordered[place - 1]
            for place in range(n, count + 1)
        )
        for n in range(1, count + 1)
    ]
