"""Rotary position embeddings (Su et al. 2021, RoFormer) in one pass, forward and backward.

The library forms ``q·cos + rotate_half(q)·sin`` by negating, joining, multiplying and adding whole
tensors. Turning by an angle is undone by turning back, so one function serves both directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tarazu.models.fast.attention import NAME, attention, autocast_dtype
from tarazu.models.fast.bound import Bound
from tarazu.models.info import ModelInfo

# Architectures that turn the two halves of every head of queries and keys.
HALVES = frozenset(("llama", "mistral", "qwen2", "qwen3"))


def turned(states: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    """Turn queries or keys by their positions' angles.

    Args:
        states: [b, h, s, d].
        cos: [b or 1, s, d]; its two halves are alike.
        sin: The same.
        sign: 1, or -1 to turn back.
    """
    half = states.shape[-1] // 2
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    result = states * cos
    result[..., :half].addcmul_(states[..., half:], sin[..., :half], value=-sign)
    result[..., half:].addcmul_(states[..., :half], sin[..., half:], value=sign)
    return result


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return turned(states, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return turned(gradient, cos, sin, -1), None, None


def turn(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys [b, h, s, d] by their angles [b or 1, s, d], with gradients."""
    result: Tensor = _Turn.apply(states, cos, sin)  # type: ignore[no-untyped-call]
    return result


def _forward(
    layer: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Stand for the `forward` of an attention layer."""
    shape = (*hidden_states.shape[:-1], -1, layer.head_dim)
    query = layer.q_proj(hidden_states).view(shape)
    key = layer.k_proj(hidden_states).view(shape)
    value = layer.v_proj(hidden_states).view(shape).transpose(1, 2)
    if hasattr(layer, "q_norm"):
        query, key = layer.q_norm(query), layer.k_norm(key)
    cos, sin = (part.to(query.dtype) for part in position_embeddings)
    query = turn(query.transpose(1, 2), cos, sin)
    key = turn(key.transpose(1, 2), cos, sin)
    if past_key_values is not None:
        # As attention will read them: a 4-bit base answers in fp32 between its products.
        key, value = (one.to(autocast_dtype(one)) for one in (key, value))
        key, value = past_key_values.update(key, value, layer.layer_idx)
    dropout = layer.attention_dropout if layer.training else 0.0
    result, _ = attention(
        layer, query, key, value, attention_mask, dropout=dropout, scaling=layer.scaling
    )
    return layer.o_proj(result.flatten(2)), None


def use_one_pass_rotary(body: Any, info: ModelInfo) -> None:
    """Let a model that attends by blocks turn queries and keys in one pass."""
    if info.architecture not in HALVES or body.config._attn_implementation != NAME:
        return
    for module in body.modules():
        if (
            isinstance(module, nn.Module)
            and hasattr(module, "q_proj")
            and hasattr(module, "o_proj")
        ):
            module.forward = Bound(_forward, module)
