"""Losses stay on an accelerator until they are due; nothing else about a training changes."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tarazu.errors import BadInput
from tarazu.models.learner import Batch, Learner
from tarazu.readings import find_reading
from tarazu.readings._reading import Asking
from tarazu.testing.tiny import TinyKind, nli_items
from tarazu.training import losses
from tarazu.training.checkpoint import Checkpoints
from tarazu.training.device import Device
from tarazu.training.loop import Examples, Fit, Plan, Watch, fit, mean_loss
from tarazu.work import examples

PLAN = Plan(
    epochs=2,
    batch_size=4,
    micro_batch_size=None,
    learning_rate=1e-2,
    head_learning_rate=1e-2,
    weight_decay=0.0,
    warmup=0.0,
    schedule="linear",
    clip=1.0,
    select="best",
    seed=0,
)
UPDATES = 2 * 4
SCALE = 2.0**120
READERS = ("item", "tolist", "numpy", "cpu", "__float__", "__int__", "__bool__", "__index__")


class _ByName(TorchFunctionMode):
    """Counts calls that read a tensor's numbers, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (name := getattr(func, "__name__", "")) in READERS:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


class _ByKernel(TorchDispatchMode):
    """Counts reads of single numbers, whoever makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@contextmanager
def reads() -> Iterator[Callable[[], int]]:
    """Count what is read from the device."""
    with _ByName() as named, _ByKernel() as kernels:
        yield lambda: named.found.total() + kernels.count


def of_head(learner: Learner, batch: Batch) -> Tensor:
    """Return a loss that asks the head only: models look at masks, which is a matter of theirs."""
    values = [p.square().sum() for p in learner.head.parameters()]  # type: ignore[union-attr]
    return torch.stack(values).sum() * len(batch["input_ids"])


@pytest.fixture
def train(
    load: Callable[..., Learner],
    tiny: Callable[[TinyKind], Path],
    ask: Callable[..., Asking],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[Fit, dict[str, Tensor], list[Any]]]:
    """Return a way to train on 16 items, as on a device that works on its own or not."""
    reading, asking = find_reading("classes"), ask(tiny("bert"))
    features = reading.encode(nli_items(16, seed=0), asking)
    data = examples(features, asking.tokenizer.pad_token_id)

    def trained(
        late: bool,
        plan: Plan = PLAN,
        *,
        loss: Any = reading.loss,
        checkpoints: Checkpoints | None = None,
        watch: Callable[..., None] = lambda *told: None,
    ) -> tuple[Fit, dict[str, Tensor], list[Any]]:
        monkeypatch.setattr(Device, "is_late", late)
        learner = load("bert", "classes").requires_grad_(True)
        told: list[Any] = []

        def step(*what: Any) -> None:
            told.append(what)
            watch(*what)

        torch.manual_seed(0)
        result = fit(learner, loss, data, data, plan, Watch(step), checkpoints)
        return result, {n: p.detach().clone() for n, p in learner.named_trained()}, told

    return trained


def same(
    one: tuple[Fit, dict[str, Tensor], Any], other: tuple[Fit, dict[str, Tensor], Any]
) -> None:
    """Compare results of training to the last bit."""
    assert replace(one[0], before=0.0) == replace(other[0], before=0.0)
    assert all(torch.equal(tensor, other[1][name]) for name, tensor in one[1].items())
    assert one[2] == other[2]


@pytest.mark.parametrize("rows", [None, 3])
def test_reading_losses_late_changes_no_result(rows: int | None, train: Callable[..., Any]) -> None:
    plan = replace(PLAN, micro_batch_size=rows)
    at_once = train(False, plan)
    assert [told[0] for told in at_once[2]] == list(range(1, UPDATES + 1))
    same(train(True, plan), at_once)


def test_an_update_reads_nothing_back_from_an_accelerator(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "INTERVAL", 1e9)

    def counted(late: bool, epochs: int) -> int:
        with reads() as count:
            train(late, replace(PLAN, epochs=epochs, select="last"), loss=of_head)
            return count()

    # What an epoch more costs: the loss of its updates and that of validation, once each.
    assert counted(True, 3) - counted(True, 2) == 2
    assert counted(False, 3) - counted(False, 2) == UPDATES // 2 + 1


def test_losses_are_read_a_few_times_a_second(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(losses.time, "monotonic", lambda: now)
    calls: list[int] = []

    def slow(learner: Learner, batch: Batch) -> Tensor:
        nonlocal now
        now += losses.INTERVAL / 3
        calls.append(len(told))
        return find_reading("classes").loss(learner, batch)

    told: list[Any] = []
    train(True, replace(PLAN, epochs=1, select="last"), loss=slow, watch=lambda *w: told.append(w))
    assert calls[:4] == [0, 0, 0, 3]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("every", [None, 0.0])
def test_a_loss_that_is_not_finite_is_found_before_a_checkpoint_holds_it(
    late: bool, every: float | None, train: Callable[..., Any], tmp_path: Path
) -> None:
    seen = 0

    def breaking(learner: Learner, batch: Batch) -> Tensor:
        nonlocal seen
        seen += 1
        value = find_reading("classes").loss(learner, batch)
        return value * float("nan") if seen == 3 else value

    plan = replace(PLAN, learning_rate=0.008, head_learning_rate=0.008)
    checkpoints = Checkpoints(tmp_path / "c", "me", every) if every is not None else None
    with pytest.raises(BadInput) as error:
        train(late, plan, loss=breaking, checkpoints=checkpoints)
    problem = error.value.problems[0]
    assert problem.where == "training, step 3"
    # Two of eight updates of a rate that falls to nothing are made.
    assert str(problem.value).endswith("at learning rate 0.006")
    assert re.search(r"items \[\d+, \d+, \d+, \d+\]", str(problem.value))
    if checkpoints is not None:
        assert max(int(place.name) for place in checkpoints.folder.iterdir()) == 2


def test_gradient_scaling_skips_updates_that_overflow_as_it_did(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Device.__init__
    scalers = []

    def scaled(self: Device, learner: Learner) -> None:
        start(self, learner)
        scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=10**6)
        self._accelerator.scaler = scaler
        scalers.append(scaler)

    monkeypatch.setattr(Device, "__init__", scaled)

    def training(late: bool) -> Any:
        calls = itertools.count(1)
        loss = find_reading("classes").loss
        # Beyond what fp32 holds when it is scaled, in the third update only.
        return train(late, loss=lambda *told: loss(*told) * (1e4 if next(calls) == 3 else 1.0))

    same(training(True), training(False))
    assert [scaler.get_scale() for scaler in scalers] == [SCALE / 2] * 2


def test_validation_reads_its_loss_once(
    load: Callable[..., Learner], tiny: Callable[[TinyKind], Path], ask: Callable[..., Asking]
) -> None:
    reading, asking = find_reading("classes"), ask(tiny("bert"))
    data: Examples = examples(reading.encode(nli_items(8, seed=0), asking), 0)
    learner = load("bert", "classes").eval()

    def counted(batch_size: int) -> int:
        with reads() as count:
            mean_loss(learner, of_head, data, batch_size)
            return count()

    assert counted(1) == counted(8) == 1
