"""Scoring continuations by a model whose frozen trunk runs once per sequence.

As `tarazu.evaluation.scoring`, but from the states that `tarazu.models.frozen` keeps.

Shapes: b items, c continuations per item, s tokens of the longest prompt, t tokens of the longest
continuation, h hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tarazu.models.copying import to_device
from tarazu.models.frozen import FrozenTrunk, padded
from tarazu.models.learner import Learner

Tokens = Sequence[int]


@torch.no_grad()
def score_above_trunk(
    learner: Learner,
    frozen: FrozenTrunk,
    prompts: Sequence[Tokens],
    continuations: Sequence[Sequence[Tokens]],
    *,
    batch_size: int,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float64]:
    """Return log P(continuation | prompt), summed over the continuation's tokens.

    Args:
        learner: A decoder.
        frozen: Its trunk.
        prompts: Tokens of each prompt; not empty.
        continuations: For each prompt, the continuations to score, equally many for all.
        batch_size: Prompts per forward pass.
        tick: Called with prompts done and all.

    Returns:
        For each prompt, one score per continuation: [prompts, c].
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    scores = np.empty((len(prompts), len(continuations[0])))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = _score_batch(
            learner, frozen, [prompts[i] for i in rows], [continuations[i] for i in rows]
        )
        scores[rows] = batch.tolist()
        tick(min(start + batch_size, len(order)), len(order))
    return scores


def _score_batch(
    learner: Learner, frozen: FrozenTrunk, prompts: list[Tokens], many: list[Sequence[Tokens]]
) -> Tensor:
    """Score all continuations of some prompts, [b, c]."""
    from tarazu.models.compute_cache import ComputeCache

    device = next(learner.parameters()).device
    begun: list[Tensor] = []
    followed: list[Tensor] = []
    trees = frozen.trees(prompts, [[w[:-1] for w in words if len(w) > 1] for words in many])
    for (first, *branches), words in zip(trees, many, strict=True):
        begun.append(first)
        rest = iter(branches)
        followed += [next(rest) if len(word) > 1 else first[:0] for word in words]
    each = len(many[0])
    targets = [torch.tensor(list(word)) for words in many for word in words]
    wanted = torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-1)
    wanted = to_device(wanted, device)
    cache = ComputeCache(config=learner.body.config) if wanted.shape[1] > 1 else None
    with learner.compute():
        states, mask = padded(begun, device, side="left")
        last = frozen.above(states, mask, cache)[:, -1]
        first_scores = functional.log_softmax(learner.vocabulary_logits(last), dim=-1)
        total = first_scores.repeat_interleave(each, dim=0).gather(1, wanted[:, :1])[:, 0]
        if cache is not None:
            cache.batch_repeat_interleave(each)
            states, real = padded(followed, device, side="right")
            mask = torch.cat([mask.repeat_interleave(each, dim=0), real], dim=1)
            after = learner.vocabulary_logits(frozen.above(states, mask, cache))
            picked = functional.log_softmax(after, dim=-1).gather(
                2, wanted[:, 1:].clamp(min=0).unsqueeze(-1)
            )[..., 0]
            total = total + picked.masked_fill(wanted[:, 1:] < 0, 0.0).sum(dim=1)
    return total.view(len(prompts), each)
