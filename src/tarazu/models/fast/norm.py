"""Root-mean-square normalisation (Zhang and Sennrich 2019) with a backward pass of its own.

The library's is a chain of seven steps, each of which writes a tensor and is undone by several.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tarazu.models.fast.bound import Bound
from tarazu.models.info import ModelInfo

# Architectures whose norm is weight · x / sqrt(mean(x²) + eps), computed in fp32.
ROOT_MEAN_SQUARE = frozenset(("llama", "mistral", "qwen2", "qwen3"))


class _Norm(torch.autograd.Function):
    """y = w·x·r with r = 1 / sqrt(mean(x²) + eps); dx = r·w·g - x·r³·mean(x·w·g)."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, eps: float) -> Tensor:
        inverse = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
        inverse.square_().div_(states.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(states, weight, inverse)
        result: Tensor = (states * inverse).mul_(weight)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        states, weight, inverse = ctx.saved_tensors
        for_weight = None
        if ctx.needs_input_grad[1]:
            for_weight = (states * inverse).mul_(gradient).flatten(0, -2).sum(0)
        if not ctx.needs_input_grad[0]:  # nothing below is trained
            return None, for_weight, None
        scaled = gradient * weight
        along = torch.linalg.vecdot(scaled, states).unsqueeze(-1)
        along.mul_(inverse).mul_(inverse).mul_(inverse).div_(-states.shape[-1])
        return scaled.mul_(inverse).addcmul_(states, along), for_weight, None


def _forward(layer: Any, states: Tensor) -> Tensor:
    """Stand for the `forward` of a norm."""
    if states.dtype != torch.float32 or layer.weight.dtype != torch.float32:
        return type(layer).forward(layer, states)  # type: ignore[no-any-return]
    result: Tensor = _Norm.apply(states, layer.weight, layer.variance_epsilon)  # type: ignore[no-untyped-call]
    return result


def use_short_norm(body: nn.Module, info: ModelInfo) -> None:
    """Let the norms of a model compute in few steps, where they are plain."""
    if info.architecture not in ROOT_MEAN_SQUARE:
        return
    for module in body.modules():
        if hasattr(module, "variance_epsilon") and hasattr(module, "weight"):
            module.forward = Bound(_forward, module)
