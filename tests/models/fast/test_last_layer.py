from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from tarazu.models.fast import Fast, switched
from tarazu.models.fast.last_layer import use_short_last_layer
from tarazu.models.fast.rotary import HALVES
from tarazu.models.heads import ClassificationHead
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.readings.text import places
from tarazu.testing.bodies import small_body
from tarazu.testing.tiny import TINY_KINDS, TinyKind

KNOWN = ("bert", "roberta", "llama")
OTHERS = ("xlm-roberta", "electra", "mistral", "qwen2", "qwen3")
IDS = torch.arange(5, 5 + 3 * 11).view(3, 11)
MASK = torch.ones_like(IDS)
MASK[0, 7:] = 0
MASK[2, :4] = 0  # padding on the left
READ = torch.tensor([[6, 2], [10, 0], [10, 4]])


def rows(states: Tensor) -> Tensor:
    return states[torch.arange(3).unsqueeze(1), READ]


def gradients(learner: Learner, result: Tensor) -> Iterator[Tensor]:
    trained = [p for _, p in learner.named_trained()]
    weights = torch.linspace(-1, 1, result.numel()).view_as(result)
    return (
        g
        for g in torch.autograd.grad((result * weights).sum(), trained, allow_unused=True)
        if g is not None
    )


@pytest.mark.parametrize("mask", [MASK, torch.ones_like(IDS)], ids=["padded", "unpadded"])
@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_states_that_are_read_and_gradients_are_those_of_the_whole_layer(
    load: Callable[..., Learner], kind: TinyKind, attention: bool, mask: Tensor
) -> None:
    with switched(Fast(attention=attention)):
        learner = load(kind, "text", method="full")
    assert (learner.last is not None) == (learner.info.architecture in KNOWN)
    whole = rows(learner.hidden(IDS, mask))
    short = learner.hidden(IDS, mask, read=READ)
    assert torch.allclose(short, whole, atol=1e-5), (short - whole).abs().max()
    pairs = itertools.zip_longest(gradients(learner, short), gradients(learner, whole))
    for one, other in pairs:
        assert torch.allclose(one, other, atol=1e-4), (one - other).abs().max()


@pytest.mark.parametrize("mask", [MASK, torch.ones_like(IDS)], ids=["padded", "unpadded"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures(name: str, mask: Tensor) -> None:
    body = small_body(name)
    info = ModelInfo(
        name, "decoder" if name in HALVES else "encoder", name, 32, 2, 90, 64, False, {}
    )
    learner = Learner(body, info, None)
    whole = rows(learner.hidden(IDS, mask))
    learner.last = use_short_last_layer(learner.blocks()[-1], body, learner.info)
    assert learner.last is not None
    short = learner.hidden(IDS, mask, read=READ)
    assert torch.allclose(short, whole, atol=1e-5), (short - whole).abs().max()


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_what_is_not_read_is_not_computed(load: Callable[..., Learner], kind: TinyKind) -> None:
    learner = load(kind, "classes", method="lora")
    seen: list[int] = []
    for module in learner.blocks()[-1].modules():
        if isinstance(module, nn.Linear) and module.out_features > 32:  # the feed-forward network
            module.register_forward_hook(
                lambda m, given, out: seen.append(given[0][..., 0].numel())
            )
    learner.hidden(IDS, MASK, read=READ)
    assert seen
    assert set(seen) == {READ.numel()}
    learner.hidden(IDS, MASK)
    assert set(seen) == {READ.numel(), int(MASK.sum()) if learner.unpads else MASK.numel()}


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_virtual_tokens_move_what_is_read(load: Callable[..., Learner], kind: TinyKind) -> None:
    learner = load(kind, "text", method="p-tuning", virtual_tokens=3)
    whole = rows(learner.hidden(IDS, MASK))
    assert torch.allclose(learner.hidden(IDS, MASK, read=READ), whole, atol=1e-5)


@pytest.mark.parametrize("kind", ["roberta", "llama"])
def test_bf16(load: Callable[..., Learner], kind: TinyKind) -> None:
    learner = load(kind, "text", dtype="bfloat16")
    with learner.compute():
        whole, short = rows(learner.hidden(IDS, MASK)), learner.hidden(IDS, MASK, read=READ)
    assert short.dtype == whole.dtype
    assert torch.allclose(short.float(), whole.float(), atol=0.05)


def test_a_copied_layer_computes_with_its_own_weights(load: Callable[..., Learner]) -> None:
    learner = load("bert", "text")
    copied = copy.deepcopy(learner)
    with torch.no_grad():
        for parameter in copied.blocks()[-1].parameters():
            parameter.mul_(2.0)
        for read in (None, READ):
            assert not torch.allclose(
                copied.hidden(IDS, MASK, read=read), learner.hidden(IDS, MASK, read=read)
            )
        short, whole = copied.hidden(IDS, MASK, read=READ), rows(copied.hidden(IDS, MASK))
    assert torch.allclose(short, whole, atol=1e-5)


def test_it_can_be_switched_off(load: Callable[..., Learner]) -> None:
    with switched(Fast(last_layer=False)):
        learner = load("bert", "text")
    assert learner.last is None
    assert torch.equal(learner.hidden(IDS, MASK, read=READ), rows(learner.hidden(IDS, MASK)))


def test_a_broken_pass_leaves_the_layer_whole(load: Callable[..., Learner]) -> None:
    learner = load("bert", "text")
    with pytest.raises(RuntimeError):
        learner.hidden(IDS, MASK, read=READ + 100)
    assert learner.hidden(IDS, MASK).shape[1] == 11


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_what_a_layer_is_given_beside_is_not_lost(
    load: Callable[..., Learner], kind: TinyKind
) -> None:
    """An argument that the short layer does not know must not be left out in silence."""
    last = load(kind, "text").last
    assert last is not None
    with last.reading(READ), pytest.raises(TypeError, match="no more than states"):
        last(torch.zeros(3, 11, 32), None, torch.ones(1))


@pytest.mark.parametrize(("pooling", "token"), [("first", 4), ("last", 10)])
def test_a_head_names_the_token_it_reads(pooling: str, token: int) -> None:
    head = ClassificationHead(8, 3, pooling=pooling, dropout=0.0, deep=False)
    read = head.reads(MASK)
    assert read is not None
    assert read[2].tolist() == [token]
    states = torch.randn(3, 11, 8)
    short = states[torch.arange(3).unsqueeze(1), read]
    assert torch.equal(head(short, torch.ones_like(read)), head(states, MASK))


def test_a_head_that_reads_all_tokens_says_so() -> None:
    assert ClassificationHead(8, 3, pooling="mean", dropout=0.0, deep=False).reads(MASK) is None


def test_places_of_what_counts_in_the_order_of_the_mask() -> None:
    counted = torch.tensor([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 1]]).bool()
    read, real = places(counted)
    assert real.tolist() == [[True] * 3, [False] * 3, [True, True, False]]
    values = torch.arange(15).view(3, 5)
    assert torch.equal(values.gather(1, read)[real], values[counted])
