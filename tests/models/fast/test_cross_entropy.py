from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tarazu.models.fast import Fast, cross_entropy, switched
from tarazu.models.learner import Batch, Learner
from tarazu.readings import text
from tarazu.readings._reading import Asking, collate
from tarazu.testing.tiny import nli_items

ROWS = 7

Load = Callable[..., Learner]


@pytest.fixture
def batch(tiny: Callable[[str], Path], ask: Callable[..., Asking]) -> Batch:
    """Return a padded batch with a loss on every token."""
    return collate(text.encode(nli_items(6), ask(tiny("llama"), loss_on="all")), 1)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many tokens were projected at a time."""
    sizes: list[int] = []
    original = Learner.vocabulary_logits

    def noted(self: Learner, states: Tensor) -> Tensor:
        sizes.append(len(states))
        return original(self, states)

    monkeypatch.setattr(Learner, "vocabulary_logits", noted)
    return sizes


def few_rows(monkeypatch: pytest.MonkeyPatch, learner: Learner) -> None:
    monkeypatch.setattr(cross_entropy, "SCORE_BYTES", ROWS * 4 * learner.info.vocab_size + 3)


def projected(load: Load, how: str, *, dtype: str = "float32", dropout: float = 0.0) -> Learner:
    """Load a decoder whose projection is trained, frozen, adapted, quantised, tied or not."""
    if how in ("tied", "untied"):
        learner = load("llama", "text", method="full", dtype=dtype)
    else:
        targets = ("q_proj", "lm_head") if how == "adapted" else "query-value"
        knobs = {"targets": targets, "dropout": dropout}
        learner = load("llama", "text", method="lora", dtype=dtype, **knobs)
    body = learner.body
    if how == "untied":
        body.lm_head.weight = nn.Parameter(body.lm_head.weight.detach().clone())
    if how == "quantised":
        import bitsandbytes as bnb

        plain = body.lm_head.weight.detach().clone()
        body.lm_head = bnb.nn.Linear4bit(*reversed(plain.shape), bias=False, quant_type="nf4")
        body.lm_head.weight = bnb.nn.Params4bit(plain, requires_grad=False, quant_type="nf4")
        body.lm_head.to("cpu")
        assert hasattr(body.lm_head.weight, "quant_state")
        assert not body.lm_head.weight.is_floating_point()
    learner.settle()
    with torch.no_grad():
        for name, parameter in learner.named_trained():
            if "lora_B" in name:  # which starts at zero, and with it the gradients of A
                parameter.normal_(std=0.1)
    return learner


def gradients(learner: Learner, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the mean loss, and its gradients where there are some."""
    learner.zero_grad()
    with learner.compute():
        mean = text.loss(learner, batch) / (batch["labels"][:, 1:] >= 0).sum()
    torch.autograd.backward(mean)
    found = {n: p.grad.clone() for n, p in learner.named_trained() if p.grad is not None}
    assert found
    return mean.detach(), found


@pytest.mark.parametrize("how", ["frozen", "adapted", "quantised", "tied", "untied"])
def test_parts_give_the_loss_and_the_gradients_of_the_whole(
    load: Load, batch: Batch, seen: list[int], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    learner = projected(load, how)
    whole, expected = gradients(learner, batch)
    (tokens,) = seen
    few_rows(monkeypatch, learner)
    seen.clear()
    parts, found = gradients(learner, batch)
    assert max(seen) == ROWS
    assert sum(seen) == 2 * tokens  # once forward, once in the backward pass
    assert torch.allclose(parts, whole, rtol=1e-6)
    assert found.keys() == expected.keys()
    assert any("lm_head" in name for name in found) == (how in ("adapted", "untied"))
    for name, gradient in found.items():
        assert gradient.abs().max() > 0
        assert torch.allclose(gradient, expected[name], rtol=1e-6, atol=1e-6), name


def test_bf16(load: Load, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under autocast a trained projection is cast once for all parts, and again going back."""
    learner = projected(load, "tied", dtype="bfloat16")
    whole, expected = gradients(learner, batch)
    few_rows(monkeypatch, learner)
    parts, found = gradients(learner, batch)
    assert torch.allclose(parts, whole, rtol=1e-3)
    for name, gradient in found.items():
        assert (gradient - expected[name]).norm() <= 0.02 * expected[name].norm(), name


def test_dropout_in_the_projection_is_drawn_once(
    load: Load, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = projected(load, "adapted", dropout=0.5).train()
    assert any(isinstance(module, nn.Dropout) for module in learner.body.lm_head.modules())
    few_rows(monkeypatch, learner)

    def drawn() -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(3)
        return gradients(learner, batch)

    recomputed, found = drawn()
    monkeypatch.setattr(cross_entropy, "checkpoint", lambda f, *given, **how: f(*given))
    kept, expected = drawn()
    assert torch.equal(recomputed, kept)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@torch.no_grad()
def test_a_loss_without_gradients_is_taken_in_parts_once(
    load: Load, batch: Batch, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = projected(load, "frozen")
    whole = text.loss(learner, batch)
    few_rows(monkeypatch, learner)
    assert torch.allclose(text.loss(learner, batch), whole, rtol=1e-6)
    assert sum(seen[1:]) == seen[0]
    assert max(seen[1:]) == ROWS


def test_few_tokens_and_the_switch_leave_the_loss_whole(
    load: Load, batch: Batch, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = projected(load, "frozen")
    text.loss(learner, batch)
    few_rows(monkeypatch, learner)
    with switched(Fast(chunked_loss=False)):
        text.loss(learner, batch)
    assert len(seen) == 2
    assert seen[0] == seen[1] > ROWS
