from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tarazu.models.fast import norm as fast_norm
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


@pytest.mark.parametrize("rows", [1, 4, 512])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, rows: int
) -> None:
    """Computed in fp32 some rows at a time, and so nearer to the exact result than the library."""
    monkeypatch.setattr(fast_norm, "ROWS", rows)
    torch.manual_seed(0)
    states = torch.randn(3, 5, 64).to(dtype).requires_grad_()
    weight = (torch.rand(64) + 0.5).to(dtype).requires_grad_()
    wide = [one.detach().double().requires_grad_() for one in (states, weight)]
    exact = wide[1] * wide[0] / (wide[0].square().mean(-1, keepdim=True) + 1e-5).sqrt()
    result = _Norm.apply(states, weight, 1e-5)
    direction = torch.randn_like(exact).to(dtype)
    found = torch.autograd.grad(result, (states, weight), direction)
    wanted = torch.autograd.grad(exact, wide, direction.double())
    for one, other in zip((result, *found), (exact, *wanted), strict=True):
        assert one.dtype == dtype
        # Half a unit in the last place of each number, and a little of fp32.
        error = (one.double() - other).abs()
        assert bool((error <= 0.502 * torch.finfo(dtype).eps * other.abs() + 1e-6).all())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_norms_of_a_model_are_replaced(load: Callable[..., Learner], dtype: str) -> None:
    learner = load("llama", "text", method="lora", dtype=dtype)
    learner.settle()
    norm = learner.trunk.norm
    assert norm.forward.compute is _forward
    states = torch.randn(2, 3, norm.weight.shape[0], dtype=norm.weight.dtype)
    library = type(norm).forward(norm, states)
    assert norm(states).dtype == library.dtype
    assert torch.allclose(norm(states), library, rtol=0.01, atol=1e-6)
    # Trained norms above frozen embeddings have weights in fp32 and states in bf16.
    mixed = states.to(torch.bfloat16 if dtype == "float32" else torch.float32)
    assert torch.equal(norm(mixed), type(norm).forward(norm, mixed))
    assert getattr(load("gpt2", "text").trunk.ln_f.forward, "compute", None) is not _forward
