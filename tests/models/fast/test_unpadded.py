from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tarazu.models.fast import Fast, attention_block, switched, unpadded
from tarazu.models.fast.attention import can_leave_padding_out, use_block_attention
from tarazu.models.fast.unpadded import Rows, attend_rows, rows_mask
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.models.recompute import recompute_activations
from tarazu.testing.bodies import small_body
from tarazu.testing.tiny import TinyKind

LENGTHS = (7, 1, 5)
REAL = torch.tensor([[1, 1, 1, 0], [0, 0, 1, 0], [0, 1, 1, 1]]).bool()
IDS = torch.arange(5, 5 + 3 * 11).view(3, 11)
MASK = torch.ones_like(IDS)
MASK[0, 7:] = 0
MASK[2, :4] = 0  # padding on the left
READ = torch.tensor([[6, 2], [10, 0], [10, 4]])
DECODERS: tuple[TinyKind, ...] = ("gpt2", "llama")


def row(*lengths: int) -> Rows:
    """Return rows of items of these lengths."""
    return Rows(torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1))


def inputs(heads: int, key_heads: int, dtype: torch.dtype = torch.double) -> list[Tensor]:
    """Return query, key and value as models make them: transposed, with gradients."""
    torch.manual_seed(0)
    return [
        torch.randn(1, sum(LENGTHS), count, 8, dtype=dtype).transpose(1, 2).requires_grad_()
        for count in (heads, key_heads, key_heads)
    ]


def one_by_one(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attend to each item by the library: [1, t, h, d]."""
    parts = zip(*(states.split(LENGTHS, dim=2) for states in (query, key, value)), strict=True)
    found = [
        functional.scaled_dot_product_attention(*part, is_causal=True, scale=scale, enable_gqa=True)
        for part in parts
    ]
    return torch.cat(found, dim=2).transpose(1, 2)


@pytest.mark.parametrize("keep_bytes", [0, 1 << 30])
@pytest.mark.parametrize("block", [2, 3, 64])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (9, 3), (4, 1)])
def test_result_and_gradients_are_those_of_the_library(
    monkeypatch: pytest.MonkeyPatch, heads: tuple[int, int], block: int, keep_bytes: int
) -> None:
    monkeypatch.setattr(unpadded, "BLOCK", {8: block})
    monkeypatch.setattr(attention_block, "KEPT_BYTES", keep_bytes)
    states = inputs(*heads)
    ours = attend_rows(*states, row(*LENGTHS), scale=0.3)
    theirs = one_by_one(*states, scale=0.3)
    assert torch.allclose(ours, theirs)
    direction = torch.randn_like(ours)
    for one, other in zip(
        torch.autograd.grad(ours, states, direction),
        torch.autograd.grad(theirs, states, direction),
        strict=True,
    ):
        assert torch.allclose(one, other)


@pytest.mark.parametrize("block", [2, 128])
def test_half_precision_is_as_near_to_the_exact_result_as_the_library_is(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(unpadded, "BLOCK", {2: block})
    exact = inputs(9, 3)
    halves = [states.detach().bfloat16().requires_grad_() for states in exact]
    exact = [states.detach().double().requires_grad_() for states in halves]
    wanted = one_by_one(*exact, scale=0.3)
    direction = torch.randn_like(wanted)
    errors = []
    for result in (
        attend_rows(*halves, row(*LENGTHS), scale=0.3),
        one_by_one(*halves, scale=0.3),
    ):
        found = torch.autograd.grad(result, halves, direction.to(result.dtype))
        pairs = zip(
            (result, *found),
            (wanted, *torch.autograd.grad(wanted, exact, direction, retain_graph=True)),
            strict=True,
        )
        errors.append([((a.double() - b).norm() / b.norm()).item() for a, b in pairs])
    for mine, other in zip(*errors, strict=True):
        assert mine < max(1.5 * other, 0.006)


@pytest.mark.parametrize("keep_bytes", [0, 1 << 30])
def test_gradient_under_dropout_is_that_of_the_drawn_mask(
    monkeypatch: pytest.MonkeyPatch, keep_bytes: int
) -> None:
    monkeypatch.setattr(attention_block, "KEPT_BYTES", keep_bytes)

    def drawn(*states: Tensor) -> Tensor:
        torch.manual_seed(7)
        query, key, value = states
        return attend_rows(query, key, value, row(*LENGTHS), scale=0.5, dropout=0.4)

    states = inputs(4, 2)
    assert torch.autograd.gradcheck(drawn, states)
    assert not torch.allclose(drawn(*states), one_by_one(*states, scale=0.5))


def test_half_precision_drops_what_it_drew_in_both_directions() -> None:
    """Its masks are bits; the same draw in double precision, where masks are numbers, agrees."""
    results = []
    states = [one.detach().bfloat16() for one in inputs(4, 2)]
    direction = torch.randn(1, sum(LENGTHS), 4, 8).bfloat16()
    for dtype in (torch.bfloat16, torch.double):
        some = [one.to(dtype).requires_grad_() for one in states]
        torch.manual_seed(3)
        result = attend_rows(*some, row(*LENGTHS), scale=0.4, dropout=0.4)
        results.append((result, *torch.autograd.grad(result, some, direction.to(dtype))))
    for one, other in zip(*results, strict=True):
        assert (one.double() - other).norm() < 0.02 * other.norm()


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize(
    ("wanted", "products"),
    [("qkv", 4), ("qk", 3), ("qv", 3), ("kv", 3), ("q", 2), ("k", 2), ("v", 1)],
)
def test_only_gradients_that_are_asked_for_are_computed(
    monkeypatch: pytest.MonkeyPatch, wanted: str, products: int, dropout: float
) -> None:
    def attended(states: list[Tensor]) -> Tensor:
        torch.manual_seed(3)
        return attend_rows(*states, row(*LENGTHS), scale=0.4, dropout=dropout)

    whole = inputs(4, 2)
    direction = torch.randn(1, sum(LENGTHS), 4, 8, dtype=torch.double)
    expected = torch.autograd.grad(attended(whole), whole, direction)
    some = [
        one.detach().requires_grad_(name in wanted) for name, one in zip("qkv", whole, strict=True)
    ]
    result = attended(some)
    made = []
    product = torch.bmm

    def counted(one: Tensor, other: Tensor) -> Tensor:
        made.append(None)
        return product(one, other)

    monkeypatch.setattr(torch, "bmm", counted)
    torch.autograd.backward(result, direction)
    assert len(made) == products * len(LENGTHS)  # one block each
    for name, one, other in zip("qkv", some, expected, strict=True):
        assert (one.grad is not None) == (name in wanted)
        if one.grad is not None:
            assert torch.equal(one.grad, other)


def test_rows_say_where_every_token_stands() -> None:
    rows = Rows(REAL)
    assert rows.lengths == [3, 1, 3]
    assert rows.positions.tolist() == [[0, 1, 2, 0, 0, 1, 2]]
    numbers = torch.arange(12.0).view(3, 4, 1)
    packed = rows.packed(numbers)
    assert packed.flatten().tolist() == [0, 1, 2, 6, 9, 10, 11]
    assert torch.equal(rows.padded(packed), numbers * REAL.unsqueeze(-1))
    read = torch.tensor([[2, 0], [2, 2], [3, 1]])
    assert rows.places(read).tolist() == [[2, 0, 3, 3, 6, 4]]
    assert packed[0, rows.places(read)[0], 0].tolist() == [2, 0, 6, 6, 11, 9]
    # Padding in front of everything is answered, too, if by something that nobody may use.
    assert Rows(REAL[2:]).places(torch.tensor([[0]])).tolist() == [[0]]


def test_a_token_sees_those_before_it_in_its_own_item() -> None:
    rows = Rows(REAL)
    places = rows.places(torch.tensor([[1, 2], [2, 2], [3, 1]]))
    found = [
        (places[0, mine].tolist(), (tokens.start, tokens.stop), sees.int().tolist())
        for mine, tokens, sees in rows.seen(places)
    ]
    assert found == [
        ([1, 2], (0, 3), [[[[1, 1, 0], [1, 1, 1]]]]),
        ([3, 3], (3, 4), [[[[1], [1]]]]),
        ([6, 4], (4, 7), [[[[1, 1, 1], [1, 0, 0]]]]),
    ]


def test_an_item_without_tokens_takes_no_part() -> None:
    query, key, value = inputs(4, 2)
    rows = Rows(torch.arange(7) < torch.tensor([7, 0, 1, 5]).unsqueeze(1))
    assert torch.equal(
        attend_rows(query, key, value, rows, scale=0.3),
        attend_rows(query, key, value, row(*LENGTHS), scale=0.3),
    )


def loaded(load: Callable[..., Learner], kind: TinyKind, *, on: bool, **how: str) -> Learner:
    with switched(replace(Fast(), unpadded=on)):
        learner = load(kind, "text", **how)
    assert learner.unpads == on
    return learner.eval()


def gradients(learner: Learner, result: Tensor) -> Iterator[Tensor]:
    weights = torch.linspace(-1, 1, result.numel()).view_as(result)
    trained = [parameter for _, parameter in learner.named_trained()]
    return iter(torch.autograd.grad((result * weights).sum(), trained))


@pytest.mark.parametrize("read", [None, READ], ids=["all", "some"])
@pytest.mark.parametrize("method", ["lora", "p-tuning"])
@pytest.mark.parametrize("kind", DECODERS)
def test_states_and_gradients_are_those_of_the_padded_batch(
    load: Callable[..., Learner], kind: TinyKind, method: str, read: Tensor | None
) -> None:
    found = []
    for on in (True, False):
        learner = loaded(load, kind, on=on, method=method)
        states = learner.hidden(IDS, MASK, read=read)
        if read is None:
            states = states * MASK.unsqueeze(-1)  # nobody asks what padding comes to
        found.append((states, *gradients(learner, states)))
    assert len(found[0]) > 1
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-4), (one - other).abs().max()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_bf16_agrees_with_the_padded_batch(load: Callable[..., Learner], method: str) -> None:
    """Frozen states are in bf16, and autocast rules over trained ones in fp32."""
    found = []
    for on in (True, False):
        learner = loaded(load, "llama", on=on, method=method, dtype="bfloat16")
        learner.settle()
        with learner.compute():
            states = learner.hidden(IDS, MASK, read=READ)
        found.append((states.float(), *gradients(learner, states.float())))
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() <= 0.03 * other.norm() + 1e-6


def test_reading_every_token_costs_no_more_than_the_whole_layer(
    load: Callable[..., Learner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a loss on all tokens, no item's queries look at other items' keys."""
    learner = loaded(load, "llama", on=True)
    largest = 0
    product = torch.bmm

    def measured(one: Tensor, other: Tensor) -> Tensor:
        nonlocal largest
        result = product(one, other)
        largest = max(largest, result.numel())
        return result

    monkeypatch.setattr(torch, "bmm", measured)
    read = torch.arange(11).expand(3, -1)
    heads = learner.info.config["num_attention_heads"]
    states = learner.hidden(IDS, MASK, read=read)
    assert largest <= heads * 11 * max(11, learner.info.hidden_size // heads)
    whole = learner.hidden(IDS, MASK)
    real = MASK.bool()
    assert torch.allclose(states[real], whole[real], atol=1e-5)


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_an_item_without_tokens_is_read_beside_others(
    load: Callable[..., Learner], empty: int
) -> None:
    learner, mask = load("llama", "text", method="full"), MASK.clone()
    mask[empty] = 0
    others = [item for item in range(3) if item != empty]
    short = learner.hidden(IDS, mask, read=READ)
    whole = learner.hidden(IDS, mask)[torch.arange(3).unsqueeze(1), READ]
    assert torch.allclose(short[others], whole[others], atol=1e-5)
    (gradient,) = torch.autograd.grad(short.sum(), learner.trunk.get_input_embeddings().weight)
    assert gradient.isfinite().all()


def test_states_of_padding_are_zero(load: Callable[..., Learner]) -> None:
    states = loaded(load, "llama", on=True).hidden(IDS, MASK)
    assert states.shape[:2] == IDS.shape
    assert not states[~MASK.bool()].any()
    assert states[MASK.bool()].any(dim=-1).all()


@pytest.mark.parametrize("kind", DECODERS)
def test_no_layer_sees_padding(load: Callable[..., Learner], kind: TinyKind) -> None:
    learner = loaded(load, kind, on=True)
    seen = []
    for block in learner.blocks():
        block.register_forward_hook(lambda module, given, _: seen.append(given[0].shape[:2]))
    learner.hidden(IDS, MASK)
    assert seen == [(1, MASK.sum())] * learner.info.layers


def test_activations_can_be_computed_again(load: Callable[..., Learner]) -> None:
    found = []
    for again in (False, True):
        learner = loaded(load, "gpt2", on=True, method="lora")  # it drops probabilities, too
        if again:
            recompute_activations(learner)
        learner.train()
        torch.manual_seed(5)
        found.append(list(gradients(learner, learner.hidden(IDS, MASK, read=READ))))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_what_is_generated_or_scored_keeps_its_own_masks(load: Callable[..., Learner]) -> None:
    """With a cache or positions a call is no training batch."""
    found = [
        loaded(load, "llama", on=on).hidden(IDS, MASK, positions=torch.arange(11).expand(3, -1))[
            MASK.bool()
        ]
        for on in (True, False)
    ]
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("name", "changes", "can"),
    [
        ("qwen3", {}, True),
        ("gpt_neox", {}, True),
        ("mistral", {"sliding_window": None}, True),
        ("qwen2", {"use_sliding_window": False}, True),
        ("mistral", {}, False),
        ("qwen2", {}, False),
        ("llama", {"is_causal": False}, False),
        ("bert", {}, False),
    ],
)
def test_windows_and_what_looks_both_ways_stay_padded(
    name: str, changes: dict[str, Any], can: bool
) -> None:
    body = small_body(name, **changes)
    kind = "encoder" if name == "bert" else "decoder"
    info = ModelInfo(name, kind, name, 32, 2, 90, 64, False, {})
    assert not can_leave_padding_out(body, info)  # before it attends by blocks
    use_block_attention(body, info)
    assert can_leave_padding_out(body, info) == can
    if can:
        learner = Learner(body, info, None)
        padded = learner.hidden(IDS, MASK)[MASK.bool()]
        learner.unpads = True
        assert torch.allclose(learner.hidden(IDS, MASK)[MASK.bool()], padded, atol=1e-5)


def test_rows_are_not_attended_otherwise() -> None:
    from transformers.masking_utils import bidirectional_mask_function

    with Rows(REAL).attended(), pytest.raises(ValueError, match="only be attended causally"):
        rows_mask(mask_function=bidirectional_mask_function)
