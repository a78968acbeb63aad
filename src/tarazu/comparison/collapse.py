"""Entries that fell back on one class (trap T31), and entries that do no better than that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from tarazu.comparison.correctness import Indices, answer_codes, gold_codes, primary_entries
from tarazu.comparison.exact import exact_paired
from tarazu.comparison.outcomes import Answers, Outcomes

COLLAPSED = 0.95
"""A run that gives one class to so many of the items has collapsed: with a few percent of other
answers a classifier still says next to nothing about an item. Where so many of the items *are* of
this class, a good classifier does the same, and it must also be no better than always giving it."""
LEVEL = 0.05


@dataclass(frozen=True)
class OneClass:
    """One run held against always giving its own most frequent answer.

    Attributes:
        entry: Id of the entry.
        seed: Seed of the run.
        label: Its most frequent class; the first of equally frequent ones.
        share: Share of the items that get it; unparsable answers count as other answers.
        accuracy: Share of the items that are right.
        constant: Share of the items that would be right if all got this class.
        p_value: Exact, two-sided, that both are right equally often; see `exact`.
        by_design: Whether the entry gives one class on purpose.
    """

    entry: str
    seed: int
    label: str
    share: float
    accuracy: float
    constant: float
    p_value: float
    by_design: bool = False

    @property
    def collapsed(self) -> bool:
        """Whether nearly all items get one class (`COLLAPSED`)."""
        return self.share >= COLLAPSED and (self.constant < COLLAPSED or self.no_better)

    @property
    def no_better(self) -> bool:
        """Whether the run has not been shown to be better than always giving this class."""
        return self.accuracy <= self.constant or self.p_value >= LEVEL


def one_class(outcomes: Outcomes, by_design: Collection[str] = ("majority",)) -> list[OneClass]:
    """Hold every run of every primary entry against always giving one class.

    Args:
        outcomes: A split of a task with labels.
        by_design: Entries that give one class on purpose.

    Returns:
        By entry and seed; runs without any readable answer are left out.
    """
    gold = gold_codes(outcomes)
    return [
        replace(run, by_design=answers.id.partition("@")[0] in by_design)
        for answers in primary_entries(outcomes)
        for run in _runs(answers, gold, outcomes)
    ]


def _runs(answers: Answers, gold: Indices, outcomes: Outcomes) -> list[OneClass]:
    found = []
    for seed, codes in zip(answers.seeds, answer_codes(answers, outcomes), strict=True):
        said = np.bincount(codes[codes >= 0], minlength=len(outcomes.labels))
        if not said.any():
            continue
        label = int(said.argmax())
        right, constant = codes == gold, gold == label
        found.append(
            OneClass(
                entry=answers.id,
                seed=seed,
                label=outcomes.labels[label],
                share=float(said[label] / len(codes)),
                accuracy=float(right.mean()),
                constant=float(constant.mean()),
                p_value=exact_paired(right, constant, outcomes.groups),
            )
        )
    return found
