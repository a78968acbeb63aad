"""Reading spans: start and end of the answer in the context, for encoders.

A context that does not fit is read in overlapping windows, so that no token is lost (trap T18).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tarazu.data.item import Item, Prediction
from tarazu.errors import bad
from tarazu.models.learner import Batch, Learner
from tarazu.readings._kept import kept_features
from tarazu.readings._reading import (
    AT_ONCE,
    Asking,
    Feature,
    Features,
    Reading,
    Tick,
    by_length,
    collate,
    to_device,
)
from tarazu.readings.tables import Lazy

OUTSIDE = (-1, -1)
STRIDE = 128  # tokens shared by neighbouring windows (Devlin et al. 2019, released run_squad.py)
LONGEST = 30  # tokens of an answer (same source)


def _windows(items: Sequence[Item], asking: Asking) -> Features:
    return kept_features(asking, items, "windows", lambda: _encoded(items, asking))


def _encoded(items: Sequence[Item], asking: Asking) -> Iterator[Feature]:
    parts = [items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE)]
    questions = [[item.fields["question"] for item in part] for part in parts]
    longest = max(len(ids) for part in questions for ids in asking.tokenizer(part)["input_ids"])
    room = asking.max_length - longest - 2
    if room < 16:
        raise bad(
            "max_length",
            "must leave room for the context beside the longest question",
            asking.max_length,
            f"Use at least {longest + 2 + 16}.",
        )
    for index, part in enumerate(parts):
        encoded = asking.tokenizer(
            questions[index],
            [item.fields["context"] for item in part],
            truncation="only_second",
            max_length=asking.max_length,
            stride=min(STRIDE, room // 2),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        for row in range(len(encoded["input_ids"])):
            yield Feature(
                item=index * AT_ONCE + encoded["overflow_to_sample_mapping"][row],
                input_ids=encoded["input_ids"][row],
                token_types=encoded["token_type_ids"][row] if "token_type_ids" in encoded else None,
                offsets=_context_offsets(encoded, row),
            )


def _context_offsets(encoded: Any, row: int) -> list[tuple[int, int]]:
    return [
        offset if sequence == 1 else OUTSIDE
        for offset, sequence in zip(
            encoded["offset_mapping"][row], encoded.sequence_ids(row), strict=True
        )
    ]


def _target(feature: Feature, start: int, end: int) -> tuple[int, int]:
    """Return first and last token of the characters [start, end); (0, 0) when not all inside.

    Overlap decides, not equality: some tokenizers count the space before a word to it.
    """
    inside = [i for i, (a, b) in enumerate(feature.offsets) if a < end and b > start and a >= 0]
    if not inside:
        return (0, 0)
    first, last = feature.offsets[inside[0]], feature.offsets[inside[-1]]
    return (inside[0], inside[-1]) if first[0] <= start and last[1] >= end else (0, 0)


def _gold_span(item: Item) -> tuple[int, int]:
    """Return the characters of the first gold answer in the context; none when it is absent.

    Space around it belongs to no token, or to the next word's.
    """
    gold = item.gold[0]
    start = item.starts[0] if item.starts else item.fields["context"].find(gold)
    if start < 0:
        return OUTSIDE
    return start + len(gold) - len(gold.lstrip()), start + len(gold.rstrip())


def encode(items: Sequence[Item], asking: Asking) -> Features:
    """Encode every window with the tokens of its first gold span."""
    windows = _windows(items, asking)

    def labelled(place: int) -> Feature:
        window = windows[place]
        return replace(window, labels=_target(window, *_gold_span(items[window.item])))

    return Features(windows.lengths, labelled)


def logits(learner: Learner, batch: Batch) -> Tensor:
    """Return start and end logits [b, s, 2]; padding gets the least value."""
    assert learner.head is not None
    states = learner.hidden(
        batch["input_ids"], batch["attention_mask"], batch.get("token_type_ids")
    )
    scores: Tensor = learner.head(states)
    return scores.masked_fill(batch["attention_mask"].unsqueeze(-1) == 0, torch.finfo().min)


def loss(learner: Learner, batch: Batch) -> Tensor:
    """Return the sum over windows of the mean cross-entropy of start and end."""
    scores, labels = logits(learner, batch), batch["labels"]
    start = functional.cross_entropy(scores[..., 0], labels[:, 0], reduction="sum")
    end = functional.cross_entropy(scores[..., 1], labels[:, 1], reduction="sum")
    return (start + end) / 2


def best_span(scores: Tensor, offsets: Sequence[tuple[int, int]]) -> tuple[float, int, int]:
    """Return score, start and end character of the best span inside the context.

    Args:
        scores: Start and end logits, [s, 2].
        offsets: Character span per token.
    """
    size = len(offsets)
    inside = torch.tensor([a >= 0 and b > a for a, b in offsets])
    total = scores[:size, 0].unsqueeze(1) + scores[:size, 1].unsqueeze(0)
    allowed = inside.unsqueeze(1) & inside.unsqueeze(0)
    allowed &= torch.ones_like(allowed).triu() & ~torch.ones_like(allowed).triu(LONGEST)
    total = total.masked_fill(~allowed, float("-inf"))
    first, last = divmod(int(total.argmax()), size)
    return float(total[first, last]), offsets[first][0], offsets[last][1]


@torch.no_grad()
def answer(
    learner: Learner, items: Sequence[Item], asking: Asking, tick: Tick
) -> Sequence[Prediction]:
    """Answer every item with the best span over all windows of its context."""
    features = _windows(items, asking)
    best = np.zeros(len(items), [("score", "f8"), ("start", "i8"), ("end", "i8")])
    tokens = [0] * len(items)
    done = 0
    for indices in by_length(features.lengths, asking.batch_size):
        rows = [features[i] for i in indices]
        batch = to_device(collate(rows, asking.tokenizer.pad_token_id), learner)
        with learner.compute():
            scores = logits(learner, batch).cpu()
        for feature, row in zip(rows, scores, strict=True):
            found = best_span(row, feature.offsets)
            if not tokens[feature.item] or found > best[feature.item].item():
                best[feature.item] = found
            tokens[feature.item] += len(feature.input_ids)
        done += len(rows)
        tick(done * len(items) // len(features), len(items))
    return Lazy(
        len(items),
        lambda place: _prediction(items[place], *best[place].item(), tokens=tokens[place]),
    )


def _prediction(item: Item, score: float, start: int, end: int, *, tokens: int) -> Prediction:
    text = item.fields["context"][start:end].strip()
    return Prediction(
        item.id, predicted=text or None, raw=text, scores=(score,), prompt_tokens=tokens
    )


READING = Reading("spans", encode, loss, answer)
