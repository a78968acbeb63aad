"""Right and wrong, item by item: what every view of failures starts from.

An answer is right when it is right as a whole: a label that is the gold label, a span that matches
a gold answer exactly. An entry with several seeds *usually* gets an item right when more than half
of its runs do; half of them is not enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tarazu.comparison.outcomes import Answers, Outcomes, Scores

Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]

UNPARSABLE = -1
"""Code of an answer that is none of the labels."""

# Metrics that are 1 for a whole right answer only; the first one that an entry has is taken.
_WHOLE = ("exact_match", "em", "accuracy")


def right(answers: Answers, outcomes: Outcomes) -> Bools:
    """Return which answers are right, seeds × items.

    Args:
        answers: The entry.
        outcomes: Its split, whose primary metric decides where there is no exact match.

    Raises:
        KeyError: The entry has none of these metrics.
    """
    known = [name for name in _WHOLE if name in answers.metrics]
    values = answers.metrics[known[0] if known else outcomes.primary_metric]
    return values >= 1 - 1e-9


def usually_right(answers: Answers, outcomes: Outcomes) -> Bools:
    """Return which items more than half of the runs get right, one value per item.

    Args:
        answers: The entry.
        outcomes: Its split.
    """
    return usual(right(answers, outcomes))


def usual(found: Bools) -> Bools:
    """Return what holds for more than half of the runs, one value per item.

    Args:
        found: Seeds × items.
    """
    most: Bools = 2 * found.sum(axis=0) > len(found)
    return most


def share_right(answers: Answers, outcomes: Outcomes) -> Scores:
    """Return the share of runs that get each item right.

    Args:
        answers: The entry.
        outcomes: Its split.
    """
    found: Scores = right(answers, outcomes).mean(axis=0)
    return found


def primary_entries(outcomes: Outcomes) -> tuple[Answers, ...]:
    """Return the entries without their other forms.

    Forms of one model answer nearly alike: next to them no item would be right "for one entry
    only", and every item would look more or less agreed upon than it is.

    Args:
        outcomes: The split.
    """
    return tuple(answers for answers in outcomes.entries if answers.primary)


def answer_codes(answers: Answers, outcomes: Outcomes) -> Indices:
    """Return answers as places in the task's labels, seeds × items.

    Args:
        answers: The entry.
        outcomes: A split of a task with labels.

    Returns:
        `UNPARSABLE` where the answer is none of the labels.
    """
    places = {label: place for place, label in enumerate(outcomes.labels)}
    flat = [places.get(label, UNPARSABLE) for label in answers.predicted.ravel().tolist()]
    return np.array(flat, dtype=np.int64).reshape(answers.predicted.shape)


def gold_codes(outcomes: Outcomes) -> Indices:
    """Return the gold label of each item as its place in the task's labels.

    Args:
        outcomes: A split of a task with labels.

    Raises:
        ValueError: A gold label is none of the task's.
    """
    places = {label: place for place, label in enumerate(outcomes.labels)}
    unknown = {golds[0] for golds in outcomes.gold} - set(places)
    if unknown:
        raise ValueError(f"gold labels that the task does not have: {sorted(unknown)}")
    return np.array([places[golds[0]] for golds in outcomes.gold], dtype=np.int64)
