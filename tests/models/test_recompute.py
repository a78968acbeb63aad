from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tarazu.models.frozen import split_trunk
from tarazu.models.learner import Learner
from tarazu.models.recompute import Recomputed, recompute_activations
from tarazu.readings import find_reading
from tarazu.readings._reading import Asking, collate
from tarazu.testing.tiny import LAYERS, TinyKind, nli_items

Load = Callable[..., Learner]
Train = Callable[[Learner], tuple[Tensor, dict[str, Tensor]]]
CASES = [
    ("bert", "full"),
    ("bert", "lora"),
    ("gpt2", "full"),
    ("gpt2", "p-tuning"),
    ("llama", "full"),
    ("llama", "lora"),
    ("llama", "last-k"),
]


@pytest.fixture
def train(tiny: Callable[[TinyKind], Path], ask: Callable[..., Asking]) -> Train:
    """Return a way to make one training pass, dropout and all: loss and gradients."""

    def passed(learner: Learner) -> tuple[Tensor, dict[str, Tensor]]:
        architecture = learner.info.architecture
        reading = find_reading("classes" if learner.head is not None else "text")
        asking = ask(tiny("bert" if architecture == "bert" else architecture))  # type: ignore[arg-type]
        batch = collate(reading.encode(nli_items(5), asking), 1)
        learner.zero_grad()
        torch.manual_seed(4)
        with learner.compute():
            loss = reading.loss(learner, batch)
        torch.autograd.backward(loss)
        found = {n: p.grad.clone() for n, p in learner.named_trained() if p.grad is not None}
        return loss.detach(), found

    return passed


def loaded(load: Load, kind: TinyKind, method: str, dtype: str = "float32") -> Learner:
    learner = load(kind, "classes" if kind == "bert" else "text", method=method, dtype=dtype)
    learner.settle()
    return learner.train()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_gradients_are_the_same_to_the_last_bit(
    load: Load, train: Train, kind: TinyKind, method: str, dtype: str
) -> None:
    learner = loaded(load, kind, method, dtype)
    drops = [m.p for m in learner.modules() if isinstance(m, nn.Dropout)]
    assert (max(drops, default=0.0) > 0) == (kind != "llama" or method == "lora")
    kept, expected = train(learner)
    recompute_activations(learner)
    recomputed, found = train(learner)
    assert torch.equal(recomputed, kept)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_above_a_frozen_trunk_too(load: Load, train: Train) -> None:
    learner = loaded(load, "llama", "last-k")
    with torch.no_grad():
        assert split_trunk(learner, {}) is None
    learner.train()
    _, expected = train(learner)
    recompute_activations(learner)
    _, found = train(learner)
    assert expected
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def computed(learner: Learner) -> tuple[list[int], list[int]]:
    """Count how often each layer computes, and which of its outputs are alive."""
    times = [0] * LAYERS
    outputs: list[list[weakref.ref[Tensor]]] = [[] for _ in range(LAYERS)]

    def counting(number: int) -> Callable[..., None]:
        def count(module: nn.Module, given: object, output: Tensor) -> None:
            times[number] += 1
            outputs[number].append(weakref.ref(output))

        return count

    for number, layer in enumerate(learner.blocks()):
        layer.mlp.act_fn.register_forward_hook(counting(number))
    ids = torch.arange(5, 27).view(2, 11)
    states = learner.hidden(ids, torch.ones_like(ids))
    gc.collect()
    alive = [sum(one() is not None for one in some) for some in outputs]
    if states.requires_grad:
        torch.autograd.backward(states.square().sum())
    return times, alive


def test_all_layers_but_the_last_forget_what_they_computed(load: Load) -> None:
    learner = loaded(load, "llama", "full")
    assert computed(copy.deepcopy(learner)) == ([1, 1, 1], [1, 1, 1])
    recompute_activations(learner)
    assert [isinstance(layer.forward, Recomputed) for layer in learner.blocks()] == [1, 1, 0]
    assert computed(copy.deepcopy(learner)) == ([2, 2, 1], [0, 0, 1])
    with torch.no_grad():
        assert computed(learner)[0] == [1, 1, 1]


def test_a_copied_layer_computes_with_its_own_weights(load: Load) -> None:
    learner = loaded(load, "llama", "full")
    recompute_activations(learner)
    copied = copy.deepcopy(learner)
    with torch.no_grad():
        for parameter in copied.blocks()[0].parameters():
            parameter.mul_(2.0)
    ids = torch.arange(5, 27).view(2, 11)
    mask = torch.ones_like(ids)
    assert not torch.allclose(copied.hidden(ids, mask), learner.hidden(ids, mask))
