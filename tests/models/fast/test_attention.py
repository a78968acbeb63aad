from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tarazu.models.fast import attention, attention_block
from tarazu.models.fast.attention import attend
from tarazu.models.learner import Learner

Inputs = tuple[Tensor, Tensor, Tensor]


def inputs(items: int, heads: int, key_heads: int, queries: int, keys: int) -> Inputs:
    """Return query, key and value as models make them: transposed, with gradients."""
    torch.manual_seed(0)

    def made(heads: int, length: int) -> Tensor:
        return torch.randn(items, length, heads, 8).transpose(1, 2).requires_grad_()

    return made(heads, queries), made(key_heads, keys), made(key_heads, keys)


def reference(states: Inputs, mask: Tensor | None, causal: bool) -> Tensor:
    query, key, value = states
    shared = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    if mask is None and causal:
        ones = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool)
        mask = ones.tril(key.shape[2] - query.shape[2])
    result = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return result.transpose(1, 2)


def close(one: Tensor, other: Tensor) -> None:
    assert torch.allclose(one, other, atol=2e-6), (one - other).abs().max()


@pytest.mark.parametrize("block", [2, 3, 64])
@pytest.mark.parametrize(
    ("heads", "queries", "keys", "causal", "masked"),
    [
        ((4, 4), 7, 7, False, False),
        ((4, 4), 7, 7, False, True),
        ((4, 2), 7, 7, True, False),
        ((9, 3), 7, 7, True, True),
        ((4, 2), 3, 9, True, False),  # after a filled cache
        ((4, 1), 1, 9, False, True),  # one new token
    ],
)
def test_result_and_gradients_are_those_of_the_library(
    monkeypatch: pytest.MonkeyPatch,
    block: int,
    heads: tuple[int, int],
    queries: int,
    keys: int,
    causal: bool,
    masked: bool,
) -> None:
    monkeypatch.setattr(attention, "BLOCK", block)
    monkeypatch.setattr(attention, "IN_CACHE", heads[0] * queries * keys * 2)  # two items at a time
    mask = None
    if masked:
        mask = torch.ones(3, 1, queries, keys, dtype=torch.bool)
        mask[0, ..., -2:] = False
        mask[1, ..., :2] = False
        if causal:  # every query sees itself at least
            mask = mask.tril(keys - queries) | torch.eye(keys, dtype=torch.bool)[-queries:]
    for keep_bytes in (0, 1 << 30):  # probabilities computed again, or kept
        monkeypatch.setattr(attention_block, "KEPT_BYTES", keep_bytes)
        states = inputs(3, *heads, queries, keys)
        ours = attend(*states, mask=mask, scale=8**-0.5, causal=causal)
        theirs = reference(states, mask, causal)
        close(ours, theirs)
        direction = torch.randn_like(ours)
        gradients = torch.autograd.grad(ours, states, direction)
        for one, other in zip(
            gradients, torch.autograd.grad(theirs, states, direction), strict=True
        ):
            close(one, other)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize(
    ("wanted", "products"),
    [("qkv", 4), ("qk", 3), ("qv", 3), ("kv", 3), ("q", 2), ("k", 2), ("v", 1)],
)
def test_only_gradients_that_are_asked_for_are_computed(
    monkeypatch: pytest.MonkeyPatch, wanted: str, products: int, dropout: float
) -> None:
    whole = inputs(2, 4, 2, 5, 5)
    direction = torch.randn(2, 5, 4, 8)

    def attended(states: Inputs) -> Tensor:
        torch.manual_seed(3)
        return attend(*states, mask=None, scale=0.4, causal=True, dropout=dropout)

    expected = torch.autograd.grad(attended(whole), whole, direction)
    query, key, value = (
        one.detach().requires_grad_(name in wanted) for name, one in zip("qkv", whole, strict=True)
    )
    result = attended((query, key, value))
    made = counted_products(monkeypatch)
    torch.autograd.backward(result, direction)
    assert len(made) == products
    for name, one, other in zip("qkv", (query, key, value), expected, strict=True):
        assert (one.grad is not None) == (name in wanted)
        if one.grad is not None:
            assert torch.equal(one.grad, other)


def test_the_first_layer_of_lora_computes_no_gradient_of_its_keys(
    monkeypatch: pytest.MonkeyPatch, load: Callable[..., Learner]
) -> None:
    learner = load("llama", "text", method="lora")  # on queries and values
    ids = torch.arange(5, 11).view(1, -1)
    hidden = learner.hidden(ids, torch.ones_like(ids))
    made = counted_products(monkeypatch)
    torch.autograd.backward(hidden.square().sum())
    assert len(made) == 4 * learner.info.layers - 1


def counted_products(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list that grows by one with every product of batches of matrices from now on."""
    made: list[None] = []
    product = torch.bmm

    def counted(one: Tensor, other: Tensor) -> Tensor:
        made.append(None)
        return product(one, other)

    monkeypatch.setattr(torch, "bmm", counted)
    return made


def test_an_added_mask_is_added() -> None:
    states = inputs(2, 4, 2, 5, 5)
    bias = torch.randn(2, 1, 5, 5)
    close(attend(*states, mask=bias, scale=8**-0.5, causal=False), reference(states, bias, False))


def test_dropout_keeps_the_expectation_and_its_gradient() -> None:
    query, key, value = inputs(1, 2, 2, 6, 6)
    exact = attend(query, key, value, mask=None, scale=1.0, causal=True)
    many = [
        attend(query, key, value, mask=None, scale=1.0, causal=True, dropout=0.3)
        for _ in range(3000)
    ]
    assert torch.stack(many).mean(0).sub(exact).abs().max() < 0.1
    assert not torch.equal(many[0], many[1])


@pytest.mark.parametrize("keep_bytes", [0, 1 << 30])
def test_gradient_under_dropout_is_that_of_the_drawn_mask(
    monkeypatch: pytest.MonkeyPatch, keep_bytes: int
) -> None:
    monkeypatch.setattr(attention_block, "KEPT_BYTES", keep_bytes)
    states = tuple(one.detach().double().requires_grad_() for one in inputs(2, 4, 2, 5, 5))

    def drawn(*states: Tensor) -> Tensor:
        torch.manual_seed(7)
        query, key, value = states
        return attend(query, key, value, mask=None, scale=0.5, causal=True, dropout=0.4)

    assert torch.autograd.gradcheck(drawn, states)


def test_few_scores_are_handled_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "IN_CACHE", 4 * 64 * 200 * 3)
    form = attention._Form(1.0, True, 0.0)
    query, key, _ = inputs(8, 4, 2, 200, 200)
    sizes = [
        len(range(8)[n]) * 4 * (q.stop - q.start) * seen for n, q, seen in form.blocks(query, key)
    ]
    assert max(sizes) <= attention.IN_CACHE
    assert sum(sizes) < 0.7 * 8 * 4 * 200 * 200  # later keys are not looked at
    covered = sorted(
        (item, place)
        for n, q, _ in form.blocks(query, key)
        for item, place in itertools.product(range(8)[n], range(200)[q])
    )
    assert covered == list(itertools.product(range(8), range(200)))
