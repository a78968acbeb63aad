"""The last layer, computed only where its states are read.

A head reads one token of a text, a loss on answers a few: of the last layer's other tokens only the
keys and values matter. Their queries, their attention and their feed-forward network, five sixths
of an encoder layer, feed nothing, forward or backward. Every layer below is needed whole.

Shapes: b items, s tokens, r tokens that are read, n heads, d numbers per head, h hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tarazu.models.fast.attention import NAME, attend, in_autocast_precision
from tarazu.models.fast.implementations import attends_by_mask
from tarazu.models.fast.rotary import HALVES, turn
from tarazu.models.fast.sequences import Sequences
from tarazu.models.fast.unpadded import Rows
from tarazu.models.info import ModelInfo

# Architectures whose layers are those of BERT: attention, a sum and a norm, two linear layers.
AFTER_NORM = frozenset(("bert", "roberta", "xlm-roberta", "electra"))


class LastLayer:
    """Stands for the `forward` of a model's last layer.

    Args:
        compute: Takes the layer, states, mask, the tokens that are read, and what else the layer is
            given.
        layer: The layer.
    """

    def __init__(self, compute: Callable[..., Tensor], layer: Any) -> None:
        self.compute = compute
        self.layer = layer
        self.whole = layer.forward
        self.read: Tensor | None = None

    @contextmanager
    def reading(self, read: Tensor) -> Iterator[None]:
        """Let the layer return the states of tokens `read` [b, r] only, within the block."""
        self.read = read
        try:
            yield
        finally:
            self.read = None

    def __call__(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | Sequences | Rows | None = None,
        *args: Any,
        **others: Any,
    ) -> Tensor:
        """Return states [b, r, h]; [b, s, h] outside of `reading`."""
        if self.read is None:
            whole: Tensor = self.whole(hidden_states, attention_mask, *args, **others)
            return whole
        if any(one is not None for one in args):  # an encoder's states, for cross-attention
            raise TypeError("the last layer reads no more than states and a mask by their places")
        return self.compute(self.layer, hidden_states, attention_mask, self.read, **others)


def taken(states: Tensor, read: Tensor) -> Tensor:
    """Return the states of some tokens: [b, s, h] and [b, r] to [b, r, h]."""
    return states.gather(1, read.unsqueeze(-1).expand(-1, -1, states.shape[-1]))


def _attended(
    module: Any,
    states: tuple[Tensor, Tensor, Tensor],
    mask: Tensor | Sequences | Rows | None,
    read: Tensor,
    *,
    dropout: float,
    causal: bool,
) -> Tensor:
    """Return what queries [b, n, r, d] see of keys and values [b, k, s, d]: [b, r, n·d]."""
    query, key, value = states
    dropout = dropout if module.training else 0.0
    if isinstance(mask, Rows):  # no item sees anything of another
        parts = [
            _seen(module, (query[:, :, mine], key[:, :, some], value[:, :, some]), sees, dropout)
            for mine, some, sees in mask.seen(read)
        ]
        return torch.cat(parts, dim=1)
    if isinstance(mask, Sequences):
        mask = mask.seen(read)
    elif mask is None and causal:
        places = torch.arange(key.shape[2], device=read.device)
        mask = (places <= read.unsqueeze(-1)).unsqueeze(1)
    elif mask is not None:
        rows = read[:, None, :, None].expand(-1, mask.shape[1], -1, mask.shape[3])
        mask = mask.expand(len(read), -1, -1, -1).gather(2, rows)
    return _seen(module, states, mask, dropout)


def _seen(
    module: Any, states: tuple[Tensor, Tensor, Tensor], mask: Tensor | None, dropout: float
) -> Tensor:
    """Return what queries [b, n, r, d] see, by a mask [b, 1, r, s]: [b, r, n·d]."""
    if not states[1].shape[2]:  # an item without tokens
        return states[0].transpose(1, 2).flatten(2) * 0.0
    if module.config._attn_implementation == NAME:
        how = {"mask": mask, "scale": module.scaling, "causal": False, "dropout": dropout}
        return in_autocast_precision(attend, *states, **how).flatten(2)
    together = functional.scaled_dot_product_attention(
        *states, mask, dropout, scale=module.scaling, enable_gqa=True
    )
    return together.transpose(1, 2).flatten(2)


def _heads(states: Tensor, width: int) -> Tensor:
    """[b, s, n·d] to [b, s, n, d]."""
    return states.view(*states.shape[:-1], -1, width)


def _before_norm(
    layer: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | Sequences | Rows | None,
    read: Tensor,
    *,
    position_embeddings: tuple[Tensor, Tensor],
    **others: Any,
) -> Tensor:
    """Compute a layer of the Llama family; its norms come first, its positions are turned."""
    module = layer.self_attn
    normed = layer.input_layernorm(hidden_states)
    query = _heads(module.q_proj(taken(normed, read)), module.head_dim)
    key = _heads(module.k_proj(normed), module.head_dim)
    value = _heads(module.v_proj(normed), module.head_dim).transpose(1, 2)
    if hasattr(module, "q_norm"):
        query, key = module.q_norm(query), module.k_norm(key)
    cos, sin = (one.to(query.dtype).expand(len(read), -1, -1) for one in position_embeddings)
    query = turn(query.transpose(1, 2), taken(cos, read), taken(sin, read))
    key = turn(key.transpose(1, 2), cos, sin)
    seen = _attended(
        module,
        (query, key, value),
        attention_mask,
        read,
        dropout=module.attention_dropout,
        causal=True,
    )
    states = taken(hidden_states, read) + module.o_proj(seen)
    result: Tensor = states + layer.mlp(layer.post_attention_layernorm(states))
    return result


def _after_norm(
    layer: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | Sequences | Rows | None,
    read: Tensor,
    **others: Any,
) -> Tensor:
    """Compute a layer of the BERT family; its norms come after the sums."""
    module = layer.attention.self
    width = module.attention_head_size
    kept = taken(hidden_states, read)
    states = (
        _heads(module.query(kept), width).transpose(1, 2),
        _heads(module.key(hidden_states), width).transpose(1, 2),
        _heads(module.value(hidden_states), width).transpose(1, 2),
    )
    seen = _attended(module, states, attention_mask, read, dropout=module.dropout.p, causal=False)
    attended = layer.attention.output(seen, kept)
    result: Tensor = layer.output(layer.intermediate(attended), attended)
    return result


def use_short_last_layer(layer: nn.Module, body: Any, info: ModelInfo) -> LastLayer | None:
    """Let a model's last layer leave out what nobody reads, where its architecture is known.

    Args:
        layer: The last layer; its `forward` is replaced.
        body: The `transformers` model that it belongs to.
        info: The model.

    Returns:
        What to tell which tokens are read; None where the layer stays as it is.
    """
    compute = {**dict.fromkeys(HALVES, _before_norm), **dict.fromkeys(AFTER_NORM, _after_norm)}
    if info.architecture not in compute or not attends_by_mask(body.config):
        return None
    last = LastLayer(compute[info.architecture], layer)
    layer.forward = last
    return last
