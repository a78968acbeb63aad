"""What all prompts begin with, computed once: instructions, demonstrations, virtual tokens.

Attention looks back only, so the keys and values of a beginning do not depend on what follows.

Shapes: b rows, k key heads, p tokens of the prefix, s new tokens, n tokens so far, d head size.
"""

from __future__ import annotations

# isort: split
import tarazu.models._quiet  # noqa: F401 - first: it quietens what follows

# isort: split
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from tarazu.models.compute_cache import ComputeCache, NarrowCache
from tarazu.models.fast import switches
from tarazu.models.fast.implementations import attends_by_mask
from tarazu.models.learner import Learner

Tokens = Sequence[int]

# Their attention reads nothing but the mask and the positions that it is given, as tests show for
# each; others may count positions, or look back a window, by where a token stands in its row.
ARCHITECTURES = frozenset(
    {
        "cohere",
        "gemma",
        "gpt2",
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
        "smollm3",
        "stablelm",
        "starcoder2",
    }
)
# A pass of its own costs about as much as these many tokens in a pass that runs anyway.
WORTHWHILE = 64


class Span(NamedTuple):
    """A row of a cache, and where what belongs to it stands in a packed one."""

    row: int
    start: int
    stop: int


class _Layer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, written into room that is there from the start.

    Args:
        room: Tokens of a row, the shared ones included.
        shared: Keys and values of the prefix, [1, k, p, d] each, or None.
    """

    def __init__(self, room: int, shared: tuple[Tensor, Tensor] | None) -> None:
        super().__init__()
        self.room = room
        self.shared = shared
        self.length = shared[0].shape[-2] if shared is not None else 0

    def lazy_initialization(
        self, key_states: Tensor, value_states: Tensor, rows: int | None = None
    ) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        shared = self.shared or (None, None)
        self.keys = self._made(key_states, shared[0], rows)
        self.values = self._made(value_states, shared[1], rows)
        self.is_initialized = True

    def _made(self, states: Tensor, shared: Tensor | None, rows: int | None) -> Tensor:
        # Zeros, because what is masked is still multiplied: by nothing, but that may be no number.
        made = states.new_zeros(
            rows or states.shape[0], states.shape[1], self.room, states.shape[-1]
        )
        if shared is not None:
            made[:, :, : shared.shape[-2]] = shared
        return made

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self.length, self.length + key_states.shape[-2]
        self.keys[:, :, start:end] = key_states
        self.values[:, :, start:end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.length

    def place(self, packed: _Layer, spans: Sequence[Span], rows: int, length: int) -> None:
        """See `RowCache.place`."""
        if not self.is_initialized:
            self.lazy_initialization(packed.keys, packed.values, rows)
        for row, start, stop in spans:
            own = slice(length - (stop - start), length)
            self.keys[row, :, own] = packed.keys[0, :, start:stop]
            self.values[row, :, own] = packed.values[0, :, start:stop]
        self.length = length

    def keep(self, rows: Sequence[int]) -> None:
        """Keep the rows as they are named, first to last; only those that move are copied."""
        moved = [(new, old) for new, old in enumerate(rows) if new != old]
        for states in (self.keys, self.values):
            for new, old in moved:
                states[new, :, : self.length] = states[old, :, : self.length]
        self.keys, self.values = self.keys[: len(rows)], self.values[: len(rows)]


class RowCache(NarrowCache):
    """A `transformers` cache whose rows begin with a prefix, and of which rows can leave."""

    def place(self, packed: RowCache, spans: Sequence[Span], rows: int, length: int) -> None:
        """Take over what was computed side by side, each into a row of its own, to its right end.

        Args:
            packed: A cache of one row.
            spans: What goes where.
            rows: Rows of this cache.
            length: Tokens of a row after it, those between prefix and span included: mask them.
        """
        for layer, other in zip(self.layers, packed.layers, strict=True):
            layer.place(other, spans, rows, length)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep some rows.

        Args:
            rows: The old index of each kept row. A row may only move to the front, into the place
                of one that leaves.
        """
        for layer in self.layers:
            layer.keep(rows)


@dataclass(frozen=True)
class Prefix:
    """The shared beginning of prompts.

    Attributes:
        tokens: Tokens of each prompt that belong to it.
        length: The same with virtual tokens, p.
        layers: Keys and values by layer, [1, k, p, d]; None when p is 0.
    """

    tokens: int
    length: int
    layers: list[tuple[Tensor, Tensor] | None]

    def open(self, room: int) -> RowCache:
        """Return a cache filled with the prefix.

        Args:
            room: Tokens that may follow it in a row.
        """
        return RowCache(layers=[_Layer(self.length + room, layer) for layer in self.layers])


def can_share(learner: Learner) -> bool:
    """Say whether a decoder attends by masks and positions alone, to every earlier token."""
    config = learner.body.config
    layers = DynamicCache(config=config).layers
    return (
        learner.info.architecture in ARCHITECTURES
        and attends_by_mask(config)
        and len(layers) == learner.info.layers
        and all(type(layer) is DynamicLayer for layer in layers)
    )


def shared_length(prompts: Sequence[Tokens]) -> int:
    """Return how many tokens all prompts begin with, at least one short of each prompt.

    The last token is left to every prompt, because its state is what the answer is read from.
    """
    # What the first and the last in the order of tokens share, all between them share.
    first, last = min(prompts, key=list), max(prompts, key=list)
    limit = min(map(len, prompts)) - 1
    return next((i for i in range(limit) if first[i] != last[i]), limit)


@torch.no_grad()
def shared_prefix(learner: Learner, prompts: Sequence[Tokens]) -> Prefix:
    """Compute what all prompts begin with, when that is worth a pass of its own.

    Args:
        learner: A decoder for which `can_share` holds.
        prompts: Tokens of each prompt; not empty.
    """
    tokens = shared_length(prompts) if switches().prefix_cache else 0
    virtual = learner.prompt.virtual_tokens if learner.prompt is not None else 0
    if (len(prompts) - 1) * (tokens + virtual) < WORTHWHILE:
        tokens = 0
    if tokens + virtual == 0:
        return Prefix(0, 0, [None] * learner.info.layers)
    device = next(learner.parameters()).device
    ids = torch.tensor([list(prompts[0][:tokens])], dtype=torch.long, device=device)
    cache = ComputeCache(config=learner.body.config)
    with learner.compute():
        learner.hidden(ids, torch.ones_like(ids), cache=cache)
    return Prefix(tokens, tokens + virtual, [(layer.keys, layer.values) for layer in cache.layers])
