from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from tarazu.errors import BadInput
from tarazu.models.fast import Fast, switched, switches
from tarazu.models.learner import Learner
from tarazu.testing.tiny import TINY_KINDS, TinyKind

OFF = Fast(**{field.name: False for field in fields(Fast)})


def test_all_is_on_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TARAZU_PLAIN", raising=False)
    assert switches() == Fast()
    monkeypatch.setenv("TARAZU_PLAIN", "attention, low_rank")
    assert switches() == Fast(attention=False, low_rank=False)
    assert switches().off() == ["attention", "low_rank"]
    monkeypatch.setenv("TARAZU_PLAIN", "all")
    assert switches() == OFF
    with switched(Fast(dropout=False)):
        assert switches() == Fast(dropout=False)
    monkeypatch.setenv("TARAZU_PLAIN", "attentoin")
    with pytest.raises(BadInput, match=r"TARAZU_PLAIN: must name some of .* 'attention'"):
        switches()


def states(learner: Learner) -> Any:
    """Return hidden states and gradients of padded items, without dropout."""
    learner.eval()
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(5, 100, (3, 9), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    mask[1, :2] = 0
    hidden = learner.hidden(ids, mask)
    # A norm at the end would hide every change from a sum of squares.
    direction = torch.randn(hidden.shape, generator=generator) * mask.unsqueeze(-1)
    loss = (hidden * direction).sum()
    trained = [parameter for _, parameter in learner.named_trained()]
    return [hidden * mask.unsqueeze(-1), *torch.autograd.grad(loss, trained, allow_unused=True)]


@pytest.mark.parametrize("kind", TINY_KINDS)
@pytest.mark.parametrize("method", ["full", "lora", "p-tuning"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_model_computes_the_same_without(
    load: Callable[..., Learner],
    tiny: Callable[[TinyKind], Path],
    kind: TinyKind,
    method: str,
    dtype: str,
) -> None:
    reading = "classes" if kind in ("bert", "roberta") else "text"
    fast = states(load(kind, reading, method=method, dtype=dtype))
    with switched(OFF):
        plain = states(load(kind, reading, method=method, dtype=dtype))
    for one, other in zip(fast, plain, strict=True):
        assert (one is None) == (other is None)
        if one is None:
            continue
        scale = other.abs().max().clamp(min=0.1)  # some gradients are zero but for rounding
        limit = 1e-4 if dtype == "float32" else 0.15
        assert ((one - other).abs().max() / scale).item() < limit


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_every_tiny_model_attends_by_blocks(load: Callable[..., Learner], kind: TinyKind) -> None:
    reading = "classes" if kind in ("bert", "roberta") else "text"
    assert load(kind, reading).body.config._attn_implementation == "tarazu_blocks"
    with switched(Fast(attention=False)):
        assert load(kind, reading).body.config._attn_implementation == "sdpa"
