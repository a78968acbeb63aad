"""Large models from 16-bit files in fp32 runs: weights stay as stored and are cast when used.

A processor without fast bf16 computes in fp32, and a copy of all weights in fp32 takes twice the
memory of the file. Casting bf16 or fp16 to fp32 is exact, so each product is the same as with a
copy; it costs reading and writing the matrix once more. That is little beside the product with
many tokens, but not when a small model generates word by word: small models are held in fp32.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGE = 4 << 30
"""Bytes of a copy in fp32 from which weights stay as they are stored. A constant, not the memory of
a machine, because new adapters begin in their base's precision."""

# Their layers read weights by calling the modules that own them, as tests show for each. Others
# read them directly, in a precision of their own choice.
ARCHITECTURES = frozenset(
    {
        "bert",
        "gemma",
        "gpt_neox",
        "granite",
        "llama",
        "mistral",
        "olmo",
        "olmo2",
        "phi",
        "phi3",
        "qwen2",
        "qwen3",
        "roberta",
        "smollm3",
        "stablelm",
        "starcoder2",
    }
)


class _CastLinear(torch.autograd.Function):
    """`functional.linear` with a frozen 16-bit weight; backward casts it again, not keeps it."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return functional.linear(states, weight.to(states.dtype), _cast(bias, states.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        (weight,) = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None, None
        return gradient @ weight.to(gradient.dtype), None, None


def _cast(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.to(dtype)


def _linear(layer: nn.Linear, states: Tensor) -> Tensor:
    if layer.weight.requires_grad:
        return functional.linear(states, layer.weight, layer.bias)
    result: Tensor = _CastLinear.apply(states, layer.weight, layer.bias)  # type: ignore[no-untyped-call]
    return result


def _embedding(layer: nn.Embedding, ids: Tensor) -> Tensor:
    return functional.embedding(ids, layer.weight, layer.padding_idx).float()


_FORWARDS: dict[type[nn.Module], Any] = {nn.Linear: _linear, nn.Embedding: _embedding}


def hold_as_stored(body: nn.Module) -> None:
    """Let linear layers and embeddings whose weights are in 16 bits compute in fp32.

    Other parameters are cast by `Learner.settle`: those of norms, which are small, and what a layer
    of another kind owns, too, such as embeddings that are scaled and tied to the output.

    Args:
        body: In which nothing is trained yet.
    """
    elsewhere = {
        id(parameter)
        for module in body.modules()
        if type(module) not in _FORWARDS
        for parameter in module.parameters(recurse=False)
    }
    for module in body.modules():
        forward = _FORWARDS.get(type(module))
        if forward is None or id(module.weight) in elsewhere:
            continue
        if module.weight.dtype.itemsize < torch.float32.itemsize:  # type: ignore[operator]
            module.forward = partial(forward, module)
            module.held_as_stored = True  # type: ignore[assignment]


def is_held_as_stored(module: nn.Module) -> bool:
    """Say whether a layer casts its weight to the precision of its inputs by itself."""
    return bool(getattr(module, "held_as_stored", False))
