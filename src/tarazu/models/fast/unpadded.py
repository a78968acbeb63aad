"""A batch without padding, for decoders on the CPU: its sequences stand one behind the other.

All tokens of a batch become one row, so no layer computes anything for padding, and attention runs
over one sequence after the other, which needs no mask but a triangle (unpadding, as in ModernBERT,
Warner et al. 2024). Heads that share a key are rows of one matrix product (grouped-query attention,
Ainslie et al. 2023), and a block of queries sees no keys after its end. What is computed is softmax
attention (Vaswani et al. 2017), not an approximation.

Encoders stay padded: their texts are short, and attending to each by itself costs more than
padding.

Shapes: b items, s tokens of a padded item, t tokens of all items, h heads, k key heads, g = h / k,
d numbers per head.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tarazu.models.fast import attention_block
from tarazu.models.fast.attention_block import gradients, noted

# Queries of a block, by bytes of a number. Fewer skip more keys, more make better matrix products;
# half-precision products have the higher fixed cost. Measured at 8 texts of 150 to 384 tokens.
BLOCK = {8: 64, 4: 64, 2: 128}


@dataclass(frozen=True)
class Rows:
    """Where the tokens of a batch's items stand in one row; takes the place of a mask.

    Attributes:
        real: [b, s], true for real tokens, on any side.
    """

    real: Tensor

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each item."""
        lengths: list[int] = self.real.sum(dim=1).tolist()
        return lengths

    @cached_property
    def positions(self) -> Tensor:
        """Place of every token within its item, [1, t]."""
        return (self.real.cumsum(dim=1) - 1)[self.real].unsqueeze(0)

    def packed(self, tokens: Tensor) -> Tensor:
        """Leave padding out: [b, s, …] to [1, t, …]."""
        return tokens[self.real].unsqueeze(0)

    def padded(self, states: Tensor) -> Tensor:
        """Put zeros where padding was: [1, t, n] to [b, s, n]."""
        empty = states.new_zeros(*self.real.shape, states.shape[-1])
        return empty.masked_scatter(self.real.unsqueeze(-1), states)

    def places(self, read: Tensor) -> Tensor:
        """Return where tokens of items stand in the row: [b, r] to [1, b·r].

        What is asked of padding is answered by the token before it, or the first one of the row.
        """
        every = (self.real.flatten().cumsum(dim=0) - 1).clamp(min=0).view(self.real.shape)
        return every.gather(1, read).view(1, -1)

    def seen(self, places: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
        """Yield of every item which places of the row are read, its tokens, and what they see.

        Args:
            places: [1, b·r] as `places` returns them.

        Yields:
            A slice of the places, a slice of the row, and a mask [1, 1, r, tokens].
        """
        each, start = places.shape[1] // len(self.lengths), 0
        for number, length in enumerate(self.lengths):
            mine = slice(number * each, (number + 1) * each)
            tokens = torch.arange(start, start + length, device=places.device)
            yield mine, slice(start, start + length), tokens <= places[:, None, mine, None]
            start += length

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Let the masks that a model makes within the block be these rows."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Rows | None] = ContextVar("_current", default=None)


def rows_mask(**asked: Any) -> Any:
    """Make a mask as `transformers` asks for it; the rows where a batch is without padding.

    Raises:
        ValueError: The rows are to be attended in another way than causally.
    """
    from transformers.masking_utils import causal_mask_function, sdpa_mask

    rows = _current.get()
    if rows is None:
        return sdpa_mask(**asked)
    if asked["mask_function"] is not causal_mask_function:
        raise ValueError("a batch without padding can only be attended causally")
    return rows


@functools.lru_cache(maxsize=32)
def _future(queries: int, shared: int, dtype: torch.dtype) -> Tensor:
    """What is added to the scores of a block's own keys, [queries·shared, queries]."""
    added = torch.full((queries, queries), -torch.inf, dtype=dtype).triu_(1)
    return added.repeat_interleave(shared, dim=0)


@dataclass(frozen=True)
class _Form:
    """What does not change between forward and backward: items, scale, dropout."""

    lengths: tuple[int, ...]
    scale: float
    dropout: float

    def blocks(self, size: int) -> Iterator[tuple[slice, slice, int]]:
        """Yield queries and keys of the row, and how many keys come before the queries."""
        start = 0
        for length in filter(None, self.lengths):
            count = -(-length // size)
            edges = [round(length * i / count) for i in range(count + 1)]
            for low, high in itertools.pairwise(edges):
                yield slice(start + low, start + high), slice(start, start + high), low
            start += length


def _by_key_head(states: Tensor, heads: int, scale: float = 1.0) -> Tensor:
    """[1, h, t, d] to [k, t, g, d] in that order in memory, times `scale`."""
    _, all_heads, tokens, width = states.shape
    shared = all_heads // heads
    order = states.reshape(heads, shared, tokens, width).transpose(1, 2)
    return torch.mul(order, scale, out=states.new_empty(heads, tokens, shared, width))


def _folded(states: Tensor, queries: slice) -> Tensor:
    """Some tokens of [k, t, g, d] as [k, q·g, d]."""
    return states[:, queries].flatten(1, 2)


def _probabilities(rows: Tensor, keys: Tensor, before: int, shared: int) -> Tensor:
    """Return softmax(q·kᵀ) of a block, [k, q·g, keys]; a token sees none behind it."""
    scores = torch.bmm(rows, keys.transpose(1, 2))
    own = scores[:, :, before:]
    own.add_(_future(own.shape[2], shared, scores.dtype))
    return torch.softmax(scores, dim=-1)


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, form: _Form) -> Tensor:
        heads, (_, all_heads, tokens, _) = key.shape[1], query.shape
        shared, size = all_heads // heads, BLOCK[query.element_size()]
        queries = _by_key_head(query, heads, form.scale)
        keys, values = key[0].contiguous(), value[0].contiguous()
        result = queries.new_empty(heads, tokens, shared, values.shape[2])
        scores = sum(length * length for length in form.lengths)
        bytes_ = query.element_size() * all_heads * scores
        ctx.keeps = any(ctx.needs_input_grad) and bytes_ <= attention_block.KEPT_BYTES
        saved: list[Tensor] = []
        ctx.scales = []
        for q, t, before in form.blocks(size):
            part = _probabilities(_folded(queries, q), keys[:, t], before, shared)
            part = noted(part, form.dropout, saved, ctx.scales, keep=ctx.keeps)
            result[:, q] = torch.bmm(part, values[:, t]).view(heads, -1, shared, values.shape[2])
        ctx.form, ctx.size = form, size
        ctx.save_for_backward(queries, keys, values, *saved)
        return result.transpose(0, 1).reshape(1, tokens, all_heads, values.shape[2])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, *rest = ctx.saved_tensors
        saved, scales, form = iter(rest), iter(ctx.scales), ctx.form
        heads, tokens, shared, width = queries.shape
        outer = _by_key_head(gradient.transpose(1, 2), heads)
        for_query = torch.empty_like(queries)
        for_key = torch.zeros_like(keys)
        for_value = torch.zeros_like(values)
        for q, t, before in form.blocks(ctx.size):
            rows, out = _folded(queries, q), _folded(outer, q)
            part = next(saved) if ctx.keeps else _probabilities(rows, keys[:, t], before, shared)
            drawn = (next(saved), next(scales)) if form.dropout else None
            operands = (rows, keys[:, t], values[:, t])
            found = gradients(part, drawn, operands, out, ctx.needs_input_grad[:3])
            if found[0] is not None:
                for_query[:, q] = found[0].view(heads, -1, shared, width)
            if found[1] is not None:
                for_key[:, t] += found[1]
            if found[2] is not None:
                for_value[:, t] += found[2]
        for_query = for_query.mul_(form.scale).transpose(1, 2).reshape(-1, tokens, width)
        made = zip((for_query, for_key, for_value), ctx.needs_input_grad, strict=False)
        return *(one.unsqueeze(0) if wanted else None for one, wanted in made), None


def attend_rows(
    query: Tensor, key: Tensor, value: Tensor, rows: Rows, *, scale: float, dropout: float = 0.0
) -> Tensor:
    """Return causal softmax(q·kᵀ·scale)·v of every item by itself, with gradients: [1, t, h, d].

    Args:
        query: [1, h, t, d].
        key: [1, k, t, d]; h is a multiple of k.
        value: [1, k, t, d].
        rows: Where the items stand.
        scale: Of the scores.
        dropout: Of the probabilities.
    """
    form = _Form(tuple(rows.lengths), scale, dropout)
    result: Tensor = _Attended.apply(query, key, value, form)  # type: ignore[no-untyped-call]
    return result
