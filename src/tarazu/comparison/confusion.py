"""Classes: which are taken for which, and how well each is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tarazu.comparison.correctness import UNPARSABLE, Indices, answer_codes, gold_codes
from tarazu.comparison.outcomes import Answers, Outcomes, Scores
from tarazu.comparison.spread import Spread


@dataclass(frozen=True)
class ClassQuality:
    """How well one class is found, over seeds.

    Attributes:
        precision: Share of right answers among the answers of this class; 0 without any.
        recall: Share of right answers among the items of this class; 0 without any.
        f1: Harmonic mean of both.
        items: Items of this class.
    """

    precision: Spread
    recall: Spread
    f1: Spread
    items: int


@dataclass(frozen=True)
class Confusion:
    """Gold labels against answers of one entry.

    Attributes:
        entry: Id of the entry.
        labels: The task's labels: rows, and columns before the last one.
        counts: Items, seeds × gold labels × (labels and, as the last column, unparsable answers).
        classes: Quality by label.
        macro_f1: Mean F1 over the classes that occur among the gold labels or the answers, as in
            the table of results.
    """

    entry: str
    labels: tuple[str, ...]
    counts: Indices
    classes: Mapping[str, ClassQuality]
    macro_f1: Spread

    def mean(self) -> Scores:
        """Return the counts as means over seeds."""
        found: Scores = self.counts.mean(axis=0)
        return found


def confusion(answers: Answers, outcomes: Outcomes) -> Confusion:
    """Count which classes are taken for which.

    Args:
        answers: The entry.
        outcomes: A split of a task with labels.
    """
    labels = outcomes.labels
    gold = gold_codes(outcomes)
    codes = answer_codes(answers, outcomes)
    counts = np.stack([_counts(gold, row, len(labels)) for row in codes])
    right = np.diagonal(counts[:, :, :-1], axis1=1, axis2=2)
    items, said = counts.sum(axis=2), counts[:, :, :-1].sum(axis=1)
    precision, recall = _share(right, said), _share(right, items)
    f1 = _share(2 * right, items + said)
    occurs = items + said > 0
    macro = _share((f1 * occurs).sum(axis=1), occurs.sum(axis=1))
    return Confusion(
        entry=answers.id,
        labels=labels,
        counts=counts,
        classes={
            label: ClassQuality(
                precision=_spread(precision[:, place]),
                recall=_spread(recall[:, place]),
                f1=_spread(f1[:, place]),
                items=int(items[0, place]),
            )
            for place, label in enumerate(labels)
        },
        macro_f1=_spread(macro),
    )


def _counts(gold: Indices, codes: Indices, labels: int) -> Indices:
    columns = np.where(codes == UNPARSABLE, labels, codes)
    cells = np.bincount(gold * (labels + 1) + columns, minlength=labels * (labels + 1))
    return cells.reshape(labels, labels + 1)


def _share(part: Scores | Indices, whole: Indices) -> Scores:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _spread(values: Scores) -> Spread:
    return Spread.of([float(value) for value in values])
