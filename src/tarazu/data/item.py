"""One item of a task: the unit that is answered, scored, resampled and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Item:
    """One item, whatever the task.

    Attributes:
        id: Unique within the split, from the data or made from the row number.
        group: Unit of splitting and resampling (a premise, a context).
        fields: Texts by the task's own field names (``premise``, ``question`` …).
        gold: Right answers as strings: one label, or all accepted spans.
        starts: Character offsets of the gold spans in the context; empty for labels.
        slices: Values by which failures are grouped, such as the genre.
    """

    id: str
    group: str
    fields: Mapping[str, str]
    gold: tuple[str, ...]
    starts: tuple[int, ...] = ()
    slices: Mapping[str, str] = field(default_factory=dict)

    def with_fields(self, **fields: str) -> Item:
        """Return the item with some texts replaced."""
        return replace(self, fields={**self.fields, **fields})

    def content(self) -> list[Any]:
        """Return what identifies the item in a hash: all that a model can see or is asked."""
        return [self.id, self.group, dict(self.fields), list(self.gold), list(self.starts)]


@dataclass(frozen=True)
class Prediction:
    """One answer to one item; a row of ``predictions.parquet``.

    Attributes:
        item_id: The item.
        split: The split it stands in.
        variant: The form of the model that answered.
        predicted: The answer; None when the text could not be read as one.
        raw: The text as generated, or the label as chosen.
        scores: Per label (log-probabilities in the order of the task's labels), or empty.
        metrics: Value of every per-item metric.
        cut_tokens: Tokens of context that were cut to fit.
        prompt_tokens: Tokens of the input as seen by the model.
    """

    item_id: str
    predicted: str | None
    raw: str
    scores: tuple[float, ...] = ()
    cut_tokens: int = 0
    prompt_tokens: int = 0
    split: str = ""
    variant: str = "main"
    metrics: Mapping[str, float] = field(default_factory=dict)
