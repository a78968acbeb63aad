"""One block of softmax attention: some queries and the keys that they see, forward and backward.

Shapes: n independent products (items and key heads), r rows (queries of the heads that share a
key), t keys, d numbers per head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tarazu.models.fast.dropout import kept, masked, masked_

KEPT_BYTES = 64 << 20
"""More probabilities of a layer are computed again in the backward pass. What dropout drew is kept
in any case: a byte for each, in half precision two."""

Drawn = tuple[Tensor, float]


def noted(
    part: Tensor, p: float, saved: list[Tensor], scales: list[float], *, keep: bool
) -> Tensor:
    """Note what the backward pass needs of a block's probabilities; return what is used of them.

    Args:
        part: Probabilities, [n, r, t].
        p: Probability that one is dropped.
        saved: Tensors that are kept: `part` if wanted, then what dropout drew.
        scales: By what the rest was multiplied, one number for each mask.
        keep: Whether `part` is kept.
    """
    if keep:
        saved.append(part)
    if not p:
        return part
    mask, scale = kept(part.shape, p, part.dtype)
    saved.append(mask)
    scales.append(scale)
    return masked(part, mask).mul_(scale)


def gradients(
    part: Tensor,
    drawn: Drawn | None,
    operands: tuple[Tensor, Tensor, Tensor],
    outer: Tensor,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of a block's queries, keys and values, those that are wanted.

    Args:
        part: Probabilities before dropout, [n, r, t].
        drawn: What dropout drew.
        operands: Scaled queries [n, r, d], keys [n, t, d], values [n, t, d].
        outer: Gradient of the result, [n, r, d].
        wanted: Of which of the three. In the lowest layer with something trained, LoRA's say, not
            all are.
    """
    rows, keys, values = operands
    for_rows = for_keys = for_values = None
    if wanted[2]:
        used = part if drawn is None else masked(part, drawn[0]).mul_(drawn[1])
        for_values = torch.bmm(used.transpose(1, 2), outer)
    if wanted[0] or wanted[1]:
        for_part = torch.bmm(outer, values.transpose(1, 2))
        if drawn is not None:
            masked_(for_part, drawn[0]).mul_(drawn[1])
        for_scores = torch._softmax_backward_data(for_part, part, -1, part.dtype)
        if wanted[0]:
            for_rows = torch.bmm(for_scores, keys)
        if wanted[1]:
            for_keys = torch.bmm(for_scores.transpose(1, 2), rows)
    return for_rows, for_keys, for_values
