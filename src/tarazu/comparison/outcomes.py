"""Records → per-item scores: what every comparison starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What one entry answered, over its seeds.

    Attributes:
        id: The entry's id as the report shows it.
        seeds: Seeds of the runs, in order.
        seeded: Whether another seed could give another answer.
        predicted: Answers, seeds × items; None where a text could not be read as one.
        raw: Texts as generated, seeds × items.
        scores: Per-label scores (log-probabilities), seeds × items × labels; None without them.
        metrics: Per-item metrics by name, each seeds × items, in 0 … 1.
    """

    id: str
    seeds: tuple[int, ...]
    seeded: bool
    predicted: NDArray[np.object_]
    raw: NDArray[np.object_]
    scores: Scores | None
    metrics: Mapping[str, Scores]


@dataclass(frozen=True)
class Outcomes:
    """The answers of all entries to the items of one test split.

    Attributes:
        split: Name of the split.
        primary_metric: The per-item metric by which methods are compared.
        labels: The task's labels; empty when answers are spans.
        item_ids: Ids, one per item.
        groups: Number of each item's group (0 … groups − 1): the unit of resampling.
        gold: Right answers of each item.
        slices: Values by name, one per item; None where an item has none.
        texts: Texts by field name, one per item; empty in a redacted study.
        entries: Answers by entry; all have the same items in the same order.
    """

    split: str
    primary_metric: str
    labels: tuple[str, ...]
    item_ids: tuple[str, ...]
    groups: NDArray[np.int64]
    gold: tuple[tuple[str, ...], ...]
    slices: Mapping[str, tuple[str | None, ...]]
    texts: Mapping[str, tuple[str, ...]]
    entries: tuple[Answers, ...]

    def entry(self, name: str) -> Answers:
        """Return the answers of one entry.

        Raises:
            KeyError: There is no such entry.
        """
        for answers in self.entries:
            if answers.id == name:
                return answers
        raise KeyError(name)
