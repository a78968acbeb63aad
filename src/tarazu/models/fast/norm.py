"""Root-mean-square normalisation (Zhang and Sennrich 2019) with a backward pass of its own.

The library's is a chain of seven steps, each of which writes a tensor and is undone by several; of
half-precision states it writes and keeps them in fp32. Here such states are turned to fp32 some
rows at a time, so that what lies between stays in the processor's cache, and are rounded once.

Shapes: n rows, h numbers of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tarazu.models.fast.bound import Bound
from tarazu.models.info import ModelInfo

# Architectures whose norm is weight · x / sqrt(mean(x²) + eps), computed in fp32.
ROOT_MEAN_SQUARE = frozenset(("llama", "mistral", "qwen2", "qwen3"))


HALF = (torch.bfloat16, torch.float16)
ROWS = 1024  # of half precision at a time: of a thousand numbers each, 4 MB in fp32


def _normed(states: Tensor, weight: Tensor, eps: float, inverse: Tensor) -> Tensor:
    """Return y = w·x·r of states [n, h], and put r = 1 / sqrt(mean(x²) + eps) [n, 1] into place."""
    torch.linalg.vector_norm(states, dim=-1, keepdim=True, out=inverse)
    inverse.square_().div_(states.shape[-1]).add_(eps).rsqrt_()
    return (states * inverse).mul_(weight)


def _for_states(gradient: Tensor, states: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    """Return dx = r·w·g - x·r³·mean(x·w·g), [n, h]."""
    scaled = gradient * weight
    along = torch.linalg.vecdot(scaled, states).unsqueeze(-1)
    along.mul_(inverse).mul_(inverse).mul_(inverse).div_(-states.shape[-1])
    return scaled.mul_(inverse).addcmul_(states, along)


def _by_parts(compute: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """Compute something of rows, of those in half precision in fp32; it is as the first ones are.

    Args:
        compute: Takes rows and returns as many. What it writes into rows that are fp32 stays there:
            of such, it is given views.
        rows: [n, …] each.
    """
    if rows[0].dtype not in HALF:
        return compute(*rows)
    result = torch.empty_like(rows[0])
    for start in range(0, len(result), ROWS):
        part = slice(start, start + ROWS)
        result[part] = compute(*(some[part].float() for some in rows))
    return result


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, eps: float) -> Tensor:
        flat, wide = states.reshape(-1, states.shape[-1]), _full(weight)
        inverse = torch.empty(len(flat), 1, dtype=wide.dtype)
        result = _by_parts(lambda some, r: _normed(some, wide, eps, r), flat, inverse)
        ctx.save_for_backward(states, weight, inverse)
        return result.view(states.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        states, weight, inverse = ctx.saved_tensors
        flat, rows = (one.reshape(-1, one.shape[-1]) for one in (gradient, states))
        for_weight = None
        if ctx.needs_input_grad[1]:
            for_weight = (rows * inverse).mul_(flat).sum(0).to(weight.dtype)
        if not ctx.needs_input_grad[0]:  # nothing below is trained
            return None, for_weight, None
        wide = _full(weight)
        for_states = _by_parts(
            lambda some, x, r: _for_states(some, x, wide, r), flat, rows, inverse
        )
        return for_states.view(states.shape), for_weight, None


def _full(weight: Tensor) -> Tensor:
    return weight.float() if weight.dtype in HALF else weight


def _forward(layer: Any, states: Tensor) -> Tensor:
    """Stand for the `forward` of a norm."""
    if states.dtype != layer.weight.dtype:
        return type(layer).forward(layer, states)  # type: ignore[no-any-return]
    with torch.autocast(states.device.type, enabled=False):  # it has no say in a norm
        result: Tensor = _Norm.apply(states, layer.weight, layer.variance_epsilon)  # type: ignore[no-untyped-call]
    return result


def use_short_norm(body: nn.Module, info: ModelInfo) -> None:
    """Let the norms of a model compute in few steps, where they are plain."""
    if info.architecture not in ROOT_MEAN_SQUARE:
        return
    for module in body.modules():
        if hasattr(module, "variance_epsilon") and hasattr(module, "weight"):
            module.forward = Bound(_forward, module)
