from __future__ import annotations

import errno
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor

from tarazu.models.fast import Fast, switched
from tarazu.models.learner import Learner
from tarazu.readings import find_reading
from tarazu.readings._reading import Asking
from tarazu.signals import Stopped
from tarazu.testing.records import make_record
from tarazu.testing.tiny import TinyKind, nli_items
from tarazu.training import checkpoint, loop
from tarazu.training.checkpoint import Checkpoints, State, checkpoints_for
from tarazu.training.device import Device
from tarazu.training.loop import Examples, Fit, Plan, Watch, fit
from tarazu.training.state import (
    decoded,
    encoded,
    preserved_random_states,
    random_states,
    restore_random_states,
)
from tarazu.work import examples

PLAN = Plan(
    epochs=3,
    batch_size=4,
    micro_batch_size=3,
    learning_rate=1e-2,
    head_learning_rate=2e-2,
    weight_decay=0.01,
    warmup=0.2,
    schedule="linear",
    clip=1.0,
    select="best",
    seed=0,
)
UPDATES = 9  # 3 epochs of 3


class Killed(Exception):
    """Stands for what no `finally` of a killed process would see."""


def always(folder: Path, made_by: str = "this run") -> Checkpoints:
    return Checkpoints(folder, made_by, every=0.0, _cost=0.0)


@pytest.fixture
def data(tiny: Callable[[TinyKind], Path], ask: Callable[..., Asking]) -> Callable[..., Any]:
    def made(kind: TinyKind) -> tuple[Any, Examples, Examples]:
        reading = find_reading("classes" if kind == "bert" else "text")
        asking = ask(tiny(kind))
        pad = asking.tokenizer.pad_token_id
        train, held_out = (
            examples(reading.encode(nli_items(count, seed=seed), asking), pad)
            for count, seed in ((10, 0), (6, 1))
        )
        return reading.loss, train, held_out

    return made


@pytest.fixture
def train(load: Callable[..., Learner], data: Callable[..., Any]) -> Callable[..., Any]:
    """Train from the beginning, or go on; perhaps die before an update is told."""

    def trained(
        kind: TinyKind,
        method: str,
        checkpoints: Checkpoints | None,
        *,
        die_at: int = 0,
        plan: Plan = PLAN,
        note: Callable[[str], None] = lambda message: None,
    ) -> tuple[Fit, dict[str, Tensor], list[int]]:
        loss, rows, held_out = data(kind)
        learner = load(kind, "classes" if kind == "bert" else "text", method=method)
        seen: list[int] = []

        def step(done: int, total: int, epoch: int, value: float) -> None:
            if done == die_at:
                raise Killed
            seen.append(done)

        torch.manual_seed(11)
        result = fit(learner, loss, rows, held_out, plan, Watch(step=step, note=note), checkpoints)
        weights = {name: p.detach().clone() for name, p in learner.named_trained()}
        return result, weights, seen

    return trained


def same(
    one: tuple[Fit, dict[str, Tensor], Any], other: tuple[Fit, dict[str, Tensor], Any]
) -> None:
    calm = {"before": 0.0, "watched_before": 0.0}
    assert replace(one[0], **calm) == replace(other[0], **calm)
    assert one[1].keys() == other[1].keys()
    for name, tensor in one[1].items():
        assert torch.equal(tensor, other[1][name]), name


@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize("method", ["full", "lora", "last-k", "p-tuning"])
def test_a_killed_training_ends_as_if_it_had_not_been(
    train: Callable[..., Any], tmp_path: Path, kind: TinyKind, method: str
) -> None:
    whole = train(kind, method, None)
    folder = tmp_path / "run"
    for die_at in (1, 3, 4, 7, UPDATES):  # at first, at the end of an epoch, within, at the last
        with pytest.raises(Killed):
            train(kind, method, always(folder), die_at=die_at)
    again = train(kind, method, always(folder))
    assert again[2] == [UPDATES]  # the update before the last kill was not lost
    same(again, whole)
    assert again[0].before > 0
    # All is done: nothing is trained again, and the result is the same.
    once_more = train(kind, method, always(folder))
    assert once_more[2] == []
    same(once_more, whole)


def test_a_trial_goes_on_from_the_rung_below(train: Callable[..., Any], tmp_path: Path) -> None:
    plan = replace(PLAN, share=0.5)
    folder = tmp_path / "trial"
    rare = Checkpoints(folder, "trial", every=1e9)  # the end of a rung is kept all the same
    half = train("bert", "lora", rare, plan=plan)
    same(half, train("bert", "lora", None, plan=plan))
    assert half[2] == [1, 2, 3, 4, 5]
    rest = train("bert", "lora", rare)
    assert rest[2] == [6, 7, 8, 9]
    same(rest, train("bert", "lora", None))
    # A lower rung asked for again is not given the state of a higher one.
    same(
        train("bert", "lora", rare, plan=replace(PLAN, share=0.25)),
        train("bert", "lora", None, plan=replace(PLAN, share=0.25)),
    )


def test_what_watching_took_is_told_apart_from_training_and_kept(
    load: Callable[..., Learner], data: Callable[..., Any], tmp_path: Path
) -> None:
    loss, rows, held_out = data("bert")
    folder, pause = tmp_path / "run", 0.05

    def metrics() -> dict[str, float]:
        time.sleep(pause)
        return {}

    def train(die_at: int = 0) -> Fit:
        def step(done: int, *rest: Any) -> None:
            if done == die_at:
                raise Killed

        learner = load("bert", "classes", method="lora")
        watch = Watch(step=step, metrics=metrics)
        return fit(learner, loss, rows, held_out, PLAN, watch, always(folder))

    with pytest.raises(Killed):
        train(die_at=8)  # in the third epoch: the metrics of two are known
    kept = always(folder).seconds()
    again = train()
    assert 2 * pause <= again.watched_before < 3 * pause
    # Of all that a checkpoint keeps, this is no training.
    assert again.before + again.watched_before == pytest.approx(kept)
    assert again.before > 0


def test_without_the_state_of_the_generator_the_rest_would_differ(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above can fail: dropout draws, so forgetting the random state shows."""
    plan = replace(PLAN, select="last")
    with pytest.raises(Killed):
        train("bert", "full", always(tmp_path), die_at=5, plan=plan)
    monkeypatch.setattr("tarazu.training.loop.restore_random_states", lambda *states: None)
    _, weights, _ = train("bert", "full", always(tmp_path), plan=plan)
    whole = train("bert", "full", None, plan=plan)[1]
    assert any(not torch.equal(weights[name], whole[name]) for name in whole)


def corrupt(folder: Path, how: str) -> None:
    newest = sorted(folder.glob("[0-9]*"))[-1]
    tensors, state = newest / "tensors.safetensors", newest / "state.json"
    if how == "torn":
        tensors.write_bytes(tensors.read_bytes()[:-100])
    elif how == "bit":
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(content)
    elif how == "state":
        body = json.loads(state.read_text())
        body["values"]["tokens"] += 1
        state.write_text(json.dumps(body))
    elif how == "no json":
        state.write_text('{"made_by"')
    else:
        tensors.unlink()


@pytest.mark.parametrize("how", ["torn", "bit", "state", "no json", "missing"])
def test_a_corrupted_checkpoint_is_named_and_the_one_before_is_used(
    train: Callable[..., Any], tmp_path: Path, how: str
) -> None:
    with pytest.raises(Killed):
        train("bert", "lora", always(tmp_path), die_at=7)
    corrupt(tmp_path, how)
    heard: list[str] = []
    again = train("bert", "lora", always(tmp_path), note=heard.append)
    assert again[2][0] == 6
    assert len(heard) == 1
    assert "checkpoint 000000006 cannot be used" in heard[0]
    same(again, train("bert", "lora", None))


# What a training is restored by, in the order in which it is called.
STEPS = [
    (loop, "_matching"),
    (loop, "decoded"),
    (loop, "load_optimizer"),
    (loop, "load_schedule"),
    (Device, "load_scaler"),
    (loop, "restore_random_states"),
]


@pytest.mark.parametrize("failures", [1, 2], ids=["the newest", "all"])
@pytest.mark.parametrize(("where", "name"), STEPS, ids=[name for _, name in STEPS])
def test_whatever_fails_while_a_state_is_restored_leaves_nothing_of_it(
    train: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    failures: int,
) -> None:
    with pytest.raises(Killed):
        train("bert", "full", always(tmp_path), die_at=8)
    assert kept(tmp_path) == [6, 7]
    original = getattr(where, name)
    heard: list[str] = []
    failed: set[int] = set()

    def failing(*arguments: Any) -> Any:
        result = original(*arguments)
        # Once for each checkpoint: what puts the state back calls it again.
        if len(heard) < failures and len(heard) not in failed:
            failed.add(len(heard))
            raise RuntimeError("invalid device ordinal\nCompile with TORCH_USE_CUDA_DSA")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(where, name, failing)
        again = train("bert", "full", always(tmp_path), note=heard.append)
    said = "cannot be used: RuntimeError: invalid device ordinal"
    assert heard == [f"checkpoint 00000000{update} {said}" for update in (7, 6)[:failures]]
    assert again[2][0] == {1: 7, 2: 1}[failures]
    same(again, train("bert", "full", None))


def without(state: State, name: str) -> State:
    """Leave a tensor or a value out."""
    values = {key: value for key, value in state.values.items() if key != name}
    return replace(
        state, values=values, tensors={k: v for k, v in state.tensors.items() if name not in k}
    )


def of_another_shape(state: State, name: str) -> State:
    shapes = {
        k: v[..., :-1].clone() if name in k and v.ndim else v for k, v in state.tensors.items()
    }
    return replace(state, tensors=shapes)


WRONG = [
    (without, "weights/"), (without, "random/torch"), (without, "random/python"),
    (without, "groups"), (without, "schedule"), (without, "best"), (without, "total"),
    (of_another_shape, "weights/"), (of_another_shape, "best/"), (of_another_shape, "exp_avg"),
    (of_another_shape, "random/torch"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "name"), WRONG)
def test_a_whole_checkpoint_of_another_state_is_named_and_the_one_before_is_used(
    train: Callable[..., Any], tmp_path: Path, spoil: Callable[..., State], name: str
) -> None:
    with pytest.raises(Killed):
        train("bert", "lora", always(tmp_path), die_at=8)
    newest = always(tmp_path).latest(7)
    assert newest is not None
    always(tmp_path).save(spoil(newest, name))
    heard: list[str] = []
    again = train("bert", "lora", always(tmp_path), note=heard.append)
    assert len(heard) == 1
    assert heard[0].startswith("checkpoint 000000007 cannot be used: ")
    assert again[2][0] == 7
    same(again, train("bert", "lora", None))


NO_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 9 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("CUDA error: out of memory"),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    SafetensorError("I/O error: Cannot allocate memory (os error 12)"),
]


@pytest.mark.parametrize(
    "error", NO_MEMORY, ids=lambda error: f"{type(error).__name__}-{error}"[:40]
)
def test_a_checkpoint_outlives_memory_that_runs_out_while_it_is_restored(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The run is made again with fewer rows at a time, and goes on from it."""
    with pytest.raises(Killed):
        train("bert", "lora", always(tmp_path), die_at=8)

    def full(*arguments: Any) -> None:
        raise error

    heard: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(loop, "load_optimizer", full)
        with pytest.raises(type(error)):
            train("bert", "lora", always(tmp_path), note=heard.append)
    assert heard == []
    assert train("bert", "lora", always(tmp_path))[2] == [8, 9]


@pytest.mark.parametrize(
    "error", NO_MEMORY, ids=lambda error: f"{type(error).__name__}-{error}"[:40]
)
def test_a_checkpoint_outlives_memory_that_runs_out_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    always(tmp_path).save(State(3, {}, {"a": torch.ones(2)}))

    def full(*arguments: Any) -> None:
        raise error

    heard: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "load_file", full)
        with pytest.raises(type(error)):
            always(tmp_path).latest(3, heard.append)
    assert heard == []
    found = always(tmp_path).latest(3)
    assert found is not None
    assert found.done == 3


def test_torchs_own_allocator_asked_for_too_much_costs_no_checkpoint(tmp_path: Path) -> None:
    always(tmp_path).save(State(3, {}, {"a": torch.ones(2)}))
    heard: list[str] = []
    with pytest.raises(RuntimeError, match="allocate"):
        always(tmp_path).latest(3, heard.append, lambda state: torch.empty(2**60).fill_(1) and None)
    assert heard == []


def kept(folder: Path) -> list[int]:
    """Return the updates at which there are checkpoints."""
    return sorted(int(place.name) for place in folder.glob("[0-9]*"))


@pytest.mark.parametrize("why", ["versions", "torn"])
def test_what_cannot_be_used_does_not_cost_the_new_ones_their_place(
    train: Callable[..., Any], tmp_path: Path, why: str
) -> None:
    with pytest.raises(Killed):
        train("bert", "lora", always(tmp_path, "torch 1"), die_at=8)
    assert kept(tmp_path) == [6, 7]
    if why == "torn":
        for place in tmp_path.glob("[0-9]*"):
            (place / "state.json").write_text("{")
    versions = "torch 2" if why == "versions" else "torch 1"
    heard: list[str] = []
    with pytest.raises(Killed):
        train("bert", "lora", always(tmp_path, versions), die_at=1, note=heard.append)
    assert len(heard) == 2
    if why == "versions":
        assert heard[0] == "checkpoint 000000007 cannot be used: other package versions made it"
    assert kept(tmp_path) == [6, 7]  # until there is one that can be used
    with pytest.raises(Killed):
        train("bert", "lora", always(tmp_path, versions), die_at=2)
    assert kept(tmp_path) == [1]
    heard.clear()
    again = train("bert", "lora", always(tmp_path, versions), note=heard.append)
    assert again[2][0] == 2
    assert heard == []
    same(again, train("bert", "lora", None))


def test_a_lower_rung_made_again_leaves_the_higher_one_its_state(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train("bert", "lora", always(tmp_path), die_at=9)
    assert kept(tmp_path) == [7, 8]
    low = replace(PLAN, share=0.5)  # 5 of 9 updates
    with pytest.raises(Killed):
        train("bert", "lora", always(tmp_path), die_at=4, plan=low)
    assert kept(tmp_path) == [2, 3, 7, 8]
    assert train("bert", "lora", always(tmp_path), plan=low)[2] == [4, 5]
    assert kept(tmp_path) == [4, 5, 7, 8]
    again = train("bert", "lora", always(tmp_path))
    assert again[2] == [9]
    same(again, train("bert", "lora", None))


def test_an_event_about_a_checkpoint_names_no_path(tmp_path: Path) -> None:
    checkpoints, heard = always(tmp_path / "run"), list[str]()
    checkpoints.save(state(1))
    corrupt(tmp_path / "run", "missing")
    assert always(tmp_path / "run").latest(9, heard.append) is None
    assert heard == ["checkpoint 000000001 cannot be used: No such file or directory"]


@pytest.mark.parametrize("text", ["[]", "null", '"x"', '{"sha256": 1}', "\x00"])
def test_whatever_stands_in_a_state_file_is_no_crash(tmp_path: Path, text: str) -> None:
    checkpoints, heard = always(tmp_path / "run"), list[str]()
    checkpoints.save(state(1))
    (tmp_path / "run" / "000000001" / "state.json").write_text(text)
    assert checkpoints.seconds() == 0
    assert checkpoints.latest(9, heard.append) is None
    assert len(heard) == 1


def test_a_training_that_came_to_its_end_is_kept_while_answers_are_given(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train("bert", "lora", None)
    now, length, written = [0.0], [0.0], list[int]()
    validated, save = loop._Training._validated, Checkpoints._save

    def passing(training: Any) -> Any:
        now[0] = length[0] * training.done / UPDATES
        return validated(training)

    def noted(checkpoints: Checkpoints, state: State) -> None:
        written.append(state.done)
        save(checkpoints, state)

    monkeypatch.setattr("tarazu.training.checkpoint.time.monotonic", lambda: now[0])
    monkeypatch.setattr(loop._Training, "_validated", passing)
    monkeypatch.setattr(Checkpoints, "_save", noted)
    monkeypatch.setattr(Checkpoints, "due", lambda self: False)

    def end_after(seconds: float, cost: float = 0.1) -> list[int]:
        written.clear()
        now[0], length[0] = 0.0, seconds
        same(train("bert", "lora", Checkpoints(tmp_path / f"{seconds}", "me", _cost=cost)), whole)
        return list(written)

    assert end_after(59.0) == []  # no longer than what may be lost at any time
    assert end_after(61.0) == [UPDATES]
    written.clear()  # it is there, whatever time there is
    same(train("bert", "lora", Checkpoints(tmp_path / "61.0", "me", every=0.0)), whole)
    assert written == []
    assert end_after(149.0, cost=3.0) == []  # it would cost more than two hundredths
    assert end_after(151.0, cost=3.0) == [UPDATES]
    found = Checkpoints(tmp_path / "61.0", "me").latest(UPDATES)
    assert found is not None
    assert len(found.values["results"]) == PLAN.epochs  # the last validation, too


def test_between_micro_batches_a_request_to_stop_is_heard_and_nothing_of_the_update_stays(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train("bert", "full", None)
    rare = Checkpoints(tmp_path, "me", every=1e9)
    update, rows = loop._update, list[int]()

    def noted(*arguments: Any) -> float:
        rows.append(len(arguments[4]))
        return update(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_update", noted)
        # In the first update from the fourth on that has more than one micro-batch.
        patch.setattr(loop, "stop_wanted", lambda: len(rows) > 3 and rows[-1] > 3)
        with pytest.raises(Stopped):
            train("bert", "full", rare)
    assert kept(tmp_path) == [len(rows) - 1]
    again = train("bert", "full", rare)
    assert again[2][0] == len(rows)
    same(again, whole)


def test_other_switches_start_anew(tmp_path: Path) -> None:
    """Batches may be others, and the last bits are."""
    spec = make_record("lora").spec
    fast = checkpoints_for(spec, tmp_path, 0.0)
    fast.save(state(3))
    with switched(Fast(length_buckets=False)):
        plain = checkpoints_for(spec, tmp_path, 0.0)
        assert plain.folder == fast.folder
        assert plain.latest(10) is None
    again = checkpoints_for(spec, tmp_path, 0.0)
    assert again.latest(10) is not None
    # One that knew of no such switch was made without what it switches.
    older = replace(again, made_by=again.made_by.replace("unpadded=True", ""))
    assert older.made_by != again.made_by
    assert older.latest(10) is None


def state(done: int) -> State:
    return State(done, {"x": 0.1}, {"a/b": torch.arange(3)})


def test_two_are_kept_and_leftovers_do_no_harm(tmp_path: Path) -> None:
    checkpoints = always(tmp_path / "run")
    (tmp_path / "run" / ".tmp-left").mkdir(parents=True)
    assert checkpoints.latest(10) is None
    assert list((tmp_path / "run").iterdir()) == []
    for done in (1, 2, 3, 3):
        checkpoints.save(state(done))
    assert sorted(p.name for p in (tmp_path / "run").glob("[0-9]*")) == ["000000002", "000000003"]
    found = checkpoints.latest(10)
    assert found is not None
    assert (found.done, found.values) == (3, {"x": 0.1})
    assert torch.equal(found.tensors["a/b"], torch.arange(3))
    found = checkpoints.latest(2)
    assert found is not None
    assert found.done == 2
    checkpoints.clear()
    assert checkpoints.latest(10) is None


def test_checkpoints_stand_as_far_apart_as_they_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tarazu.training.checkpoint.time.monotonic", lambda: now[0])
    checkpoints = Checkpoints(Path("unused"), "", every=60.0)
    times: Sequence[tuple[float, float, bool]] = (
        (0.5, 59, False), (0.5, 61, True), (3.0, 199, False), (3.0, 201, True)
    )  # fmt: skip
    for cost, passed, due in times:
        checkpoints._cost, checkpoints._last = cost, 0.0
        now[0] = passed
        assert checkpoints.due() is due


def test_the_first_checkpoint_of_much_waits_for_what_it_will_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("tarazu.training.checkpoint.time.monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path / "run", "", every=60.0, _last=0.0)
    checkpoints.expect(int(1.6e9))  # 4 s
    now[0] = 266.0
    assert not checkpoints.due()
    now[0] = 267.0
    assert checkpoints.due()
    checkpoints.save(State(1, {}, {"w": torch.ones(2)}))  # costs nothing on this clock
    checkpoints._cost = 0.1
    checkpoints.expect(int(1.6e9))  # what was measured counts
    now[0] = 330.0
    assert checkpoints.due()


def test_training_tells_what_its_checkpoints_will_hold(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(Checkpoints, "expect", lambda self, size: told.append(size))
    _, weights, _ = train("bert", "last-k", always(tmp_path / "run"))
    assert told == [4 * sum(tensor.nbytes for tensor in weights.values())]


def test_every_generator_goes_on_where_it_was() -> None:
    def draw() -> tuple[float, float, float, float]:
        return random.random(), random.gauss(0, 1), float(np.random.normal()), float(torch.rand(()))

    draw()
    states = random_states()
    first = [draw(), draw()]
    restore_random_states(states)
    assert [draw(), draw()] == first


class Cards:
    """Cards that are not there, each with a generator whose state is a counter.

    Args:
        patch: Puts them in the place of `torch.cuda`'s.
        count: How many are visible.
    """

    def __init__(self, patch: pytest.MonkeyPatch, count: int) -> None:
        self.states = [torch.tensor([7 + 10 * card]) for card in range(count)]
        patch.setattr(torch.cuda, "is_available", lambda: count > 0)
        patch.setattr(torch.cuda, "get_rng_state", lambda device: self.of(device).clone())
        patch.setattr(torch.cuda, "get_rng_state_all", lambda: [s.clone() for s in self.states])
        patch.setattr(
            torch.cuda, "set_rng_state", lambda state, device: self.of(device).copy_(state)
        )
        patch.setattr(torch.cuda, "manual_seed_all", self.seed)

    def of(self, device: Any) -> Tensor:
        index = device if isinstance(device, int) else torch.device(device).index or 0
        if index >= len(self.states):
            raise RuntimeError("CUDA error: invalid device ordinal")
        return self.states[index]

    def seed(self, seed: int) -> None:
        for state in self.states:
            state.fill_(seed)


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_cards_that_training_does_not_use_do_not_matter(
    train: Callable[..., Any], tmp_path: Path, before: int, after: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Cards(patch, before)
        with pytest.raises(Killed):
            train("bert", "lora", always(tmp_path), die_at=5)
    heard: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        Cards(patch, after)
        again = train("bert", "lora", always(tmp_path), note=heard.append)
    assert heard == []
    assert again[2][0] == 5
    same(again, train("bert", "lora", None))


@pytest.mark.parametrize(("before", "after"), [("cuda:1", "cuda:0"), ("cuda:0", "cuda:1")])
def test_the_generator_of_the_card_that_is_used_goes_on_on_whichever_card(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    cards = Cards(monkeypatch, 2)
    cards.of(before).fill_(123)
    states = random_states(torch.device(before))
    Cards(monkeypatch, 2)
    restore_random_states(states, torch.device(after))
    now = random_states(torch.device(after))
    assert all(torch.equal(now[name], state) for name, state in states.items())
    assert len(states) == len(random_states()) + 1
    # The first card of a machine that has no second one.
    monkeypatch.undo()
    only = Cards(monkeypatch, 1)
    restore_random_states(states, torch.device("cuda"))
    assert only.states == [torch.tensor([123])]


def test_a_state_from_the_cpu_is_none_of_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = Cards(monkeypatch, 1)
    with pytest.raises(ValueError, match="no random state of a cuda device"):
        restore_random_states(random_states(), torch.device("cuda"))
    assert cards.states == [torch.tensor([7])]


def test_generators_are_left_as_they_are_though_the_block_seeds_and_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cards = Cards(monkeypatch, 2)
    device = torch.device("cuda:1")
    states = random_states(device)

    def draw() -> None:
        with preserved_random_states(device):
            torch.manual_seed(99)
            random.random()
            np.random.rand()
            assert cards.of(device) == 99
            raise Killed

    with pytest.raises(Killed):
        draw()
    assert all(torch.equal(s, states[name]) for name, s in random_states(device).items())


def test_numbers_that_are_not_finite_survive_json() -> None:
    value = {"a": float("inf"), "b": {"c": float("nan"), "d": 0.1}}
    again = decoded(json.loads(json.dumps(encoded(value), allow_nan=False)))
    assert again["a"] == float("inf")
    assert again["b"]["c"] != again["b"]["c"]
    assert again["b"]["d"] == 0.1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["replace", "fsync", "mkdir"])
def test_a_disk_that_takes_no_checkpoint_is_told_once_and_tried_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    checkpoints = Checkpoints(tmp_path / "run", "me", every=0.0)
    checkpoints.save(State(1, {}, {"w": torch.ones(2)}))
    notes: list[str] = []
    tried: list[object] = []

    def refuse(*arguments: object, **named: object) -> None:
        tried.append(arguments)
        raise OSError(number, os.strerror(number), str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        assert checkpoints.due()
        checkpoints.save(State(2, {}, {"w": torch.zeros(2)}), notes.append)
        assert not checkpoints.due()
        checkpoints.save(State(3, {}, {"w": torch.zeros(2)}), notes.append)
    assert len(tried) == 1
    (note,) = notes
    assert note == f"training goes on without checkpoints from update 2: {os.strerror(number)}"
    assert str(tmp_path) not in note
    left = checkpoints.latest(9)
    assert left is not None
    assert left.done == 1
    assert not list(tmp_path.rglob(".tmp-*"))


def test_training_goes_on_where_the_disk_fills_up(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train("bert", "lora", None)
    real, written, notes = checkpoint.save_file, [], list[str]()

    def full(tensors: Any, file: Path) -> None:
        if len(written) == 3:
            raise SafetensorError('IoError(Os { code: 28, message: "No space left on device" })')
        written.append(file)
        real(tensors, file)

    monkeypatch.setattr(checkpoint, "save_file", full)
    again = train("bert", "lora", always(tmp_path / "run"), note=notes.append)
    same(again, whole)
    assert len(again[2]) == UPDATES
    assert notes == ["training goes on without checkpoints from update 4: No space left on device"]
