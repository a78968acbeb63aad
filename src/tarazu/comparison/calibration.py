"""Calibration of classes: is an answer given with 80 % confidence right in 80 of 100 cases?

Probabilities are the softmax over the scores of the labels. For a head over the classes these are
the model's own. For label words scored as text they are conditional on the answer being one of the
labels, and a longer word has more factors below 1 (see `CAVEAT`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tarazu.comparison.correctness import Bools, Indices, gold_codes
from tarazu.comparison.crossed import zero_mean
from tarazu.comparison.outcomes import Answers, Outcomes, Scores
from tarazu.comparison.spread import Spread
from tarazu.text import Text

MOST_BINS = 15
"""As in Guo et al. 2017 and most work since, so that numbers can be held against published ones."""
ITEMS_PER_BIN = 20
"""With fewer items in a bin its accuracy is known to ± 22 points or worse (two standard errors at
50 %), and noise alone makes a large error."""

CAVEAT = Text(
    "Probabilities are the softmax over the scores of the labels. Where a model scores the label "
    "words as text, they say how the labels compare with each other, not how probable the model "
    "finds them: whatever else it might have said is left out, and with summed log-probabilities "
    "a label of more tokens starts lower. Scores per token or after calibration against an empty "
    "input are no probabilities of the model at all.",
    "احتمال‌ها بیشینهٔ هموار (softmax) نمرهٔ برچسب‌هاست. جایی که مدل به واژه‌های برچسب مانند متن "
    "نمره می‌دهد، این عددها برچسب‌ها را با هم می‌سنجد، نه اینکه مدل آن‌ها را چقدر محتمل می‌داند: هر "
    "پاسخ دیگری که ممکن بود کنار گذاشته شده است و با جمع لگاریتم احتمال‌ها برچسبی که توکن‌های "
    "بیشتری دارد از پایین‌تر آغاز می‌کند. نمرهٔ میانگین بر هر توکن یا نمره‌ای که با ورودی تهی "
    "واسنجیده شده اصلاً احتمالِ خود مدل نیست.",
)


@dataclass(frozen=True)
class Bin:
    """Answers of similar confidence, of all seeds.

    Attributes:
        answers: Number of answers.
        confidence: Their mean confidence.
        accuracy: Share of right ones.
    """

    answers: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How far confidence can be trusted, for one entry.

    Attributes:
        entry: Id of the entry.
        items: Items that have scores in every run; the others are left out.
        bins: Bins over the answers of all seeds, the least confident first.
        ece: Expected calibration error of each seed: mean over answers of the gap between a bin's
            confidence and its accuracy.
        ece_by_chance: The error that so many answers with these confidences would show even if
            they were calibrated perfectly (mean over seeds).
        brier: Mean squared distance of the probabilities to the gold label, summed over labels:
            0 … 2 (Brier 1950).
        nll: Mean negative log-probability of the gold label, in nats; infinite where a gold label
            was given no probability at all.
        confidence: Mean probability of the most probable label.
        accuracy: Share of items whose most probable label is right.
        p_gap: Two-sided p-value that mean confidence and accuracy are equal, with groups of items
            and seeds as in `crossed`; None where nothing varies or there is one group.
    """

    entry: str
    items: int
    bins: tuple[Bin, ...]
    ece: Spread
    ece_by_chance: float
    brier: Spread
    nll: Spread
    confidence: Spread
    accuracy: Spread
    p_gap: float | None


@dataclass(frozen=True)
class _Run:
    """One seed: the probabilities reduced to what is measured."""

    confidence: Scores
    right: Bools
    brier: float
    nll: float

    @classmethod
    def of(cls, scores: Scores, gold: Indices) -> _Run:
        logs = log_softmax(scores)
        probabilities = np.exp(logs)
        at_gold = np.arange(len(gold)), gold
        target = np.zeros_like(probabilities)
        target[at_gold] = 1
        return cls(
            confidence=probabilities.max(axis=1),
            right=logs.argmax(axis=1) == gold,
            brier=float(((probabilities - target) ** 2).sum(axis=1).mean()),
            nll=float(-logs[at_gold].mean()),
        )


def calibration(answers: Answers, outcomes: Outcomes) -> Calibration | None:
    """Measure the calibration of an entry.

    Args:
        answers: The entry.
        outcomes: A split of a task with labels.

    Returns:
        None where there are no scores of all labels: nothing can be said.
    """
    scores = answers.scores
    if scores is None or scores.shape[2] != len(outcomes.labels):
        return None
    usable = (~np.isnan(scores).any(axis=2) & np.isfinite(scores.max(axis=2))).all(axis=0)
    if not usable.any():
        return None
    gold = gold_codes(outcomes)[usable]
    runs = [_Run.of(row[usable], gold) for row in scores]
    confidence = np.stack([run.confidence for run in runs])
    right = np.stack([run.right for run in runs])
    bins = [reliability(run.confidence, run.right) for run in runs]
    return Calibration(
        entry=answers.id,
        items=len(gold),
        bins=reliability(confidence.ravel(), right.ravel()),
        ece=Spread.of([expected_error(one) for one in bins]),
        ece_by_chance=float(np.mean([_by_chance(run.confidence) for run in runs])),
        brier=Spread.of([run.brier for run in runs]),
        nll=Spread.of([run.nll for run in runs]),
        confidence=Spread.of([float(run.confidence.mean()) for run in runs]),
        accuracy=Spread.of([float(run.right.mean()) for run in runs]),
        p_gap=zero_mean(right - confidence, outcomes.groups[usable], seeded=answers.seeded),
    )


def log_softmax(scores: Scores) -> Scores:
    """Return log-probabilities over the last axis.

    Args:
        scores: Finite or −∞, at least one finite score in each row.
    """
    shifted = scores - scores.max(axis=-1, keepdims=True)
    found: Scores = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def bin_numbers(confidence: Scores) -> Indices:
    """Sort answers into bins of equal mass by their confidence.

    Bins of equal *width* leave most bins of a confident model almost empty, and the error they
    give is biased more (Roelofs et al. 2022, AISTATS). There are `MOST_BINS` bins, fewer where a
    bin would have fewer than `ITEMS_PER_BIN` answers. Equal confidences share a bin, so that the
    order of the items plays no part.

    Args:
        confidence: One value per answer.

    Returns:
        Number of each answer's bin, 0 for the least confident; some numbers may not occur.
    """
    count = max(1, min(MOST_BINS, len(confidence) // ITEMS_PER_BIN))
    order = np.sort(confidence)
    edges = order[[len(order) * number // count for number in range(1, count)]]
    return np.searchsorted(edges, confidence, side="right").astype(np.int64)


def reliability(confidence: Scores, right: Bools) -> tuple[Bin, ...]:
    """Return the reliability diagram: confidence and accuracy of each bin.

    Args:
        confidence: One value per answer.
        right: Whether it is right.
    """
    numbers = bin_numbers(confidence)
    sizes = np.bincount(numbers)
    confidences = np.bincount(numbers, weights=confidence)
    rights = np.bincount(numbers, weights=right.astype(np.float64))
    return tuple(
        Bin(int(size), float(total / size), float(hits / size))
        for size, total, hits in zip(sizes, confidences, rights, strict=True)
        if size
    )


def expected_error(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error (ECE).

    ``Σ_b (n_b / n) · |confidence_b − accuracy_b|``: Naeini, Cooper and Hauskrecht 2015 (AAAI);
    Guo et al. 2017, *On Calibration of Modern Neural Networks* (ICML).

    Args:
        bins: The reliability diagram.
    """
    gaps = sum(one.answers * abs(one.confidence - one.accuracy) for one in bins)
    return gaps / sum(one.answers for one in bins)


def _by_chance(confidence: Scores) -> float:
    """Return the ECE to be expected of perfect calibration.

    A calibrated bin's accuracy scatters around its confidence with variance ``Σ p(1 − p) / n²``;
    a normal deviation has the mean size √(2/π) of its standard deviation.
    """
    numbers = bin_numbers(confidence)
    spreads = np.sqrt(np.bincount(numbers, weights=confidence * (1 - confidence)))
    return float(spreads.sum() * math.sqrt(2 / math.pi) / len(confidence))
