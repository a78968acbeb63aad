from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tarazu.models.fast.norm import _forward, _Norm
from tarazu.models.learner import Learner


def test_gradients_are_those_of_the_formula() -> None:
    states = torch.randn(2, 3, 5, dtype=torch.double, requires_grad=True)
    weight = torch.randn(5, dtype=torch.double, requires_grad=True)

    def norm(states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = _Norm.apply(states, weight, 1e-3)
        return result

    expected = weight * states / (states.square().mean(-1, keepdim=True) + 1e-3).sqrt()
    assert torch.allclose(norm(states, weight), expected)
    assert torch.autograd.gradcheck(norm, (states, weight))


@pytest.mark.parametrize(("trained", "steps"), [("states", 1), ("weight", 0), ("both", 1)])
def test_only_gradients_that_are_asked_for_are_computed(
    monkeypatch: pytest.MonkeyPatch, trained: str, steps: int
) -> None:
    """The lowest trained norm passes nothing on."""
    states = torch.randn(2, 3, 5, requires_grad=trained != "weight")
    weight = torch.randn(5, requires_grad=trained != "states")
    normed = _Norm.apply(states, weight, 1e-3)
    made = []
    along = torch.linalg.vecdot

    def counted(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        made.append(None)
        return along(one, other)

    monkeypatch.setattr(torch.linalg, "vecdot", counted)
    normed.square().sum().backward()
    assert len(made) == steps
    assert (states.grad is not None, weight.grad is not None) == (
        trained != "weight",
        trained != "states",
    )


def test_norms_of_a_model_are_replaced_and_fall_back_in_half_precision(
    load: Callable[..., Learner],
) -> None:
    for dtype in ("float32", "bfloat16"):
        learner = load("llama", "text", method="lora", dtype=dtype)
        learner.settle()
        norm = learner.trunk.norm
        assert norm.forward.compute is _forward
        states = torch.randn(2, 3, norm.weight.shape[0], dtype=norm.weight.dtype)
        assert torch.allclose(norm(states), type(norm).forward(norm, states), atol=1e-6)
    assert getattr(load("gpt2", "text").trunk.ln_f.forward, "compute", None) is not _forward
