"""Cross-entropy over a vocabulary, in parts of few tokens where all scores would take much memory.

The scores of t tokens over V words take 4·t·V bytes, and so do their logarithms and their gradient:
2 GiB each for 4096 tokens over 128,000 words. Here a part's scores are computed, summed up,
forgotten, and computed once more in the backward pass (Chen et al. 2016, Training Deep Nets with
Sublinear Memory Cost): a third more arithmetic in the projection, and whatever projects may be
trained, frozen, quantised or adapted.

Shapes: t tokens, h hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tarazu.models.fast.switches import switches

SCORE_BYTES = 256 << 20  # of scores at a time
_BYTES = 4  # of a score: they are fp32

Project = Callable[[Tensor], Tensor]


def summed_cross_entropy(project: Project, states: Tensor, targets: Tensor, words: int) -> Tensor:
    """Return the summed cross-entropy of tokens, a scalar.

    Args:
        project: Maps states [n, h] to scores [n, V] in fp32.
        states: [t, h].
        targets: [t], the words that are right.
        words: V.
    """
    rows = max(1, SCORE_BYTES // (_BYTES * words))
    if len(states) <= rows or not switches().chunked_loss:
        return _summed(project, states, targets)
    pairs = zip(torch.split(states, rows), torch.split(targets, rows), strict=True)
    parts = [
        checkpoint(_summed, project, some, wanted, use_reentrant=False) for some, wanted in pairs
    ]
    return torch.stack(parts).sum()


def _summed(project: Project, states: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(project(states), targets, reduction="sum")
