"""The one training loop. It knows losses and batches, and no method by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tarazu.errors import bad
from tarazu.models.learner import Batch, Learner
from tarazu.training.batches import epoch_batches
from tarazu.training.device import Device
from tarazu.training.optimizer import make_optimizer, make_schedule

Loss = Callable[[Learner, Batch], Tensor]
Collate = Callable[[Sequence[int]], Batch]


@dataclass(frozen=True)
class Examples:
    """Encoded examples, by index.

    Attributes:
        lengths: Tokens of each.
        terms: Loss terms of each (answer tokens, windows or items).
        collate: Makes a padded batch of some.
    """

    lengths: Sequence[int]
    terms: Sequence[int]
    collate: Collate


@dataclass(frozen=True)
class Plan:
    """How to train; see `tarazu.record.spec.TrainingSpec` for the fields.

    The validation loss has batches of `eval_batch_size`, whatever the training batches are: else
    the chosen epoch would hang on them (trap T35).
    """

    epochs: int
    batch_size: int
    micro_batch_size: int | None
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    warmup: float
    schedule: str
    clip: float
    select: str
    seed: int
    eval_batch_size: int = 16
    share: float = 1.0
    """Share of the updates, rounded up, after which training stops. All up to there is as in the
    whole training, the schedule of the learning rate too."""


@dataclass
class EpochResult:
    """What one epoch came to."""

    epoch: int
    train_loss: float
    validation_loss: float | None
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Watch:
    """Who is told what while training.

    Attributes:
        step: Updates done and all, epoch, loss of the update.
        metrics: Computes validation metrics after an epoch.
    """

    step: Callable[[int, int, int, float], None] = lambda done, total, epoch, loss: None
    metrics: Callable[[], dict[str, float]] = dict


@dataclass(frozen=True)
class Fit:
    """The result of training.

    Attributes:
        epochs: One entry per epoch.
        selected: Number of the epoch whose weights the learner has now.
        tokens: Tokens that went through the model, padding not counted.
    """

    epochs: list[EpochResult]
    selected: int
    tokens: int


def fit(
    learner: Learner,
    loss: Loss,
    train: Examples,
    validation: Examples | None,
    plan: Plan,
    watch: Watch | None = None,
) -> Fit:
    """Train in place and leave the learner with the selected epoch's weights, in evaluation mode.

    Args:
        learner: Prepared by a method.
        loss: Summed loss of a batch.
        train: Training examples.
        validation: Validation examples, or None.
        plan: How.
        watch: Who is told.

    Raises:
        BadInput: The loss is not finite; names step, batch and learning rates.
    """
    watch = watch or Watch()
    learner.settle()
    device = Device(learner)
    optimizer: torch.optim.Optimizer = make_optimizer(
        learner,
        learning_rate=plan.learning_rate,
        head_learning_rate=plan.head_learning_rate,
        weight_decay=plan.weight_decay,
    )
    per_epoch = math.ceil(len(train.lengths) / plan.batch_size)
    steps = plan.epochs * per_epoch
    schedule = make_schedule(optimizer, name=plan.schedule, warmup=plan.warmup, steps=steps)
    optimizer = device.prepare(optimizer)
    results: list[EpochResult] = []
    keeper = _Keeper(learner, plan.select)
    done, tokens, stop = 0, 0, math.ceil(plan.share * steps)
    for epoch in range(1, plan.epochs + 1):
        learner.train()
        total, terms = 0.0, 0
        for batch in epoch_batches(train.lengths, plan.batch_size, seed=plan.seed, epoch=epoch):
            count = sum(train.terms[i] for i in batch)
            value = _update(device, optimizer, loss, train, batch, count, plan)
            rates = schedule.get_last_lr()
            _must_be_finite(value, done + 1, batch, rates)
            schedule.step()
            done, total, terms = done + 1, total + value, terms + count
            tokens += sum(train.lengths[i] for i in batch)
            watch.step(done, stop, epoch, value / max(count, 1))
            if done == stop:
                break
        learner.eval()
        held_out = (
            mean_loss(learner, loss, validation, plan.eval_batch_size) if validation else None
        )
        results.append(EpochResult(epoch, total / max(terms, 1), held_out, watch.metrics()))
        keeper.offer(results[-1])
        if done == stop:
            break
    selected = keeper.restore()
    # The very last update can break the weights, too.
    kept = results[selected - 1].validation_loss
    if kept is not None:
        _must_be_finite(kept, done, batch, rates, "validation items after ")
    return Fit(results, selected, tokens)


def _update(
    device: Device,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    train: Examples,
    batch: list[int],
    terms: int,
    plan: Plan,
) -> float:
    """Make one update and return the summed loss of its batch.

    Every micro-batch is divided by the terms of the whole batch, so that accumulation changes
    nothing (trap T6).
    """
    size = plan.micro_batch_size or len(batch)
    total = torch.zeros((), device=device.name)
    for start in range(0, len(batch), size):
        inputs = device.move(train.collate(batch[start : start + size]))
        summed = device.forward(loss, inputs)
        device.backward(summed / max(terms, 1))
        total += summed.detach()
    device.clip(plan.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(total)


def _must_be_finite(
    value: float, step: int, batch: list[int], rates: Sequence[float], where: str = ""
) -> None:
    if not math.isfinite(value):
        named = " and ".join(f"{rate:.3g}" for rate in dict.fromkeys(rates))
        items = ", ".join(map(str, batch[:4])) + (", …" if len(batch) > 4 else "")
        raise bad(
            f"training, step {step}",
            "the loss must be finite",
            f"{value} on {where}training items [{items}] at learning rate {named}",
            "Lower the learning rate, or set compute.dtype to float32.",
        )


@torch.no_grad()
def mean_loss(learner: Learner, loss: Loss, examples: Examples, batch_size: int) -> float:
    """Return the mean loss over all terms, in fixed batches (trap T35)."""
    order = sorted(range(len(examples.lengths)), key=lambda i: (-examples.lengths[i], i))
    device = next(learner.parameters()).device
    total = 0.0
    for start in range(0, len(order), batch_size):
        batch = examples.collate(order[start : start + batch_size])
        with learner.compute():
            total += float(loss(learner, {k: v.to(device) for k, v in batch.items()}))
    return total / max(sum(examples.terms), 1)


class _Keeper:
    """Keeps the trained weights of the best epoch, when the best one is asked for (trap T40)."""

    def __init__(self, learner: Learner, select: str) -> None:
        self.learner = learner
        self.select = select
        self.epoch = 0
        self.best = math.inf
        self.weights: dict[str, Tensor] = {}

    def offer(self, result: EpochResult) -> None:
        loss = result.validation_loss
        if loss is not None and not math.isfinite(loss):
            loss = math.inf  # nothing is smaller than NaN, so it would stay the best for ever
        if self.select == "last" or loss is None or not self.epoch or loss < self.best:
            self.epoch = result.epoch
            self.best = math.inf if loss is None else loss
            if self.select == "best":
                self.weights = {n: p.detach().clone() for n, p in self.learner.named_trained()}

    def restore(self) -> int:
        with torch.no_grad():
            for name, parameter in self.learner.named_trained():
                if name in self.weights:
                    parameter.copy_(self.weights[name])
        return self.epoch
