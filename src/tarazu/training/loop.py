"""The one training loop. It knows losses and batches, and no method by name."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import NoReturn

import torch
from torch import Tensor

from tarazu.errors import bad
from tarazu.models.copying import to_device
from tarazu.models.learner import Batch, Learner
from tarazu.signals import Stopped, breakable, stop_wanted, unbroken
from tarazu.training.batches import epoch_batches
from tarazu.training.checkpoint import Checkpoints, State
from tarazu.training.device import Device
from tarazu.training.losses import Losses, Update
from tarazu.training.optimizer import make_optimizer, make_schedule
from tarazu.training.state import (
    decoded,
    encoded,
    load_optimizer,
    load_schedule,
    optimizer_state,
    random_states,
    restore_random_states,
    schedule_state,
)

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
        note: Checkpoints that cannot be used.
        phase: ``validate`` or ``train`` begins; updates done and all.
    """

    step: Callable[[int, int, int, float], None] = lambda done, total, epoch, loss: None
    metrics: Callable[[], dict[str, float]] = dict
    note: Callable[[str], None] = lambda message: None
    phase: Callable[[str, int, int], None] = lambda name, done, total: None


@dataclass(frozen=True)
class Fit:
    """The result of training.

    Attributes:
        epochs: One entry per epoch.
        selected: Number of the epoch whose weights the learner has now.
        tokens: Tokens that went through the model, padding not counted.
        before: Seconds of training that were spent before it was taken up again.
        watched_before: Seconds that the watcher's metrics took before; none of them are training.
        micro_batches: Sizes of the micro-batches in the order in which they were used: more than
            one where memory ran out and training went on with fewer rows at a time.
    """

    epochs: list[EpochResult]
    selected: int
    tokens: int
    before: float = 0.0
    watched_before: float = 0.0
    micro_batches: tuple[int, ...] = ()


def fit(
    learner: Learner,
    loss: Loss,
    train: Examples,
    validation: Examples | None,
    plan: Plan,
    watch: Watch | None = None,
    checkpoints: Checkpoints | None = None,
) -> Fit:
    """Train in place and leave the learner with the selected epoch's weights, in evaluation mode.

    Args:
        learner: Prepared by a method.
        loss: Summed loss of a batch.
        train: Training examples.
        validation: Validation examples, or None.
        plan: How.
        watch: Who is told.
        checkpoints: Where training goes on if it was stopped, and what it leaves for next time;
            the result is as if it had not been: on the CPU, and on a card with
            `compute.deterministic`, to the last bit. None keeps nothing.

    Raises:
        BadInput: The loss is not finite; names step, batch and learning rates.
        Stopped: This process was asked to stop, and a checkpoint is left.
    """
    return _Training(learner, loss, train, validation, plan, watch or Watch(), checkpoints).run()


class _Training:
    """One training. Its state is what `_state` lists; all else follows from the arguments."""

    def __init__(
        self,
        learner: Learner,
        loss: Loss,
        train: Examples,
        validation: Examples | None,
        plan: Plan,
        watch: Watch,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.learner, self.loss, self.plan, self.watch = learner, loss, plan, watch
        self.train, self.validation, self.checkpoints = train, validation, checkpoints
        learner.settle()
        self.device = Device(learner)
        self.optimizer: torch.optim.Optimizer = make_optimizer(
            learner,
            learning_rate=plan.learning_rate,
            head_learning_rate=plan.head_learning_rate,
            weight_decay=plan.weight_decay,
        )
        steps = plan.epochs * math.ceil(len(train.lengths) / plan.batch_size)
        self.schedule = make_schedule(
            self.optimizer, name=plan.schedule, warmup=plan.warmup, steps=steps
        )
        self.optimizer = self.device.prepare(self.optimizer)
        self.stop = math.ceil(plan.share * steps)
        self.losses = Losses(late=self.device.is_late)
        self.keeper = _Keeper(learner, plan.select)
        self.results: list[EpochResult] = []
        self.done = self.in_epoch = self.terms = self.tokens = 0
        self.taken_up = self._place()
        self.total = 0.0
        self.before, self.start = 0.0, time.perf_counter()
        self.watched_before = self.watched = 0.0
        self.batch: list[int] = []
        self.micro_batches = [plan.micro_batch_size or plan.batch_size]

    def run(self) -> Fit:
        with unbroken():  # a request to stop is looked for where a checkpoint can be left
            return self._run()

    def _run(self) -> Fit:
        self._take_up()
        for epoch in range(len(self.results) + 1, self.plan.epochs + 1):
            self._epoch(epoch)
            self._close(epoch)
            if self.done == self.stop:
                break
        self._leave_end()
        selected = self.keeper.restore()
        # The very last update can break the weights, too.
        kept = self.results[selected - 1].validation_loss
        if kept is not None:
            rates, where = self.schedule.get_last_lr(), "validation items after "
            _must_be_finite(kept, self.done, self.batch, rates, where)
        return Fit(
            self.results,
            selected,
            self.tokens,
            self.before,
            self.watched_before,
            tuple(self.micro_batches),
        )

    def _epoch(self, epoch: int) -> None:
        """Make the updates of an epoch that are not made yet."""
        plan = self.plan
        self.learner.train()
        self.watch.phase("train", self.done, self.stop)
        batches = epoch_batches(self.train.lengths, plan.batch_size, seed=plan.seed, epoch=epoch)
        for batch in batches[self.in_epoch :]:
            if self.done == self.stop:
                break
            self.batch = batch
            count = sum(self.train.terms[i] for i in self.batch)
            try:
                value = _update(
                    self.device, self.optimizer, self.loss, self.train, self.batch, count, plan
                )
            except Stopped:
                self._leave()  # before this update: it is made again
            self.done += 1
            rates = self.schedule.get_last_lr()
            self.losses.add(Update(self.done, epoch, self.batch, count, rates, value))
            self.schedule.step()
            self.in_epoch += 1
            self.tokens += sum(self.train.lengths[i] for i in self.batch)
            if self.losses.due():
                self._read()
            # Where a trial is stopped early, its continuation begins.
            cut = self.done == self.stop and plan.share < 1
            if stop_wanted():
                self._leave()
            if self.checkpoints is not None and (cut or self.checkpoints.due()):
                self.checkpoints.save(self._state(), self.watch.note)
        self._read()

    def _read(self) -> None:
        """Add up the losses that the device has by now, and tell of them."""
        for update, value in self.losses.read():
            _must_be_finite(value, update.done, update.batch, update.rates)
            self.total, self.terms = self.total + value, self.terms + update.terms
            self.watch.step(update.done, self.stop, update.epoch, value / max(update.terms, 1))

    def _leave_end(self) -> None:
        """Keep a whole training's end, so that answering can be repeated without it.

        A trial that was stopped early has left the state in which its continuation begins.
        """
        if self.plan.share < 1 or self.checkpoints is None or self._place() == self.taken_up:
            return
        if self.checkpoints.due_at_end():
            self.checkpoints.save(self._state(), self.watch.note)

    def _place(self) -> tuple[int, int]:
        return self.done, len(self.results)

    def _leave(self) -> NoReturn:
        """Stop, and leave a checkpoint of where training is."""
        if self.checkpoints is not None:
            self.checkpoints.save(self._state())
        raise Stopped

    def _close(self, epoch: int) -> None:
        """Validate, and offer the weights to be kept."""
        self.learner.eval()
        try:
            with breakable():
                held_out, metrics = self._validated()
        except Stopped:
            self._leave()  # validation changes nothing: it is made again
        mean = self.total / max(self.terms, 1)
        self.results.append(EpochResult(epoch, mean, held_out, metrics))
        self.keeper.offer(self.results[-1])
        self.in_epoch, self.total, self.terms = 0, 0.0, 0

    def _validated(self) -> tuple[float | None, dict[str, float]]:
        """Return loss and metrics on the validation items."""
        self.watch.phase("validate", 0, 0)
        held_out = (
            mean_loss(self.learner, self.loss, self.validation, self.plan.eval_batch_size)
            if self.validation
            else None
        )
        start = time.perf_counter()
        try:
            return held_out, self.watch.metrics()
        finally:
            took = time.perf_counter() - start  # whoever watches measures that
            self.start, self.watched = self.start + took, self.watched + took

    def _state(self) -> State:
        self._read()  # what a checkpoint holds must have been finite
        weights = {f"weights/{name}": p.detach() for name, p in self.learner.named_trained()}
        best = {f"best/{name}": tensor for name, tensor in self.keeper.weights.items()}
        tensors, groups = optimizer_state(self.optimizer)
        drawn = random_states(self.device.name)
        values = {
            "in_epoch": self.in_epoch,
            "total": self.total,
            "terms": self.terms,
            "tokens": self.tokens,
            "seconds": self.before + time.perf_counter() - self.start,
            "watched": self.watched,
            "results": [encoded(asdict(result)) for result in self.results],
            "best": {"epoch": self.keeper.epoch, "loss": encoded(self.keeper.best)},
            "groups": groups,
            "schedule": schedule_state(self.schedule),
            "scaler": self.device.scaler_state(),
            "micro_batches": self.micro_batches,
        }
        return State(self.done, values, {**weights, **best, **tensors, **drawn})

    def _take_up(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        if self.checkpoints is None:
            return
        # Weights, the best ones, and two moments of each.
        self.checkpoints.expect(4 * sum(p.nbytes for _, p in self.learner.named_trained()))
        self.checkpoints.latest(self.stop, self.watch.note, self._restore)

    def _restore(self, state: State) -> None:
        """Go on from a checkpoint; where that fails, all is as it was.

        What can fail comes first, or is put back. Nothing is known to be wrong with the weights
        when they are overwritten at last: keeping a copy of them might take too much memory.

        Raises:
            Exception: Of whatever kind: the checkpoint cannot be used.
        """
        values, tensors = state.values, dict(state.tensors)
        trained = dict(self.learner.named_trained())
        weights, best = (_matching(tensors, kind, trained) for kind in ("weights", "best"))
        if weights.keys() != trained.keys():
            raise ValueError("it has not the weights of all that is trained")
        best = {name: tensor.to(self.device.name) for name, tensor in best.items()}
        selected = values["best"]["epoch"], decoded(values["best"]["loss"])
        results = [EpochResult(**decoded(result)) for result in values["results"]]
        numbers = [values[name] for name in ("in_epoch", "total", "terms", "tokens", "seconds")]
        watched = values.get("watched", 0.0)
        sizes = _then(values.get("micro_batches", []), self.micro_batches[0])
        with self._put_back_on_error():
            load_optimizer(self.optimizer, tensors, values["groups"])
            load_schedule(self.schedule, values["schedule"])
            self.device.load_scaler(values["scaler"])
            restore_random_states(tensors, self.device.name)
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(weights[name])
        self.keeper.weights, (self.keeper.epoch, self.keeper.best) = best, selected
        self.results, self.done, self.micro_batches = results, state.done, sizes
        self.in_epoch, self.total, self.terms, self.tokens, self.before = numbers
        self.watched_before = self.watched = watched
        self.taken_up = self._place()
        self.start = time.perf_counter()

    @contextmanager
    def _put_back_on_error(self) -> Iterator[None]:
        """Put optimiser, schedule, scaler and generators back when an error leaves the block."""
        optimizer, schedule = self.optimizer.state_dict(), schedule_state(self.schedule)
        scaler, drawn = self.device.scaler_state(), random_states(self.device.name)
        try:
            yield
        except BaseException:
            self.optimizer.load_state_dict(optimizer)
            load_schedule(self.schedule, schedule)
            self.device.load_scaler(scaler)
            restore_random_states(drawn, self.device.name)
            raise


def _matching(
    tensors: Mapping[str, Tensor], kind: str, trained: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors of a kind by the name of their parameter.

    Raises:
        ValueError: There is no such parameter, or it has another shape.
    """
    found = {
        path.removeprefix(f"{kind}/"): tensor
        for path, tensor in tensors.items()
        if path.startswith(f"{kind}/")
    }
    for name, tensor in found.items():
        if name not in trained or trained[name].shape != tensor.shape:
            raise ValueError(f"its {kind} '{name}' are of something else")
    return found


def _then(sizes: list[int], size: int) -> list[int]:
    return sizes if sizes[-1:] == [size] else [*sizes, size]


def _update(
    device: Device,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    train: Examples,
    batch: list[int],
    terms: int,
    plan: Plan,
) -> Tensor:
    """Make one update and return the summed loss of its batch, a scalar on the device.

    Every micro-batch is divided by the terms of the whole batch, so that accumulation changes
    nothing (trap T6).

    Raises:
        Stopped: This process was asked to stop, and micro-batches were left to do: all is as it was
            before the update.
    """
    size = plan.micro_batch_size or len(batch)
    total = torch.zeros((), device=device.name)
    before = random_states(device.name) if size < len(batch) else {}
    for start in range(0, len(batch), size):
        if start and stop_wanted():
            optimizer.zero_grad(set_to_none=True)
            restore_random_states(before, device.name)
            raise Stopped
        inputs = device.move(train.collate(batch[start : start + size]))
        summed = device.forward(loss, inputs)
        device.backward(summed / max(terms, 1))
        total += summed.detach()
    device.clip(plan.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total


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
    losses = []
    for start in range(0, len(order), batch_size):
        batch = examples.collate(order[start : start + batch_size])
        with learner.compute():
            losses.append(loss(learner, {k: to_device(v, device) for k, v in batch.items()}))
    total = 0.0
    for value in torch.stack(losses).tolist():  # read once, in the end: no batch waits for another
        total += value
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
