"""Scoring given continuations of a prompt: how probable is each of them?

The prompt is computed once per item; its key/value cache then serves all continuations.

Shapes: b items, c continuations per item, t tokens of the longest continuation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tarazu.evaluation.split_scoring import score_above_trunk
from tarazu.models.learner import Learner

Tokens = Sequence[int]


@torch.no_grad()
def score_continuations(
    learner: Learner,
    prompts: Sequence[Tokens],
    continuations: Sequence[Sequence[Tokens]],
    *,
    pad_id: int,
    batch_size: int,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[float]]:
    """Return log P(continuation | prompt), summed over the continuation's tokens.

    Args:
        learner: A decoder.
        prompts: Tokens of each prompt; not empty.
        continuations: For each prompt, the continuations to score, equally many for all.
        pad_id: Token that fills.
        batch_size: Prompts per forward pass.
        tick: Called with prompts done and all.

    Returns:
        For each prompt, one score per continuation.
    """
    if learner.frozen is not None:
        return score_above_trunk(
            learner, learner.frozen, prompts, continuations, batch_size=batch_size, tick=tick
        )
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    scores: list[list[float]] = [[] for _ in prompts]
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        with learner.compute():
            batch = _score_batch(
                learner, [prompts[i] for i in rows], [continuations[i] for i in rows], pad_id
            )
        for row, values in zip(rows, batch.tolist(), strict=True):
            scores[row] = values
        tick(min(start + batch_size, len(order)), len(order))
    return scores


def _score_batch(
    learner: Learner, prompts: list[Tokens], continuations: list[Sequence[Tokens]], pad_id: int
) -> Tensor:
    from transformers import DynamicCache

    device = next(learner.parameters()).device
    ids, mask = left_padded(prompts, pad_id, device)
    each = len(continuations[0])
    longest = max(len(c) for many in continuations for c in many)
    cache = DynamicCache(config=learner.body.config) if longest > 1 else None
    last = learner.hidden(ids, mask, cache=cache)[:, -1]
    first = functional.log_softmax(learner.vocabulary_logits(last), dim=-1)
    targets = _right_padded([c for many in continuations for c in many], longest, device)
    total = first.repeat_interleave(each, dim=0).gather(1, targets[:, :1])[:, 0]
    if cache is not None:
        total = total + _rest(learner, cache, learner.widen(mask, 1), targets, each, pad_id)
    return total.view(len(prompts), each)


def _rest(
    learner: Learner, cache: object, mask: Tensor, targets: Tensor, each: int, pad_id: int
) -> Tensor:
    """Score the second and later tokens of all continuations, [b·c]."""
    cache.batch_repeat_interleave(each)  # type: ignore[attr-defined]
    known = targets[:, :-1]
    real = (known >= 0).to(mask.dtype)
    mask = torch.cat([mask.repeat_interleave(each, dim=0), real], dim=1)
    states = learner.hidden(known.masked_fill(known < 0, pad_id), mask, cache=cache)
    scores = functional.log_softmax(learner.vocabulary_logits(states), dim=-1)
    wanted = targets[:, 1:]
    picked = scores.gather(2, wanted.clamp(min=0).unsqueeze(-1))[..., 0]
    return picked.masked_fill(wanted < 0, 0.0).sum(dim=1)


def left_padded(rows: list[Tokens], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return tokens and mask, [b, s] each, with every prompt's end in the last column."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad_id, device=device)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, width - len(row) :] = torch.tensor(list(row), device=device)
        mask[index, width - len(row) :] = 1
    return ids, mask


def _right_padded(rows: list[Tokens], width: int, device: torch.device) -> Tensor:
    ids = torch.full((len(rows), width), -1, device=device)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(list(row), device=device)
    return ids
