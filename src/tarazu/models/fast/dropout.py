"""Dropout with cheap masks.

On a CPU, drawing dropout masks took a tenth of a training step with adapters: `torch.bernoulli_`
makes one number of its generator per element. Here one 64-bit number decides four elements, and it
comes from a faster generator (SFC64, Doty-Humphrey 2010), which PyTorch's seeds anew for every
mask. The probability is rounded to a multiple of 2**-16, and the scale is that of the rounded one,
so the expectation stays exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LEVELS = 1 << 16
LANES = 4  # of 16 bits in one random number


def kept(shape: torch.Size, p: float, dtype: torch.dtype) -> tuple[Tensor, float]:
    """Draw which elements stay.

    Args:
        shape: Of the mask.
        p: Probability of being dropped, at least 0 and below 1.
        dtype: Of what is to be `masked`.

    Returns:
        The mask, for `masked`: of two-byte precisions all bits of an element or none (int16), else
        one or zero (uint8). And by what the rest must be multiplied.
    """
    dropped = min(round(p * LEVELS), LEVELS - 1)
    count = shape.numel()
    seed = int(torch.empty((), dtype=torch.int64).random_(-(2**63), None)) % 2**64
    drawn = torch.from_numpy(np.random.SFC64(seed).random_raw(-(-count // LANES)).view(np.int16))
    lanes = drawn[:count].view(shape)
    stays = dropped - LEVELS // 2
    if dtype.itemsize == lanes.element_size():
        mask = lanes.ge_(stays).neg_()
    else:
        mask = lanes.ge(stays).view(torch.uint8)
    return mask, LEVELS / (LEVELS - dropped)


def masked(states: Tensor, mask: Tensor) -> Tensor:
    """Return elements that stay as they are, and zeros for the others.

    Args:
        states: Of the precision that the mask was drawn for.
        mask: As `kept` draws it.
    """
    if mask.dtype == torch.int16:
        return (states.view(torch.int16) & mask).view(states.dtype)
    return states * mask


def masked_(states: Tensor, mask: Tensor) -> Tensor:
    """Do what `masked` does in place."""
    if mask.dtype == torch.int16:
        states.view(torch.int16).bitwise_and_(mask)
        return states
    return states.mul_(mask)


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, p: float) -> Tensor:
        mask, scale = kept(states.shape, p, states.dtype)
        ctx.save_for_backward(mask)
        ctx.scale = scale
        return masked(states, mask).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return masked(gradient, mask).mul_(ctx.scale), None


def drop(states: Tensor, p: float) -> Tensor:
    """Set elements to zero with probability `p` and scale the rest (Srivastava et al. 2014)."""
    result: Tensor = _Drop.apply(states, p) if p > 0 else states  # type: ignore[no-untyped-call]
    return result


class CheapDropout(nn.Dropout):
    """`torch.nn.Dropout` with cheap masks on the CPU."""

    def forward(self, states: Tensor) -> Tensor:
        """Drop in training mode; elsewhere leave the states as they are."""
        if not self.training or self.p == 0 or states.device.type != "cpu" or self.inplace:
            return super().forward(states)
        return drop(states, self.p)


def use_cheap_dropout(model: nn.Module) -> None:
    """Let every dropout layer of a model draw cheap masks."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = CheapDropout
