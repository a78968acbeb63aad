"""The contract of a reading, and what all readings share: features, batches, asking.

A reading turns items into token sequences, gives the summed loss of a batch, and answers items.
Losses are sums with a count of terms beside them: whoever divides, divides by the count of the
*whole* effective batch (trap T6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from tarazu.data.item import Item, Prediction
from tarazu.models import copying
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Batch, Learner
from tarazu.readings.tables import Lazy, Tables
from tarazu.tasks._task import Task, Template

IGNORED = -100
AT_ONCE = 256  # a tokenizer keeps much beside the tokens: items that it is given at a time
Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Feature:
    """One sequence of tokens; an item has one, or several windows of a long context.

    Attributes:
        item: Index of the item.
        input_ids: Tokens.
        labels: Per token (text; -100 where there is no loss), the class, or start and end.
        terms: How many terms the loss has.
        token_types: Which of two texts a token belongs to, for encoders that ask for it.
        cut_tokens: Tokens of context that were left out.
        offsets: Character span in the context per token, (-1, -1) for others (spans only).
    """

    item: int
    input_ids: Sequence[int]
    labels: Sequence[int] = ()
    terms: int = 1
    token_types: Sequence[int] | None = None
    cut_tokens: int = 0
    offsets: Sequence[tuple[int, int]] = ()


class Features(Lazy[Feature]):
    """Features, each made when it is asked for.

    Args:
        lengths: Tokens of each.
        make: Makes one by its place.
        terms: Loss terms of each; one where nothing is said.

    Attributes:
        lengths: Tokens of each.
        terms: Loss terms of each.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        make: Callable[[int], Feature],
        terms: Sequence[int] | None = None,
    ) -> None:
        super().__init__(len(lengths), make)
        self.lengths = lengths
        self.terms = [1] * len(lengths) if terms is None else terms


@dataclass(frozen=True)
class Decode:
    """How text is generated.

    Attributes:
        temperature: 0 is greedy.
        top_p: Share of probability mass that is sampled from.
        max_new_tokens: Longest answer; None takes the task's.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int | None = None


@dataclass(frozen=True)
class Asking:
    """How items are asked.

    Attributes:
        task: The task.
        tokenizer: Of the model.
        info: The model.
        max_length: Longest sequence, answer and virtual tokens included.
        template: Prompt template.
        chat: Whether the model's chat template is used.
        demonstrations: Solved examples of an item, in order.
        fixed: Whether all items have the same demonstrations.
        answer: ``score`` label words or ``generate`` text.
        decode: Decoding parameters.
        label_score: Which score of a label word decides.
        batch_size: Items per forward pass when answering.
        seed: Of sampling.
        loss_on: Whether the prompt's tokens count in the loss too.
        tables: Where tokens of items are kept; without, they are made whenever they are needed.
    """

    task: Task
    tokenizer: Any
    info: ModelInfo
    max_length: int
    template: Template
    chat: bool = False
    demonstrations: Callable[[Item], Sequence[Item]] = lambda item: ()
    fixed: bool = True
    answer: Literal["score", "generate"] = "score"
    decode: Decode = field(default_factory=Decode)
    label_score: Literal["sum", "token", "calibrated"] = "sum"
    batch_size: int = 16
    seed: int = 0
    loss_on: Literal["answer", "all"] = "answer"
    tables: Tables = field(default_factory=lambda: Tables({}, keep=False))


@dataclass(frozen=True)
class Reading:
    """How an answer is read from a model.

    Attributes:
        name: ``classes``, ``spans`` or ``text``.
        encode: Training sequences of items, answers included.
        loss: Summed loss of a batch, a scalar.
        answer: Predictions for items; calls back with items done and all. They may be made when
            they are asked for, so that only what they are made from grows with the items.
    """

    name: str
    encode: Callable[[Sequence[Item], Asking], Features]
    loss: Callable[[Learner, Batch], Tensor]
    answer: Callable[[Learner, Sequence[Item], Asking, Tick], Sequence[Prediction]]


def collate(features: Sequence[Feature], pad_id: int, *, side: str = "right") -> Batch:
    """Pad features to one length; the mask comes from lengths, never from ids (trap T5).

    Args:
        features: Sequences.
        pad_id: Token that fills.
        side: ``right``, or ``left`` for generating.

    Returns:
        Tensors of shape [b, s]: ``input_ids``, ``attention_mask``, perhaps ``token_type_ids``; and
        ``labels`` of shape [b, s] (per token), [b, 2] (span) or [b, 1] (class).
    """
    width = max(len(f.input_ids) for f in features)

    def padded(values: Sequence[int], fill: int) -> list[int]:
        gap = [fill] * (width - len(values))
        return [*values, *gap] if side == "right" else [*gap, *values]

    batch = {
        "input_ids": torch.tensor([padded(f.input_ids, pad_id) for f in features]),
        "attention_mask": torch.tensor([padded([1] * len(f.input_ids), 0) for f in features]),
    }
    if all(f.token_types is not None for f in features):
        batch["token_type_ids"] = torch.tensor([padded(f.token_types or (), 0) for f in features])
    if all(f.labels for f in features):
        per_token = len(features[0].labels) == len(features[0].input_ids)
        rows = [padded(f.labels, IGNORED) if per_token else list(f.labels) for f in features]
        batch["labels"] = torch.tensor(rows)
    return batch


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield indices of batches of like length: stable order, so always the same batches (T35)."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def to_device(batch: Batch, learner: Learner) -> Batch:
    """Move a batch to where the learner is."""
    device = next(learner.parameters()).device
    return {name: copying.to_device(tensor, device) for name, tensor in batch.items()}
