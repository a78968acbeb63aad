from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tarazu.models.fast.dropout import CheapDropout, drop, kept, masked, masked_, use_cheap_dropout


@settings(max_examples=30, deadline=None)
@given(p=st.floats(0, 0.999), rows=st.integers(1, 40), columns=st.integers(1, 9))
def test_mask_has_the_shape_and_only_zeros_and_ones(p: float, rows: int, columns: int) -> None:
    mask, scale = kept(torch.Size((rows, columns)), p, torch.float32)
    assert mask.shape == (rows, columns)
    assert set(mask.flatten().tolist()) <= {0, 1}
    assert scale == pytest.approx(1 / (1 - p), rel=0.02 if p > 0.99 else 1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_asked(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    drawn, scale = kept(torch.Size((1_000_000,)), p, dtype)
    mask = masked(torch.ones(len(drawn), dtype=dtype), drawn)
    share = 1 - mask.float().mean().item()
    assert share == pytest.approx(p, abs=4 * (p * (1 - p) / 1e6) ** 0.5)
    assert mask.float().mean().item() * scale == pytest.approx(1, abs=0.01)
    # Neighbours come from the same random number: they must not follow each other.
    for distance in (1, 2, 3, 4, 5):
        pair = torch.corrcoef(torch.stack([mask[:-distance].float(), mask[distance:].float()]))
        assert abs(pair[0, 1].item()) < 0.005


def test_gradient_passes_where_the_state_stayed() -> None:
    torch.manual_seed(0)
    states = torch.randn(50, 7, requires_grad=True)
    result = drop(states, 0.4)
    (gradient,) = torch.autograd.grad(result.sum(), states)
    stayed = result != 0
    assert 0 < stayed.sum() < states.numel()
    assert torch.equal(gradient != 0, stayed)
    assert torch.allclose(result[stayed], states[stayed] * gradient[stayed])


def test_a_seed_gives_the_same_mask() -> None:
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        # Of the second one, too: a mask moves the generator on.
        masks.append([kept(torch.Size((3, 33)), 0.5, torch.float32)[0] for _ in range(2)])
    assert all(map(torch.equal, masks[0], masks[1]))
    assert not any(map(torch.equal, masks[0], masks[2]))
    assert not torch.equal(*masks[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_what_stays_is_untouched_in_every_precision(dtype: torch.dtype) -> None:
    """Half precision has a mask of bits, the others one of ones and zeros, from the same draw."""
    torch.manual_seed(0)
    states = torch.randn(40, 9).to(dtype)
    before = states.clone()
    torch.manual_seed(1)
    mask, _ = kept(states.shape, 0.3, dtype)
    torch.manual_seed(1)
    ones, _ = kept(states.shape, 0.3, torch.float64)
    assert mask.element_size() == (2 if dtype.itemsize == 2 else 1)
    wanted = torch.where(ones.bool(), states, torch.zeros_like(states))
    assert 0 < ones.sum() < ones.numel()
    assert torch.equal(masked(states, mask), wanted)
    assert torch.equal(states, before)
    assert masked_(states, mask) is states
    assert torch.equal(states, wanted)


def test_half_precision_drops_alike_forward_and_backward() -> None:
    torch.manual_seed(0)
    states = torch.randn(50, 8).bfloat16().requires_grad_()
    result = drop(states, 0.25)
    (gradient,) = torch.autograd.grad(result.sum(), states)
    assert torch.equal(gradient != 0, result != 0)
    assert torch.allclose(result, states * gradient, rtol=0.01)


def test_only_training_drops() -> None:
    model = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5), nn.Dropout(0.0))
    use_cheap_dropout(model)
    assert [type(one) for one in model[1:]] == [CheapDropout, CheapDropout]
    states = torch.randn(8, 4)
    plain = model[0](states)
    assert torch.equal(model.eval()(states), plain)
    assert (model.train()(states) == 0).any()
    assert model[1].extra_repr() == nn.Dropout(0.5).extra_repr()
