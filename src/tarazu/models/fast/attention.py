"""Attention as matrix products over blocks of queries, for the CPU.

The library's fused CPU kernel repeats keys and values for every head that shares them, and its
backward pass is slow, in bf16 by several times. Here the heads that share a key are folded into the
rows of one product (grouped-query attention, Ainslie et al. 2023), a block of queries sees no keys
after its end when attention is causal, and so few scores are handled at a time that they stay in
the processor's cache. The result is the softmax of the paper (Vaswani et al. 2017), not an
approximation.

Shapes: b items, h heads, k key heads, g = h / k, s queries, t keys, d numbers per head.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tarazu.models.fast import attention_block
from tarazu.models.fast.attention_block import gradients, noted
from tarazu.models.fast.unpadded import Rows, attend_rows, rows_mask
from tarazu.models.info import ModelInfo

NAME = "tarazu_blocks"
BLOCK = 64  # queries; smaller ones skip more keys, larger ones make better matrix products
IN_CACHE = 1 << 18  # scores handled at a time: 1 MiB in fp32
# Architectures whose attention is a plain softmax over a causal or a two-sided mask.
ENCODERS = frozenset(("bert", "roberta", "xlm-roberta", "electra", "distilbert"))
DECODERS = frozenset(("gpt2", "llama", "mistral", "qwen2", "qwen3", "gpt_neox"))


@dataclass(frozen=True)
class _Form:
    """What does not change between forward and backward: scale, order, dropout."""

    scale: float
    causal: bool
    dropout: float

    def blocks(self, query: Tensor, key: Tensor) -> Iterator[tuple[slice, slice, int]]:
        """Yield items, queries and how many keys they see, block by block."""
        items, heads, queries, _ = query.shape
        keys = key.shape[2]
        count = -(-queries // BLOCK) if self.causal else 1
        per_step = max(1, IN_CACHE * count // (heads * queries * keys))
        edges = [round(queries * i / count) for i in range(count + 1)]
        for start in range(0, items, per_step):
            for low, high in itertools.pairwise(edges):
                seen = keys - queries + high if self.causal else keys
                yield slice(start, start + per_step), slice(low, high), seen


def _folded(states: Tensor, heads: int) -> Tensor:
    """[n, g·k, s, d] to [n·k, g·s, d]: heads that share a key become rows."""
    items, all_heads, rows, width = states.shape
    return states.reshape(items * heads, all_heads // heads * rows, width)


def _probabilities(query: Tensor, key: Tensor, bias: Tensor | None, form: _Form) -> Tensor:
    """Return softmax(q·kᵀ·scale + bias), [n·k, g·s, t], of one block."""
    items, heads, keys, _ = key.shape
    rows = query.shape[2]
    scores = torch.bmm(
        _folded(query * form.scale, heads), key.reshape(items * heads, keys, -1).transpose(1, 2)
    )
    if bias is not None:
        scores.view(items, heads, -1, rows, keys).add_(bias.unsqueeze(2))
    return torch.softmax(scores, dim=-1)


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, form: _Form
    ) -> Tensor:
        items, all_heads, queries, _ = query.shape
        heads, keys = key.shape[1], key.shape[2]
        result = query.new_empty(items, queries, all_heads, value.shape[3])
        size = query.element_size() * items * all_heads * queries * keys
        ctx.keeps = any(ctx.needs_input_grad) and size <= attention_block.KEPT_BYTES
        saved: list[Tensor] = []
        ctx.scales = []
        for n, q, seen in form.blocks(query, key):
            part = _probabilities(query[n, :, q], key[n, :, :seen], _part(bias, n, q, seen), form)
            values = value[n, :, :seen].reshape(-1, seen, value.shape[3])
            part = noted(part, form.dropout, saved, ctx.scales, keep=ctx.keeps)
            rows = torch.bmm(part, values).view(-1, all_heads, q.stop - q.start, value.shape[3])
            result[n, q] = rows.transpose(1, 2)
        ctx.heads, ctx.form = heads, form
        ctx.save_for_backward(query, key, value, bias, *saved)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, bias, *rest = ctx.saved_tensors
        saved, scales, form = iter(rest), iter(ctx.scales), ctx.form
        for_query = torch.empty_like(query)
        for_key = torch.zeros_like(key)
        for_value = torch.zeros_like(value)
        for n, q, seen in form.blocks(query, key):
            queries, keys, values = query[n, :, q], key[n, :, :seen], value[n, :, :seen]
            part = (
                next(saved)
                if ctx.keeps
                else _probabilities(queries, keys, _part(bias, n, q, seen), form)
            )
            operands = (
                _folded(queries * form.scale, ctx.heads),
                keys.reshape(-1, seen, key.shape[3]),
                values.reshape(-1, seen, value.shape[3]),
            )
            out = _folded(gradient[n, q].transpose(1, 2), ctx.heads)
            drawn = (next(saved), next(scales)) if form.dropout else None
            found = gradients(part, drawn, operands, out, ctx.needs_input_grad[:3])
            if found[0] is not None:
                for_query[n, :, q] = found[0].view(queries.shape).mul_(form.scale)
            if found[1] is not None:
                for_key[n, :, :seen] += found[1].view(keys.shape)
            if found[2] is not None:
                for_value[n, :, :seen] += found[2].view(values.shape)
        made = zip((for_query, for_key, for_value), ctx.needs_input_grad, strict=False)
        return *(one if wanted else None for one, wanted in made), None, None


def _part(bias: Tensor | None, items: slice, queries: slice, seen: int) -> Tensor | None:
    if bias is None:
        return None
    if bias.shape[0] == 1:
        items = slice(0, 1)
    return bias[items, :, queries, :seen]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None,
    scale: float,
    causal: bool,
    dropout: float = 0.0,
) -> Tensor:
    """Return softmax(q·kᵀ·scale)·v with gradients, [b, s, h, d].

    Args:
        query: [b, h, s, d].
        key: [b, k, t, d]; h is a multiple of k.
        value: [b, k, t, d].
        mask: [b or 1, 1, s, t], true where a query may look, or what is added to the scores.
        scale: Of the scores.
        causal: The mask lets no query look past its own place, queries being the last of the keys;
            without a mask, that is all that it forbids.
        dropout: Of the probabilities.
    """
    if mask is None and causal:
        queries, keys = query.shape[2], key.shape[2]
        mask = torch.ones(1, 1, queries, keys, dtype=torch.bool, device=query.device)
        mask = mask.tril(keys - queries)
    if mask is not None and mask.dtype == torch.bool:
        hidden = torch.finfo(query.dtype).min
        mask = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, hidden)
    form = _Form(scale, causal, dropout)
    result: Tensor = _Blocks.apply(query, key, value, mask, form)  # type: ignore[no-untyped-call]
    return result


def autocast_dtype(states: Tensor) -> torch.dtype:
    """Return the precision that autocast asks for; that of the states where it is off."""
    device = states.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return states.dtype


def in_autocast_precision(
    attend: Callable[..., Tensor], query: Tensor, key: Tensor, value: Tensor, **how: Any
) -> Tensor:
    """Attend in the precision that autocast asks for, if it is on."""
    dtype = autocast_dtype(value)
    with torch.autocast("cpu", enabled=False):
        return attend(query.to(dtype), key.to(dtype), value.to(dtype), **how)


def attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | Rows | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend as `transformers` asks its attention functions to."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if isinstance(attention_mask, Rows):
        how = {"rows": attention_mask, "scale": scale, "dropout": dropout}
        return in_autocast_precision(attend_rows, query, key, value, **how), None
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    queries, keys = query.shape[2], key.shape[2]
    if attention_mask is not None:  # a static cache shows more keys than the mask
        key, value = key[:, :, : attention_mask.shape[-1]], value[:, :, : attention_mask.shape[-1]]
    causal = bool(causal) and 1 < queries <= keys
    how = {"mask": attention_mask, "scale": scale, "causal": causal, "dropout": dropout}
    return in_autocast_precision(attend, query, key, value, **how), None


def use_block_attention(body: Any, info: ModelInfo) -> None:
    """Let a model attend by blocks, where its attention is known to be plain softmax.

    Args:
        body: A `transformers` model that uses PyTorch's attention.
        info: The model.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    if info.architecture not in ENCODERS | DECODERS or body.config._attn_implementation != "sdpa":
        return
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, rows_mask)
    body.set_attn_implementation(NAME)


def can_leave_padding_out(body: Any, info: ModelInfo) -> bool:
    """Say whether a model's batches can be rows without padding, see `tarazu.models.fast.unpadded`.

    Args:
        body: A `transformers` model.
        info: The model.
    """
    return (
        info.architecture in DECODERS
        and body.config._attn_implementation == NAME
        and getattr(body.config, "sliding_window", None) is None
        and getattr(body.config, "is_causal", True)
    )
