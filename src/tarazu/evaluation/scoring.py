"""Scoring given continuations of a prompt: how probable is each of them?

What all prompts begin with is computed once. Then prompts go through the model side by side in one
row, each with its continuations (see `packing`); a model that cannot be asked so has its prompts
padded, and their key/value cache serves all continuations.

Shapes: b items, c continuations per item, t tokens of the longest continuation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tarazu.evaluation.packing import Row, Tree, batches, row, tree
from tarazu.evaluation.split_scoring import score_above_trunk
from tarazu.models.copying import to_device
from tarazu.models.fast import switches
from tarazu.models.learner import Learner
from tarazu.models.prefix import Prefix, RowCache, can_share, shared_prefix

Tokens = Sequence[int]
Scored = Iterator[tuple[list[int], Tensor]]
"""Which prompts were scored, and their scores [b, c]."""

# Tokens of a packed row. On a CPU larger ones gain nothing: attention over what a token does not
# see grows with the row, and activations leave the processor's cache.
CPU_BUDGET = 512
BUDGET = 2048


@torch.no_grad()
def score_continuations(
    learner: Learner,
    prompts: Sequence[Tokens],
    continuations: Sequence[Sequence[Tokens]],
    *,
    pad_id: int,
    batch_size: int,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float64]:
    """Return log P(continuation | prompt), summed over the continuation's tokens.

    Args:
        learner: A decoder.
        prompts: Tokens of each prompt; not empty.
        continuations: For each prompt, the continuations to score, equally many for all.
        pad_id: Token that fills.
        batch_size: Most prompts per forward pass.
        tick: Called with prompts done and all.

    Returns:
        For each prompt, one score per continuation: [prompts, c].
    """
    if not prompts:
        return np.empty((0, 0))
    if learner.frozen is not None:
        return score_above_trunk(
            learner, learner.frozen, prompts, continuations, batch_size=batch_size, tick=tick
        )
    scores = np.empty((len(prompts), len(continuations[0])))
    done = 0
    if switches().packed and can_share(learner):
        found = _packed(learner, prompts, continuations, batch_size)
    else:
        found = _padded(learner, prompts, continuations, pad_id, batch_size)
    for rows, values in found:
        scores[rows] = values.tolist()
        done += len(rows)
        tick(done, len(prompts))
    return scores


def _packed(
    learner: Learner,
    prompts: Sequence[Tokens],
    continuations: Sequence[Sequence[Tokens]],
    batch_size: int,
) -> Scored:
    prefix = shared_prefix(learner, prompts)
    # A tree is made when its turn comes: memory does not grow with the number of prompts.
    sizes = [
        len(prompt) - prefix.tokens + sum(len(tokens) - 1 for tokens in many)
        for prompt, many in zip(prompts, continuations, strict=True)
    ]
    for rows in batches(sizes, row_budget(learner), batch_size):
        trees = [tree(prompts[i][prefix.tokens :], continuations[i]) for i in rows]
        with learner.compute():
            yield rows, _score_row(learner, trees, prefix).view(len(rows), -1)


def _score_row(learner: Learner, trees: Sequence[Tree], prefix: Prefix) -> Tensor:
    """Score the continuations of all trees, [b·c]."""
    device = next(learner.parameters()).device
    packed = row(trees, prefix.length)
    cache = prefix.open(packed.ids.shape[1]) if prefix.length else None
    logits = learner.vocabulary_logits(hidden_of_row(learner, packed, cache))
    read = to_device(packed.read, device)
    picked = logits[read, to_device(packed.targets, device)] - logits.logsumexp(dim=-1)[read]
    scores = picked.new_zeros(sum(len(one.targets) for one in trees))
    return scores.index_add(0, to_device(packed.owners, device), picked)


def row_budget(learner: Learner) -> int:
    """Return how many tokens should share a packed row."""
    return CPU_BUDGET if next(learner.parameters()).device.type == "cpu" else BUDGET


def hidden_of_row(learner: Learner, packed: Row, cache: RowCache | None) -> Tensor:
    """Return the states of a packed row that are read, [r, h].

    Args:
        learner: A decoder.
        packed: The row.
        cache: Filled with the prefix; None without one.
    """
    device = next(learner.parameters()).device
    states = learner.hidden(
        to_device(packed.ids, device),
        to_device(packed.mask, device),
        cache=cache,
        positions=to_device(packed.positions, device),
    )
    return states[0, to_device(packed.states, device)]


def _padded(
    learner: Learner,
    prompts: Sequence[Tokens],
    continuations: Sequence[Sequence[Tokens]],
    pad_id: int,
    batch_size: int,
) -> Scored:
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        with learner.compute():
            yield (
                rows,
                _score_batch(
                    learner, [prompts[i] for i in rows], [continuations[i] for i in rows], pad_id
                ),
            )


def _score_batch(
    learner: Learner, prompts: list[Tokens], continuations: list[Sequence[Tokens]], pad_id: int
) -> Tensor:
    from tarazu.models.compute_cache import ComputeCache

    device = next(learner.parameters()).device
    ids, mask = left_padded(prompts, pad_id, device)
    each = len(continuations[0])
    longest = max(len(c) for many in continuations for c in many)
    cache = ComputeCache(config=learner.body.config) if longest > 1 else None
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
    ids = torch.full((len(rows), width), pad_id)
    mask = torch.zeros_like(ids)
    for index, tokens in enumerate(rows):
        ids[index, width - len(tokens) :] = torch.tensor(list(tokens))
        mask[index, width - len(tokens) :] = 1
    return to_device(ids, device), to_device(mask, device)


def _right_padded(rows: list[Tokens], width: int, device: torch.device) -> Tensor:
    ids = torch.full((len(rows), width), -1)
    for index, tokens in enumerate(rows):
        ids[index, : len(tokens)] = torch.tensor(list(tokens))
    return to_device(ids, device)
