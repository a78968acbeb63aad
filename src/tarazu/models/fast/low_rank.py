"""LoRA's update in one step of autograd, added in place to what the frozen matrix gave.

`peft` computes ``base(x) + B(A(dropout(x))) · scale`` as separate steps, each of which writes and
keeps a tensor as large as the layer's input or output. Here the scale is applied to the thin
product, the update is added by the matrix product itself, and of the dropout only the mask is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tarazu.models.fast.bound import Bound
from tarazu.models.fast.dropout import kept, masked, masked_

ADAPTER = "default"


class _Update(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: Tensor, states: Tensor, down: Tensor, up: Tensor, scale: float, p: float
    ) -> Tensor:
        rows = states.reshape(-1, states.shape[-1]).to(base.dtype)
        mask = None
        if p > 0:
            mask, rest = kept(rows.shape, p, rows.dtype)
            scale = scale * rest
        low, high = down.to(base.dtype), up.to(base.dtype)
        thin = (_masked(rows, mask) @ low.T).mul_(scale)
        ctx.save_for_backward(rows, mask, thin, down, up)
        ctx.scale = scale
        ctx.mark_dirty(base)
        base.view(-1, base.shape[-1]).addmm_(thin, high.T)
        return base

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, mask, thin, down, up = ctx.saved_tensors
        flat = gradient.reshape(-1, gradient.shape[-1])
        low, high = down.to(flat.dtype), up.to(flat.dtype)
        inner = (flat @ high).mul_(ctx.scale)
        for_states = None
        if ctx.needs_input_grad[1]:
            for_states = _masked(inner @ low, mask, masked_).view(*gradient.shape[:-1], -1)
        for_down = (inner.T @ _masked(rows, mask)).to(down.dtype)
        for_up = (flat.T @ thin).to(up.dtype)
        return gradient, for_states, for_down, for_up, None, None


def _masked(
    rows: Tensor, mask: Tensor | None, how: Callable[[Tensor, Tensor], Tensor] = masked
) -> Tensor:
    return rows if mask is None else how(rows, mask)


def _forward(layer: Any, states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Stand for the `forward` of a `peft` LoRA layer, where `_is_plain` holds."""
    if layer.disable_adapters or layer.merged or states.device.type != "cpu" or args or kwargs:
        return type(layer).forward(layer, states, *args, **kwargs)  # type: ignore[no-any-return]
    base = layer.base_layer(states)
    if base._is_view():  # a view must not be changed in place
        base = base.clone()
    dropout = layer.lora_dropout[ADAPTER]
    p = dropout.p if isinstance(dropout, nn.Dropout) and layer.training else 0.0
    down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    with torch.autocast(states.device.type, enabled=False):
        scale = layer.scaling[ADAPTER]
        result: Tensor = _Update.apply(base, states, down, up, scale, p)  # type: ignore[no-untyped-call]
    return result


def _is_plain(layer: Any) -> bool:
    """Say whether a layer is a plain LoRA of a linear layer: no variant, no bias, one adapter."""
    return (
        list(layer.lora_A) == [ADAPTER]
        and ADAPTER not in layer.lora_variant
        and isinstance(layer.lora_A[ADAPTER], nn.Linear)
        and layer.lora_A[ADAPTER].bias is None
        and layer.lora_B[ADAPTER].bias is None
    )


def use_single_step(model: nn.Module) -> None:
    """Let every plain LoRA layer of a model add its update in one step."""
    from peft.tuners.lora import LoraLayer

    for module in model.modules():
        if isinstance(module, LoraLayer) and _is_plain(module):
            module.forward = Bound(_forward, module)
