"""Weights of a 16-bit file stay in 16 bits in an fp32 run, and what is computed is the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tarazu import catalog
from tarazu.models import load as module
from tarazu.models.learner import Learner
from tarazu.models.load import empty_learner, held_dtype, load_learner, trained_names
from tarazu.models.precision import Precision
from tarazu.testing.tiny import TinyKind, tiny_info

FP32 = Precision("cpu", "float32", 1)
NEVER = 1 << 60
IDS = torch.arange(5, 37).reshape(2, 16)


@pytest.fixture(params=[torch.bfloat16, torch.float16])
def folder(
    request: pytest.FixtureRequest, tiny: Callable[[TinyKind], Path], tmp_path: Path
) -> Path:
    place = shutil.copytree(tiny("llama"), tmp_path / "model")
    weights = load_file(place / "model.safetensors")
    narrow = {name: tensor.to(request.param) for name, tensor in weights.items()}
    save_file(narrow, place / "model.safetensors", metadata={"format": "pt"})
    return place


def loaded(folder: Path, method: str, large: int, monkeypatch: pytest.MonkeyPatch) -> Learner:
    monkeypatch.setattr(module, "LARGE", large)
    found, info = catalog.find_method(method), tiny_info(folder)
    knobs = found.knobs()
    reading = "classes" if method == "last-k" else "text"
    empty = empty_learner(info, reading, 3)
    found.attach(empty, knobs)
    torch.manual_seed(0)
    learner = load_learner(folder, info, reading, 3, FP32, trained=trained_names(empty))
    found.attach(learner, knobs)
    learner.settle()
    return learner


def outcome(learner: Learner) -> list[torch.Tensor]:
    """Return scores, and the gradients of all that is trained."""
    learner.eval()
    states = learner.hidden(IDS, torch.ones_like(IDS))
    scores = (
        learner.vocabulary_logits(states)
        if learner.head is None
        else learner.head(states, torch.ones_like(IDS))
    )
    trained = [parameter for _, parameter in learner.named_trained()]
    if not trained:
        return [scores]
    return [scores, *torch.autograd.grad(scores.square().sum(), trained)]


@pytest.mark.parametrize("method", ["zero-shot", "lora", "last-k", "p-tuning", "full"])
def test_scores_and_gradients_are_those_of_a_copy_in_fp32(
    folder: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = loaded(folder, method, NEVER, monkeypatch)
    stored = loaded(folder, method, 0, monkeypatch)
    with torch.no_grad():  # new adapters begin in their base's precision
        for (_, one), (_, other) in zip(
            copied.named_trained(), stored.named_trained(), strict=True
        ):
            other.copy_(one)
    for one, other in zip(outcome(copied), outcome(stored), strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert torch.equal(one, other)


def test_no_frozen_matrix_is_held_in_more_bits_than_its_file_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = next(iter(load_file(folder / "model.safetensors").values())).dtype
    for method in ("zero-shot", "lora", "last-k", "p-tuning"):
        learner = loaded(folder, method, 0, monkeypatch)
        frozen = [
            layer.weight
            for layer in learner.body.modules()
            if isinstance(layer, nn.Linear | nn.Embedding) and not layer.weight.requires_grad
        ]
        assert len(frozen) > 5
        assert {weight.dtype for weight in frozen} == {kind}, method
        trained = {parameter.dtype for _, parameter in learner.named_trained()}
        assert trained <= {torch.float32}


def test_only_large_models_on_the_cpu_are_held_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = next(iter(load_file(folder / "model.safetensors").values())).dtype
    size = 2 * (folder / "model.safetensors").stat().st_size
    for large, expected in ((size // 2, kind), (2 * size, torch.float32)):
        monkeypatch.setattr(module, "LARGE", large)
        assert held_dtype(folder, FP32) == expected
    monkeypatch.setattr(module, "LARGE", 0)
    assert held_dtype(folder, Precision("cuda", "float32", 1)) == torch.float32
    assert held_dtype(folder, Precision("cpu", "bfloat16", 1)) == torch.bfloat16
