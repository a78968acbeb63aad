"""Mistakes that would fail on a card fail on the emulated device, too."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mistakes import SITES, Mistakes, Site
from outcomes import DEVICE, assert_all_on, outcome

from tarazu.models.fast import Fast, last_layer
from tarazu.models.learner import Learner
from tarazu.models.trained import restore_trained
from tarazu.testing.cases import Case, answer, load, save, train
from tarazu.training import loop
from tarazu.training.checkpoint import Checkpoints

ERROR = "same device"


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Mistakes:
    made = Mistakes()
    made.watch(monkeypatch)
    return made


def site(module: str, text: str) -> Site:
    (one,) = {s for s in SITES.values() if s.module == module and s.text.startswith(text)}
    return one


def test_a_head_that_was_left_on_the_cpu(found: dict[str, Case]) -> None:
    learner = load(found["full-bert-multinli"], device=DEVICE)
    assert learner.head is not None
    learner.head.cpu()
    with pytest.raises(RuntimeError, match=ERROR):
        answer(found["full-bert-multinli"], learner)


def test_a_buffer_that_was_left_on_the_cpu(found: dict[str, Case]) -> None:
    learner = load(found["zero-shot-llama-multinli"], device=DEVICE)
    rotary = learner.trunk.rotary_emb
    rotary.inv_freq = rotary.inv_freq.cpu()
    with pytest.raises(AssertionError, match="inv_freq"):
        assert_all_on(learner, DEVICE)


def test_soft_prompt_vectors_that_were_restored_on_the_cpu(found: dict[str, Case]) -> None:
    learner = load(found["p-tuning-llama-multinli"], device=DEVICE)
    assert learner.prompt is not None
    learner.prompt.restore(learner.prompt.freeze().cpu())
    with pytest.raises(RuntimeError, match=ERROR):
        answer(found["p-tuning-llama-multinli"], learner)


def test_places_to_be_read_that_are_on_the_cpu(
    found: dict[str, Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = last_layer.taken
    monkeypatch.setattr(last_layer, "taken", lambda states, read: right(states, read.cpu()))
    with pytest.raises(RuntimeError, match=ERROR):
        outcome(found["lora-llama-squad"], DEVICE)


def test_a_state_of_the_optimiser_that_went_on_on_the_cpu(
    found: dict[str, Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    right = loop.load_optimizer

    def wrong(optimizer: Any, *args: Any) -> None:
        right(optimizer, *args)
        for state in optimizer.state.values():
            state["exp_avg"] = state["exp_avg"].cpu()

    checkpoints = Checkpoints(tmp_path, "this run", every=0.0)
    case = found["lora-bert-multinli"]
    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit", _with(loop.fit, checkpoints))
        train(case, load(case, device=DEVICE))
        for one in sorted(tmp_path.iterdir())[1:]:  # go on from the first that is left
            for file in one.iterdir():
                file.unlink()
            one.rmdir()
        patch.setattr(loop, "load_optimizer", wrong)
        with pytest.raises(RuntimeError, match=ERROR):
            train(case, load(case, device=DEVICE))


def _with(fit: Callable[..., Any], checkpoints: Checkpoints) -> Callable[..., Any]:
    def fitted(*args: Any) -> Any:
        return fit(*args, checkpoints)

    return fitted


# Between them: positions, masks, targets, tokens, prefixes, sums, what is said of a batch.
SAMPLE: dict[tuple[str, str], tuple[str, Fast]] = {
    ("evaluation/generating.py", "torch.ones"): ("zero-shot-llama-squad", Fast(sequences=False)),
    ("evaluation/scoring.py", "to_device(packed.owners"): (
        "zero-shot-llama-multinli",
        Fast(sequences=False),
    ),
    ("evaluation/scoring.py", "to_device(packed.mask"): (
        "zero-shot-llama-multinli",
        Fast(sequences=False),
    ),
    ("models/fast/last_layer.py", "torch.arange"): ("lora-llama-squad", Fast(sequences=False)),
    ("models/heads.py", "torch.arange(attention_mask"): ("qlora-head-llama-multinli", Fast()),
    ("models/prefix.py", "torch.tensor"): ("few-shot-gpt2-multinli", Fast(sequences=False)),
    ("models/soft_prompt.py", "torch.arange"): ("p-tuning-bert-multinli", Fast()),
    ("readings/text.py", "torch.arange"): ("lora-llama-squad", Fast()),
    ("training/device.py", "to_device(tensor"): ("full-bert-multinli", Fast()),
    ("training/loop.py", "torch.zeros"): ("full-bert-multinli", Fast()),
}


@pytest.mark.parametrize("where", SAMPLE, ids=" ".join)
def test_a_device_that_is_not_said(
    found: dict[str, Case], watched: Mistakes, where: tuple[str, str]
) -> None:
    name, fast = SAMPLE[where]
    outcome(found[name], DEVICE, fast=fast)  # right without the mistake
    with watched.made(site(*where)), pytest.raises(RuntimeError, match=ERROR):
        outcome(found[name], DEVICE, fast=fast)
    assert site(*where) in watched.reached


# Mistakes that go unnoticed, each with the reason.
INDEX = "indices may be on the CPU"
TWICE = "something else moves it, too"
TRIED = "a kernel is tried out; on a card it refuses these, and the library attends instead"
UNNOTICED = {
    ("evaluation/scoring.py", "to_device(packed.read, device)"): INDEX,
    ("evaluation/scoring.py", "to_device(packed.states, device)"): INDEX,
    ("evaluation/scoring.py", "to_device(packed.targets, device)"): INDEX,
    ("models/heads.py", "torch.arange(hidden.shape[0], device=hidden.device)"): INDEX,
    ("methods/p_tuning.py", "prompt.to(next(learner.parameters()).device)"): TWICE,
    ("models/learner.py", "self.to(self.precision.device)"): TWICE,
    (
        "models/fast/sequences.py",
        "torch.randn(len(rows.places), count, width, generator=generator)"
        ".to(device, precision.torch_dtype)",
    ): TRIED,
    (
        "models/fast/sequences.py",
        "torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]], device=device)",
    ): TRIED,
    ("models/frozen.py", "states.detach().to('cpu', copy=True)"): "states stay where they are used",
}
SWEEP = (
    "full-bert-multinli",
    "last-k-bert-squad",
    "last-k-llama-multinli",
    "last-k-llama-squad",
    "lora-llama-multinli",
    "p-tuning-bert-multinli",
    "p-tuning-llama-multinli",
    "few-shot-gpt2-multinli",
    "zero-shot-llama-multinli",
    "qlora-head-llama-multinli",
)
WAYS = (Fast(sequences=False), Fast(), Fast(sequences=False, packed=False))


def _whole(case: Case, fast: Fast) -> None:
    """Train, answer, save, restore into a model built anew, and answer again."""
    learner: Learner = outcome(case, DEVICE, fast=fast).learner
    if case.method.trains:
        with tempfile.TemporaryDirectory() as folder:
            save(learner, Path(folder))
            other = load(case, seed=99, device=DEVICE)
            restore_trained(other, Path(folder))
        assert_all_on(other, DEVICE)
        answer(case, other)


def _places() -> Iterator[Site]:
    """Yield the sites that are about a device and not about a precision alone."""
    for one in dict.fromkeys(SITES.values()):
        if "device" in one.text or "cpu" in one.text or ".to(self.name" in one.text:
            yield one


@pytest.mark.slow
def test_every_place_that_says_a_device_must_say_it(
    found: dict[str, Case], watched: Mistakes
) -> None:
    """Of all places that are reached, only those that are told by hand go unnoticed."""
    reaching: dict[Site, list[tuple[str, Fast]]] = {}
    for name in SWEEP:
        for fast in WAYS:
            watched.reached = set()
            _whole(found[name], fast)
            for one in watched.reached:
                reaching.setdefault(one, []).append((name, fast))
    unnoticed, noticed = set(), set()
    for one in _places():
        if one not in reaching:
            continue
        for name, fast in reaching[one]:
            try:
                with watched.made(one):
                    _whole(found[name], fast)
            except (RuntimeError, TypeError, AssertionError):
                noticed.add(one)
                break
        else:
            unnoticed.add(tuple(one))
    assert unnoticed == set(UNNOTICED)
    assert len(noticed) >= 24
