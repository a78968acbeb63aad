"""Metrics of a whole split for answers that are labels.

An answer that could not be read is None. It is wrong for the item's own class and belongs to no
other: it lowers recall, and it never stands in a class's precision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ClassScore:
    """How well one class was found.

    Attributes:
        precision: Share of right answers among the answers of this class; 0 without any.
        recall: Share of right answers among the items of this class; 0 without any.
        f1: Harmonic mean of both.
        items: Items of this class.
        answers: Answers of this class.
    """

    precision: float
    recall: float
    f1: float
    items: int
    answers: int


def per_class(
    golds: Sequence[str], answers: Sequence[str | None], labels: Sequence[str]
) -> dict[str, ClassScore]:
    """Return precision, recall and F1 of every class.

    Args:
        golds: The right label of every item.
        answers: The answer to every item; None where it could not be read.
        labels: The classes, in the order of the result.

    Raises:
        ValueError: The numbers of golds and answers differ.
    """
    right = Counter(gold for gold, answer in zip(golds, answers, strict=True) if gold == answer)
    items, said = Counter(golds), Counter(answers)
    return {
        label: ClassScore(
            precision=_share(right[label], said[label]),
            recall=_share(right[label], items[label]),
            f1=_share(2 * right[label], items[label] + said[label]),
            items=items[label],
            answers=said[label],
        )
        for label in labels
    }


def macro_f1(golds: Sequence[str], answers: Sequence[str | None], labels: Sequence[str]) -> float:
    """Return the mean F1 over the classes that occur among the golds or the answers.

    Args:
        golds: The right label of every item.
        answers: The answer to every item; None where it could not be read.
        labels: The classes of the task.

    Raises:
        ValueError: There is no item of these classes.
    """
    scores = per_class(golds, answers, labels).values()
    occurring = [score.f1 for score in scores if score.items or score.answers]
    if not occurring:
        raise ValueError("macro-F1 needs at least one item")
    return sum(occurring) / len(occurring)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
