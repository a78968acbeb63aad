"""Key/value caches in the precision in which attention computes.

Under autocast attention takes queries, keys and values in half precision, whatever they are in. A
4-bit base answers in fp32 between its products, and so does a model whose trained weights are in
fp32: a cache of what such layers give is twice as large, and is narrowed again at every token.
Narrowed when it is written, it holds the very numbers that attention reads.

Shapes: b rows, k key heads, n tokens, d head size.
"""

from __future__ import annotations

# isort: split
import tarazu.models._quiet  # noqa: F401 - first: it quietens what follows

# isort: split
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache

from tarazu.models.fast.attention import autocast_dtype


class _Narrowing(Cache):  # type: ignore[misc]
    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Take keys and values [b, k, n, d] in, narrowed, and return all of the layer so far."""
        key, value = (one.to(autocast_dtype(one)) for one in (key_states, value_states))
        found: tuple[Tensor, Tensor] = super().update(key, value, layer_idx, *args, **kwargs)
        return found


class NarrowCache(_Narrowing):
    """A `transformers` cache of given layers."""


class ComputeCache(_Narrowing, DynamicCache):  # type: ignore[misc]
    """The cache that `transformers` makes for a model: one layer of the fitting kind for each."""
