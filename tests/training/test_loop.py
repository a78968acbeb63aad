from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tarazu.errors import BadInput
from tarazu.models.learner import Batch, Learner
from tarazu.readings import find_reading
from tarazu.readings._reading import Asking
from tarazu.testing.tiny import TinyKind, nli_items
from tarazu.training.device import Device
from tarazu.training.loop import Examples, Plan, Watch, fit, mean_loss
from tarazu.work import examples

Load = Callable[..., Learner]
PLAN = Plan(
    epochs=2,
    batch_size=4,
    micro_batch_size=None,
    learning_rate=1e-2,
    head_learning_rate=1e-2,
    weight_decay=0.0,
    warmup=0.0,
    schedule="constant",
    clip=1.0,
    select="best",
    seed=0,
)
Data = Callable[..., tuple[Any, Examples]]


@pytest.fixture
def data(tiny: Callable[[TinyKind], Path], ask: Callable[..., Asking]) -> Data:
    """Return a way to get the loss and the examples of a model."""

    def made(
        kind: TinyKind, count: int = 16, *, seed: int = 0, wrong: bool = False
    ) -> tuple[Any, Examples]:
        reading = find_reading("classes" if kind == "bert" else "text")
        asking = ask(tiny(kind))
        items = nli_items(count, seed=seed)
        if wrong:
            labels = [item.gold for item in items]
            items = [
                replace(i, gold=g) for i, g in zip(items, labels[1:] + labels[:1], strict=True)
            ]
        features = reading.encode(items, asking)
        return reading.loss, examples(features, asking.tokenizer.pad_token_id)

    return made


def no_dropout(learner: Learner) -> Learner:
    for module in learner.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return learner


def weights(learner: Learner) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in learner.named_trained()}


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_t6_accumulation_gives_the_gradients_and_loss_of_the_whole_batch(
    load: Load, data: Data, monkeypatch: pytest.MonkeyPatch, kind: TinyKind, method: str
) -> None:
    loss, train = data(kind)
    assert len(set(train.lengths)) > 4
    assert len(set(train.terms)) > (kind == "llama")
    gradients: list[dict[str, Tensor]] = []
    clip = Device.clip

    def noting(self: Device, norm: float) -> None:
        named = self._learner.named_trained()
        gradients.append({n: p.grad.clone() for n, p in named if p.grad is not None})
        clip(self, norm)

    monkeypatch.setattr(Device, "clip", noting)
    losses: list[float] = []
    watch = Watch(step=lambda done, total, epoch, value: losses.append(value))
    for size in (None, 2):
        knobs = {"dropout": 0.0} if method == "lora" else {}
        learner = no_dropout(
            load(kind, "classes" if kind == "bert" else "text", method=method, **knobs)
        )
        plan = replace(PLAN, epochs=1, batch_size=16, micro_batch_size=size)
        fit(learner, loss, train, None, plan, watch)
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_t40_the_weights_of_the_best_epoch_are_restored(
    load: Load, data: Data, kind: TinyKind
) -> None:
    loss, train = data(kind, 12)
    # The more is learnt, the worse are wrong labels predicted: the last epoch is not the best one.
    _, validation = data(kind, 12, wrong=True)
    learner = load(kind, "classes" if kind == "bert" else "text", method="lora")
    at_end: list[dict[str, Tensor]] = []

    def metrics() -> dict[str, float]:
        at_end.append(weights(learner))
        return {}

    plan = replace(PLAN, epochs=12, learning_rate=0.05, head_learning_rate=0.05)
    result = fit(learner, loss, train, validation, plan, Watch(metrics=metrics))
    held_out = [epoch.validation_loss for epoch in result.epochs]
    assert None not in held_out
    best = min(range(12), key=lambda i: held_out[i])  # type: ignore[arg-type, return-value]
    assert best < 11, held_out
    assert result.selected == best + 1
    for name, value in learner.named_trained():
        assert torch.equal(value, at_end[best][name]), name
    again = mean_loss(learner, loss, validation, PLAN.eval_batch_size)
    assert again == pytest.approx(held_out[best], abs=1e-6)


@pytest.mark.parametrize("method", ["full", "last-k", "lora", "p-tuning"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_t40_everything_trained_is_restored(
    load: Load, data: Data, kind: TinyKind, method: str
) -> None:
    """Adapter, soft prompt, layers and head: nothing of the last epoch is left."""
    loss, train = data(kind, 8)
    _, validation = data(kind, 3, seed=1)
    curve = iter([3.0, 1.0, 2.0, 4.0])

    def told(learner: Learner, batch: Batch) -> Tensor:
        return loss(learner, batch) if learner.training else torch.tensor(next(curve))

    learner = load(kind, "classes" if kind == "bert" else "text", method=method)
    ends: list[dict[str, Tensor]] = []
    watch = Watch(metrics=lambda: ends.append(weights(learner)) or {})  # type: ignore[func-returns-value]
    assert fit(learner, told, train, validation, replace(PLAN, epochs=4), watch).selected == 2
    for name, value in learner.named_trained():
        assert torch.equal(value, ends[1][name]), name
        assert not torch.equal(value, ends[3][name]), name


def test_the_last_epoch_is_kept_when_asked_for_or_without_validation(
    load: Load, data: Data
) -> None:
    loss, train = data("bert", 8)
    _, validation = data("bert", 6, seed=1)
    plan = replace(PLAN, epochs=3, learning_rate=0.1)
    for held_out, select in ((validation, "last"), (None, "best")):
        learner = load("bert", "classes", method="lora")
        ends: list[dict[str, Tensor]] = []
        watch = Watch(metrics=lambda ends=ends, one=learner: ends.append(weights(one)) or {})  # type: ignore[misc]
        result = fit(learner, loss, train, held_out, replace(plan, select=select), watch)
        assert result.selected == 3
        assert all(torch.equal(p, ends[-1][n]) for n, p in learner.named_trained())


def test_an_epoch_whose_validation_loss_is_no_number_is_not_the_best(
    load: Load, data: Data
) -> None:
    loss, train = data("bert", 4)
    _, validation = data("bert", 3, seed=1)
    validations = iter([math.nan, 1.0, 2.0])

    def odd(learner: Learner, batch: Batch) -> Tensor:
        return loss(learner, batch) if learner.training else torch.tensor(next(validations))

    learner = load("bert", "classes", method="lora")
    assert fit(learner, odd, train, validation, replace(PLAN, epochs=3)).selected == 2


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_not_finite_names_step_batch_and_rate(
    load: Load, data: Data, value: float
) -> None:
    loss, train = data("bert")
    seen = 0
    batches: list[list[int]] = []
    collate = train.collate

    def noting(rows: Sequence[int]) -> Batch:
        batches.append(list(rows))
        return collate(rows)

    def breaking(learner: Learner, batch: Batch) -> Tensor:
        nonlocal seen
        seen += 1
        summed: Tensor = loss(learner, batch)
        return summed * (value if seen == 3 else 1.0)

    with pytest.raises(BadInput) as error:
        fit(
            load("bert", "classes", method="lora"),
            breaking,
            replace(train, collate=noting),
            None,
            replace(PLAN, learning_rate=0.025),
        )
    message = str(error.value)
    assert re.match(rf"training, step 3: the loss must be finite, but got {value} on", message)
    assert str(batches[2]).rstrip("]") in message
    assert "at learning rate 0.025" in message


@pytest.mark.parametrize("select", ["best", "last"])
def test_weights_broken_by_the_last_update_stop_the_run(
    load: Load, data: Data, monkeypatch: pytest.MonkeyPatch, select: str
) -> None:
    loss, train = data("bert")
    monkeypatch.setattr("tarazu.training.loop.mean_loss", lambda *arguments: math.nan)
    with pytest.raises(BadInput, match=r"step 4: the loss must be finite, but got nan on validat"):
        fit(load("bert", "classes", method="lora"), loss, train, train,
            replace(PLAN, epochs=1, select=select))  # fmt: skip


def test_a_head_with_a_rate_of_its_own_is_named_too(load: Load, data: Data) -> None:
    loss, train = data("bert")

    def broken(learner: Learner, batch: Batch) -> Tensor:
        summed: Tensor = loss(learner, batch)
        return summed * math.nan

    plan = replace(PLAN, learning_rate=0.25, head_learning_rate=0.003)
    with pytest.raises(BadInput) as error:
        fit(load("bert", "classes", method="lora"), broken, train, None, plan)
    assert "0.25" in str(error.value)
    assert "0.003" in str(error.value)


@pytest.mark.parametrize(("share", "updates"), [(0.25, 2), (0.3, 3), (0.5, 4), (1.0, 8)])
def test_a_share_is_the_beginning_of_the_whole_training(
    load: Load, data: Data, share: float, updates: int
) -> None:
    """Same batches, same learning rates, same losses: the schedule is that of the whole."""
    loss, train = data("bert", 15)
    plan = replace(PLAN, warmup=0.3, schedule="linear", select="last")
    traces: list[list[tuple[int, int, float]]] = []
    found = []
    for part in (1.0, share):
        heard: list[tuple[int, int, float]] = []
        watch = Watch(lambda done, total, epoch, value: heard.append((done, epoch, value)))  # noqa: B023
        learner = no_dropout(load("bert", "classes", method="lora"))
        found.append(fit(learner, loss, train, train, replace(plan, share=part), watch))
        traces.append(heard)
    whole, cut = traces
    assert len(whole) == 8
    assert cut == whole[:updates]
    assert len(found[1].epochs) == math.ceil(updates / 4)
    if updates == 4:
        assert found[1].epochs[0] == found[0].epochs[0]
        assert found[1].tokens == sum(train.lengths)
    assert found[0].tokens == 2 * sum(train.lengths)


def test_loss_falls_and_only_trained_parameters_move(load: Load, data: Data) -> None:
    loss, train = data("gpt2", 12)
    learner = load("gpt2", "text", method="lora", dropout=0.0)
    before = {name: p.detach().clone() for name, p in learner.named_parameters()}
    result = fit(learner, loss, train, None, replace(PLAN, epochs=6))
    assert result.epochs[-1].train_loss < 0.8 * result.epochs[0].train_loss
    trained = {name for name, _ in learner.named_trained()}
    for name, parameter in learner.named_parameters():
        assert torch.equal(parameter, before[name]) == (name not in trained), name
    assert not learner.training


@pytest.mark.parametrize("method", ["lora", "p-tuning", "last-k", "full"])
def test_t25_every_trained_tensor_has_moved_after_three_steps(
    load: Load, data: Data, method: str
) -> None:
    loss, train = data("llama", 12)
    learner = load("llama", "text", method=method)
    before = weights(learner)
    fit(learner, loss, train, None, replace(PLAN, epochs=1))
    for name, parameter in learner.named_trained():
        assert not torch.equal(parameter, before[name]), name


def test_steps_are_told_with_the_mean_loss_per_term(load: Load, data: Data) -> None:
    loss, train = data("llama", 10)
    told: list[tuple[int, int, int]] = []
    values: list[float] = []

    def step(done: int, total: int, epoch: int, value: float) -> None:
        told.append((done, total, epoch))
        values.append(value)

    learner = no_dropout(load("llama", "text", method="lora", dropout=0.0))
    plan = replace(PLAN, learning_rate=1e-9, head_learning_rate=1e-9)
    result = fit(learner, loss, train, None, plan, Watch(step=step))
    assert told == [(i + 1, 6, i // 3 + 1) for i in range(6)]
    untrained = mean_loss(learner, loss, train, 4)
    assert result.epochs[0].train_loss == pytest.approx(untrained, abs=1e-3)
    assert min(values) <= untrained <= max(values)
    assert result.tokens == 2 * sum(train.lengths)


def test_t27_training_under_bf16_keeps_trained_weights_in_fp32(load: Load, data: Data) -> None:
    loss, train = data("bert", 8)
    learner = load("bert", "classes", method="lora", dtype="bfloat16")
    result = fit(learner, loss, train, None, PLAN)
    assert math.isfinite(result.epochs[-1].train_loss)
    assert {p.dtype for _, p in learner.named_trained()} == {torch.float32}
    frozen = {p.dtype for p in learner.parameters() if not p.requires_grad}
    assert frozen == {torch.bfloat16}


def test_one_process_may_train_in_one_precision_after_another(load: Load, data: Data) -> None:
    loss, train = data("bert", 4)
    dtypes = []

    def noting(learner: Learner, batch: Batch) -> Tensor:
        states = learner.hidden(batch["input_ids"], batch["attention_mask"])
        dtypes.append((learner.trunk.embeddings.word_embeddings.weight @ states[0, 0]).dtype)
        return loss(learner, batch)  # type: ignore[no-any-return]

    for dtype in ("bfloat16", "float32"):
        fit(load("bert", "classes", method="full", dtype=dtype), noting, train, None,
            replace(PLAN, epochs=1))  # fmt: skip
    assert dtypes == [torch.bfloat16, torch.float32]


def test_t35_validation_loss_is_over_terms_whatever_the_batches(load: Load, data: Data) -> None:
    loss, train = data("llama", 10)
    learner = load("llama", "text")
    found = [mean_loss(learner, loss, train, size) for size in (1, 4, 16)]
    assert found == pytest.approx([found[0]] * 3, abs=1e-5)
    assert found[0] == pytest.approx(
        sum(mean_loss(learner, loss, one, 1) * one.terms[0] for one in alone(train))
        / sum(train.terms),
        abs=1e-5,
    )


def test_t35_validation_batches_do_not_follow_the_training_batches(load: Load, data: Data) -> None:
    loss, train = data("bert", 16)
    _, validation = data("bert", 10, seed=1)
    seen: dict[int, list[list[int]]] = {}
    for size in (2, 5, 16):
        noted: list[list[int]] = []

        def collate(rows: Sequence[int], noted: list[list[int]] = noted) -> Batch:
            noted.append(list(rows))
            return validation.collate(rows)

        plan = replace(PLAN, epochs=1, batch_size=size, eval_batch_size=4)
        learner = load("bert", "classes", method="lora")
        fit(learner, loss, train, replace(validation, collate=collate), plan)
        seen[size] = noted
    assert seen[2] == seen[5] == seen[16]
    assert [len(rows) for rows in seen[2]] == [4, 4, 2]


def alone(train: Examples) -> list[Examples]:
    def one(index: int) -> Examples:
        collate = lambda rows: train.collate([index])  # noqa: E731
        return Examples([train.lengths[index]], [train.terms[index]], collate)

    return [one(index) for index in range(len(train.lengths))]
