"""Attention sequence by sequence, for CUDA: padding is left out, and no mask is made.

PyTorch's flash kernel (Dao 2023, FlashAttention-2) takes no mask, so a batch with one padded row
falls back to a slower kernel that computes every padded place, too. Here the real tokens of a batch
stand one behind the other, and the kernel is told where each sequence ends. A batch without padding
needs none of this: the library gives it to the flash kernel as it is.

The kernel has no dropout, computes in half precision only, and not on every card: whether it does
what it should is tried out on a few numbers before it is used. Where dropout is on, the mask is
made and the library attends. On other devices plain PyTorch attends to one sequence after the
other, which is slow and is what the tests compare.

Shapes: b items, h heads, k key heads, s tokens, d numbers per head, t real tokens of all items.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tarazu.models.fast.attention import DECODERS, ENCODERS, autocast_dtype
from tarazu.models.info import ModelInfo
from tarazu.models.precision import Precision

NAME = "tarazu_sequences"
HALVES = (torch.float16, torch.bfloat16)
_TOLERANCE = 0.02  # of the try-out, relative: some roundings of half precision


@dataclass(frozen=True)
class Sequences:
    """Where the real tokens of a padded batch stand; takes the place of a mask.

    Attributes:
        real: [b, s], true for real tokens.
        causal: Whether a token sees none behind it.
        places: [t], the places of real tokens in the flattened batch.
        ends: [b + 1], int32: real tokens before each item, then all.
        longest: Tokens of the longest item.
    """

    real: Tensor
    causal: bool
    places: Tensor
    ends: Tensor
    longest: int

    @classmethod
    def of(cls, real: Tensor, *, causal: bool) -> Sequences:
        """Find the tokens of a padded batch.

        Args:
            real: [b, s], true for real tokens, on any side.
            causal: Whether a token sees none behind it.
        """
        lengths = real.sum(dim=1)
        ends = functional.pad(lengths.cumsum(dim=0), (1, 0)).to(torch.int32)
        places = real.flatten().nonzero().squeeze(1)
        return cls(real, causal, places, ends, int(lengths.max()))

    def seen(self, read: Tensor) -> Tensor:
        """Return what tokens `read` [b, r] see: a mask [b, 1, r, s]."""
        mask = self.real.unsqueeze(1).expand(-1, read.shape[1], -1)
        if self.causal:
            places = torch.arange(self.real.shape[1], device=read.device)
            mask = mask & (places <= read.unsqueeze(-1))
        return mask.unsqueeze(1)

    @cached_property
    def mask(self) -> Tensor:
        """What every token sees, [b, 1, s, s]; the same for all layers."""
        every = torch.arange(self.real.shape[1], device=self.real.device)
        return self.seen(every.expand(len(self.real), -1))

    def packed(self, states: Tensor) -> Tensor:
        """Leave padding out: [b, h, s, d] to [t, h, d]."""
        return states.transpose(1, 2).flatten(0, 1).index_select(0, self.places)

    def unpacked(self, states: Tensor) -> Tensor:
        """Put zeros where padding was: [t, h, d] to [b, s, h, d]."""
        flat = states.new_zeros(self.real.numel(), *states.shape[1:])
        return flat.index_copy(0, self.places, states).view(*self.real.shape, *states.shape[1:])


Kernel = Callable[[Tensor, Tensor, Tensor, Sequences, float], Tensor]


def flash(query: Tensor, key: Tensor, value: Tensor, rows: Sequences, scale: float) -> Tensor:
    """Attend by PyTorch's flash kernel.

    Args:
        query: [t, h, d], in half precision.
        key: [t, k, d]; h is a multiple of k.
        value: [t, k, d].
        rows: Where each item ends.
        scale: Of the scores.

    Returns:
        [t, h, d].
    """
    from torch.nn.attention.varlen import varlen_attn

    result = varlen_attn(
        query.contiguous(),
        key.contiguous(),
        value.contiguous(),
        rows.ends,
        rows.ends,
        rows.longest,
        rows.longest,
        scale=scale,
        window_size=(-1, 0) if rows.causal else (-1, -1),
        enable_gqa=True,
    )
    assert isinstance(result, Tensor)  # a tuple only where it is asked for more
    return result


def one_by_one(query: Tensor, key: Tensor, value: Tensor, rows: Sequences, scale: float) -> Tensor:
    """Do what `flash` does for one item after the other, on any device in any precision."""
    lengths = rows.ends.diff().tolist()
    split = (torch.split(states, lengths) for states in (query, key, value))
    found = []
    for item in zip(*split, strict=True):
        if len(item[0]):
            q, k, v = (one.transpose(0, 1).unsqueeze(0) for one in item)
            together = functional.scaled_dot_product_attention(
                q, k, v, is_causal=rows.causal, scale=scale, enable_gqa=True
            )
            found.append(together.squeeze(0).transpose(0, 1))
    return torch.cat(found)


def _kernel(device: torch.device) -> Kernel:
    return flash if device.type == "cuda" else one_by_one


def attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | Sequences | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend as `transformers` asks its attention functions to."""
    if isinstance(attention_mask, Sequences):
        dtype = autocast_dtype(query)  # PyTorch does not know it for this kernel
        if not dropout and (not query.is_cuda or dtype in HALVES):
            q, k, v = (attention_mask.packed(one).to(dtype) for one in (query, key, value))
            scale = query.shape[-1] ** -0.5 if scaling is None else scaling
            result = _kernel(query.device)(q, k, v, attention_mask, scale)
            return attention_mask.unpacked(result), None
        attention_mask = attention_mask.mask
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    given = {"dropout": dropout, "scaling": scaling, **others}
    whole, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **given)
    return whole, None


def sequences_mask(**asked: Any) -> Any:
    """Make a mask as `transformers` asks for it; `Sequences` where only padding is to be left out.

    Windows, masks of the caller's own and what is read behind a filled cache stay the library's.
    """
    from transformers.masking_utils import (
        bidirectional_mask_function,
        causal_mask_function,
        sdpa_mask,
    )

    real, sees = asked.get("attention_mask"), asked.get("mask_function")
    if (
        real is not None
        and sees in (causal_mask_function, bidirectional_mask_function)
        and real.shape[-1] == asked.get("kv_length") == asked.get("q_length")
        and not bool(real.all())
    ):
        return Sequences.of(real, causal=sees is causal_mask_function)
    return sdpa_mask(**asked)


def use_sequence_attention(body: Any, info: ModelInfo, precision: Precision) -> None:
    """Let a model attend sequence by sequence, where its attention is known to be plain softmax.

    Args:
        body: A `transformers` model that uses PyTorch's attention.
        info: The model.
        precision: Where and how it computes.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    if info.architecture not in ENCODERS | DECODERS or body.config._attn_implementation != "sdpa":
        return
    if not _works(body.config, precision, causal=info.kind == "decoder"):
        return
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sequences_mask)
    body.set_attn_implementation(NAME)


def _works(config: Any, precision: Precision, *, causal: bool) -> bool:
    """Say whether the kernel gives results and gradients for heads of this shape."""
    device = torch.device(precision.device)
    kernel = _kernel(device)
    if kernel is flash and not _has_flash():
        return False
    heads = config.num_attention_heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    real = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]], device=device).bool()
    rows = Sequences.of(real, causal=causal)
    generator = torch.Generator().manual_seed(0)  # of its own: a run's numbers stay as they are
    states = [
        torch.randn(len(rows.places), count, width, generator=generator).to(
            device, precision.torch_dtype
        )
        for count in (heads, shared, shared)
    ]
    try:
        ours, theirs = (_tried(one, states, rows) for one in (kernel, one_by_one))
    except RuntimeError:  # not on this card, in this precision, or for heads of this width
        return False
    pairs = zip(ours, theirs, strict=True)
    return all(float((a - b).norm()) <= _TOLERANCE * float(b.norm()) for a, b in pairs)


def _tried(kernel: Kernel, states: list[Tensor], rows: Sequences) -> list[Tensor]:
    """Return the result of a kernel and its gradients, in fp32."""
    with torch.enable_grad():
        inputs = [one.detach().requires_grad_() for one in states]
        query, key, value = inputs
        result = kernel(query, key, value, rows, query.shape[-1] ** -0.5)
        weights = torch.linspace(-1, 1, result.numel(), device=result.device).view_as(result)
        gradients = torch.autograd.grad((result.float() * weights).sum(), inputs)
    return [one.detach().float() for one in (result, *gradients)]


def _has_flash() -> bool:
    """Say whether this PyTorch has the kernel, with the options that are needed."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return {"window_size", "enable_gqa"} <= set(inspect.signature(varlen_attn).parameters)
