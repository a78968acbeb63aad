"""Every method on every tiny model and task, on a device that is not the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from outcomes import (
    DEVICE,
    NAMES,
    TRAINED,
    Outcome,
    assert_all_on,
    assert_same,
    outcome,
)

from tarazu import catalog
from tarazu import work as work_module
from tarazu.models.fast import Fast, cross_entropy, switched
from tarazu.models.learner import Learner
from tarazu.models.load import load_learner
from tarazu.models.recompute import recompute_activations
from tarazu.models.states import Shelves
from tarazu.record.spec import DataSpec, ModelSpec, RunSpec, Setting
from tarazu.splits import Splits
from tarazu.testing.cases import (
    Case,
    answer,
    asking,
    load,
    restore,
    save,
    take_dropout_out,
    train,
    trained_tensors,
)
from tarazu.testing.tiny import nli_items, qa_items
from tarazu.training import loop
from tarazu.training.checkpoint import Checkpoints
from tarazu.work import Request, Work, perform

# In fp32 CUDA has no kernel for sequences, so that the library attends; both are to be right.
WAYS = {"library": Fast(sequences=False), "sequences": Fast(), "padded": Fast(packed=False)}


@pytest.fixture(scope="module")
def on_cpu(found: dict[str, Case]) -> Callable[[str], Outcome]:
    """Return what comes of a case on the CPU, computed once."""
    made: dict[str, Outcome] = {}

    def expected(name: str) -> Outcome:
        if name not in made:
            made[name] = outcome(found[name], "cpu")
        return made[name]

    return expected


def test_every_supported_case_is_here(found: dict[str, Case]) -> None:
    assert sorted(found) == sorted(NAMES)
    assert len(NAMES) == 43
    assert len(TRAINED) == 35
    without = {m.name for m in catalog.methods().values() if m.needs_model == "no"}
    assert {case.method.name for case in found.values()} | without == set(catalog.methods())


def test_bases_in_4_bits_are_on_the_device(found: dict[str, Case]) -> None:
    quantised = [case for case in found.values() if case.method.four_bit]
    assert len(quantised) == 6
    assert {case.method.name for case in quantised} == {"qlora-text", "qlora-head"}
    for case in quantised:
        learner = load(case, device=DEVICE)
        weights = [p for p in learner.parameters() if hasattr(p, "quant_state")]
        assert len(weights) >= 8
        for weight in weights:
            assert weight.device.type == weight.quant_state.absmax.device.type == DEVICE


SLOW = pytest.mark.slow


@pytest.mark.parametrize("way", ["library", *(pytest.param(w, marks=SLOW) for w in list(WAYS)[1:])])
@pytest.mark.parametrize("name", NAMES)
def test_losses_and_answers_are_those_of_the_cpu(
    found: dict[str, Case], on_cpu: Callable[[str], Outcome], name: str, way: str
) -> None:
    expected = on_cpu(name)
    with switched(WAYS[way]):
        there = outcome(found[name], DEVICE, fast=WAYS[way], weights=expected.weights)
    assert_same(expected, there, four_bit=found[name].method.four_bit)
    if found[name].method.trains:  # else equal losses would say nothing
        assert any(
            bool((there.weights[n] != tensor.cpu()).any())
            for n, tensor in trained_tensors(load(found[name])).items()
        )


@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float16", marks=SLOW)])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_trains_and_answers(
    found: dict[str, Case], on_cpu: Callable[[str], Outcome], name: str, dtype: str
) -> None:
    there = outcome(found[name], DEVICE, dtype=dtype)
    assert all(tensor.dtype == torch.float32 for tensor in there.weights.values())
    frozen = {p.dtype for p in there.learner.parameters() if not p.requires_grad}
    if found[name].method.four_bit:  # its norms answer in fp32
        assert torch.uint8 in frozen
    else:
        assert frozen <= {getattr(torch, dtype)}
    assert [a.item_id for a in there.answers] == [item.id for item in found[name].test]
    expected = on_cpu(name)
    if expected.losses:  # of the first update, before rounding adds up
        assert there.losses[0] == pytest.approx(
            expected.losses[0], rel=0.05 if not found[name].method.four_bit else 0.4
        )
        assert all(math.isfinite(loss) for loss in there.losses)
    assert all(math.isfinite(score) for a in there.answers for score in a.scores)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_what_is_saved_answers_the_same_on_a_model_built_anew(
    found: dict[str, Case], tmp_path: Path, name: str
) -> None:
    case = found[name]
    learner = load(case, device=DEVICE)
    train(case, learner)
    save(learner, tmp_path)
    here = answer(case, learner)
    assert_all_on(learner, DEVICE)
    assert here == restore(case, tmp_path, device=DEVICE)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_computing_activations_again_changes_nothing(
    found: dict[str, Case], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The backward pass is in a thread of the device, and draws dropout once more."""
    case = found[name]
    losses, weights = [], []
    for again in (False, True):
        learner = load(case, device=DEVICE)
        if again:
            monkeypatch.setattr(cross_entropy, "SCORE_BYTES", 1)
            recompute_activations(learner)
        torch.manual_seed(3)
        losses.append(train(case, learner))
        weights.append(trained_tensors(learner))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert weights[0].keys() == weights[1].keys()


class Killed(Exception):
    """Stands for the end of a process."""


def trained_with(
    case: Case, checkpoints: Checkpoints | None, *, dtype: str = "float32", die_at: int = 0
) -> tuple[dict[str, torch.Tensor], loop.Fit | None]:
    """Train six updates with the best epoch kept; perhaps die after some."""
    from tarazu.readings import find_reading
    from tarazu.work import examples

    learner = load(case, device=DEVICE, dtype=dtype)
    take_dropout_out(learner)
    reading = find_reading(case.method.reading(case.info, case.task, case.knobs))
    how = asking(case, learner)
    pad = how.tokenizer.pad_token_id
    shown = [case.method.view(item, case.task, case.knobs) for item in case.train]
    data = examples(reading.encode(shown, how), pad)
    plan = loop.Plan(
        epochs=2, batch_size=2, micro_batch_size=1, learning_rate=0.01, head_learning_rate=0.01,
        weight_decay=0.01, warmup=0.2, schedule="linear", clip=1.0, select="best", seed=0,
    )  # fmt: skip

    def step(done: int, total: int, epoch: int, loss: float) -> None:
        if done == die_at:
            raise Killed

    try:
        fit = loop.fit(learner, reading.loss, data, data, plan, loop.Watch(step=step), checkpoints)
    except Killed:
        return {}, None
    return {n: t.cpu() for n, t in trained_tensors(learner).items()}, fit


FIRST = [next(n for n in TRAINED if n.startswith(f"{m}-")) for m in (
    "full", "last-k", "lora", "p-tuning", "partial-input", "qlora-text", "qlora-head"
)]  # fmt: skip


@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=SLOW), "float16"])
@pytest.mark.parametrize("name", FIRST)
def test_training_goes_on_from_a_checkpoint(
    found: dict[str, Case], tmp_path: Path, name: str, dtype: str
) -> None:
    whole, fit = trained_with(found[name], None, dtype=dtype)
    checkpoints = Checkpoints(tmp_path, "this run", every=0.0)
    trained_with(found[name], checkpoints, dtype=dtype, die_at=5)
    assert any(tmp_path.iterdir())
    again, second = trained_with(found[name], checkpoints, dtype=dtype)
    assert fit is not None
    assert second is not None
    assert second.before > 0  # it was taken up
    assert [e.train_loss for e in fit.epochs] == [e.train_loss for e in second.epochs]
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[n], again[n]) for n in whole)


def request(
    case: Case, device: str, scratch: Path, shelves: Shelves | None, **more: Any
) -> Request:
    """Ask for a whole run, as a study does."""
    make = nli_items if case.task.labels else qa_items
    data = Splits(make(8, seed=1), make(5, seed=2), {"test": make(6, seed=3)})
    values = case.knobs.model_dump(mode="json")
    if case.method.trains:
        defaults = case.method.defaults(case.info, case.task)
        values |= {n: d.value for n, d in defaults.items()}
        values |= {"epochs": 2, "batch_size": 4, "max_length": 120, "schedule": "constant"}
        values |= {name: 0.0 for name in values if "dropout" in name}
    told = {
        n: Setting(value=v, reason="r", source="s", chosen_by="entry")
        for n, v in {**values, **more}.items()
    }
    spec = RunSpec(
        study="s", entry=case.method.name, method=case.method.name, model="tiny", model_files={},
        model_spec=ModelSpec(source="x"), task=case.task.name, task_options={}, language="en",
        seed=0, settings=told, data=DataSpec(train="a", test="b"), inputs=data.hashes(),
        device=device, dtype="float32", threads=1, eval_batch_size=4,
    )  # fmt: skip
    scratch.mkdir()
    return Request(spec, case.folder, case.info, data, scratch, show_text=True, shelves=shelves)


RUNS: dict[str, dict[str, Any]] = {
    "full-bert-multinli": {},
    "last-k-bert-squad": {"k": 1, "max_length": 60},
    "lora-llama-squad": {"decode": {"max_new_tokens": 3}},
    "p-tuning-llama-multinli": {"virtual_tokens": 3, "reparameterization": "LSTM"},
    "partial-input-bert-multinli": {},
    "zero-shot-gpt2-multinli": {},
    "few-shot-llama-squad": {"decode": {"max_new_tokens": 3, "temperature": 1.0}},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_whole_run_is_as_on_the_cpu(
    found: dict[str, Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Loading, the frozen trunk and what it shares, training, validation, answers, saving."""

    def load_without_dropout(*args: Any, **settings: Any) -> Learner:
        learner = load_learner(*args, **settings)
        take_dropout_out(learner)
        return learner

    monkeypatch.setattr(work_module, "load_learner", load_without_dropout)
    work: dict[str, Work] = {}
    for device in ("cpu", DEVICE):
        shelves = Shelves(tmp_path / f"{device}-l", tmp_path / f"{device}-t", disk=2**30)
        asked = request(found[name], device, tmp_path / device, shelves, **RUNS[name])
        work[device] = perform(asked, tell=lambda progress: None)
    here, there = work["cpu"], work[DEVICE]
    assert not there.events
    losses = [[epoch.train_loss for epoch in one.epochs] for one in (here, there)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    if not found[name].method.trains:  # else what is small in training may grow
        said = [[(p.item_id, p.raw) for p in one.predictions] for one in (here, there)]
        assert said[0] == said[1]
    assert len(there.predictions) == 6


def test_a_device_stays_with_its_learner(found: dict[str, Case]) -> None:
    """One process trains on the CPU, then on the device, then on the CPU."""
    case = found["lora-bert-multinli"]
    for device in ("cpu", DEVICE, "cpu"):
        learner = load(case, device=device)
        training = loop._Training(
            learner, lambda *_: torch.zeros(()), loop.Examples([1], [1], lambda rows: {}), None,
            loop.Plan(1, 1, None, 0.1, 0.1, 0.0, 0.0, "constant", 1.0, "last", 0), loop.Watch(),
            None,
        )  # fmt: skip
        assert training.device.name.type == device
