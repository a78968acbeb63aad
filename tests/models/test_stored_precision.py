"""Weights of a 16-bit file stay in 16 bits in an fp32 run, and what is computed is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from tarazu import catalog
from tarazu.models import load as module
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.models.load import empty_learner, held_dtype, load_learner, trained_names
from tarazu.models.precision import Precision
from tarazu.models.stored_precision import ARCHITECTURES

FP32 = Precision("cpu", "float32", 1)
NEVER = 1 << 60
IDS = torch.arange(5, 37).reshape(2, 16)
ENCODERS = ("bert", "roberta", "deberta-v2")
KNOBS: dict[str, dict[str, Any]] = {"lora": {"targets": "all-linear", "dropout": 0.0}}


def write(folder: Path, architecture: str, dtype: torch.dtype) -> ModelInfo:
    """Write a small model of an architecture with random weights in 16 bits."""
    shape = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "initializer_range": 0.3,
        "pad_token_id": 0,
    }
    if architecture not in ENCODERS:
        shape |= {"num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
    if architecture in ("gemma", "gemma2", "qwen3"):
        shape["head_dim"] = 8
    if architecture == "phi3":
        shape["sliding_window"] = 128
    config = AutoConfig.for_model(architecture, **shape)
    auto = AutoModelForMaskedLM if architecture in ENCODERS else AutoModelForCausalLM
    torch.manual_seed(0)
    auto.from_config(config).to(dtype).save_pretrained(folder)
    kind = "encoder" if architecture in ENCODERS else "decoder"
    return info_from_config("small", config.to_dict(), kind=kind)


def loaded(
    folder: Path, info: ModelInfo, method: str, large: int, monkeypatch: pytest.MonkeyPatch
) -> Learner:
    monkeypatch.setattr(module, "LARGE", large)
    found = catalog.find_method(method)
    knobs = found.knobs(**KNOBS.get(method, {}))
    reading = "text" if info.kind == "decoder" and method != "last-k" else "classes"
    empty = empty_learner(info, reading, 3)
    found.attach(empty, knobs)
    torch.manual_seed(0)
    learner = load_learner(folder, info, reading, 3, FP32, trained=trained_names(empty))
    found.attach(learner, knobs)
    learner.settle()
    return learner.eval()


def outcome(learner: Learner) -> list[torch.Tensor]:
    """Return scores, and the gradients of all that is trained."""
    states = learner.hidden(IDS, torch.ones_like(IDS))
    scores = (
        learner.vocabulary_logits(states)
        if learner.head is None
        else learner.head(states, torch.ones_like(IDS))
    )
    trained = [parameter for _, parameter in learner.named_trained()]
    if not trained:
        return [scores]
    gradients = torch.autograd.grad(scores.square().sum(), trained, allow_unused=True)
    return [scores, *(gradient for gradient in gradients if gradient is not None)]


def matrices(learner: Learner) -> list[nn.Parameter]:
    """Return the frozen matrices of the backbone's linear layers."""
    return [
        layer.weight
        for layer in learner.body.modules()
        if type(layer) is nn.Linear and not layer.weight.requires_grad
    ]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_scores_and_gradients_are_those_of_a_copy_in_fp32(
    tmp_path: Path, architecture: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = write(tmp_path, architecture, dtype)
    prompting = ["zero-shot"] if info.kind == "decoder" else []
    for method in [*prompting, "lora", "last-k", "p-tuning", "full"]:
        copied = loaded(tmp_path, info, method, NEVER, monkeypatch)
        stored = loaded(tmp_path, info, method, 0, monkeypatch)
        with torch.no_grad():  # new adapters begin in their base's precision
            for (_, one), (_, other) in zip(
                copied.named_trained(), stored.named_trained(), strict=True
            ):
                other.copy_(one)
        for one, other in zip(outcome(copied), outcome(stored), strict=True):
            assert one.dtype == other.dtype == torch.float32
            assert torch.equal(one, other), method
        assert {p.dtype for _, p in stored.named_trained()} <= {torch.float32}
        # An output that is tied to embeddings of their own kind is the one exception.
        narrow = [weight for weight in matrices(stored) if weight.dtype == dtype]
        assert len(narrow) >= len(matrices(stored)) - 1, method
        assert method in ("full", "last-k") or len(narrow) > 3


@pytest.mark.parametrize("architecture", ["gemma2", "mamba", "deberta-v2"])
def test_architectures_that_read_weights_in_other_ways_have_a_copy(
    tmp_path: Path, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = write(tmp_path, architecture, torch.bfloat16)
    monkeypatch.setattr(module, "LARGE", 0)
    assert held_dtype(tmp_path, info, FP32) == torch.float32
    learner = loaded(tmp_path, info, "last-k", 0, monkeypatch)
    assert {p.dtype for p in learner.parameters()} == {torch.float32}
    assert all(scores.isfinite().all() for scores in outcome(learner))


def test_only_large_models_on_the_cpu_are_held_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = write(tmp_path, "llama", torch.bfloat16)
    size = 2 * (tmp_path / "model.safetensors").stat().st_size
    for large, expected in ((size // 2, torch.bfloat16), (2 * size, torch.float32)):
        monkeypatch.setattr(module, "LARGE", large)
        assert held_dtype(tmp_path, info, FP32) == expected
    monkeypatch.setattr(module, "LARGE", 0)
    assert held_dtype(tmp_path, info, Precision("cuda", "float32", 1)) == torch.float32
    assert held_dtype(tmp_path, info, Precision("cpu", "bfloat16", 1)) == torch.bfloat16


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ["gemma", "llama", "bert", "xglm"])
def test_buffers_are_as_the_library_computes_them_in_fp32(
    tmp_path: Path, architecture: str, dtype: str
) -> None:
    """Scales of embeddings and tables of positions are no weights, and are not to be rounded."""
    info = write(tmp_path, architecture, torch.bfloat16)
    auto = AutoModelForMaskedLM if info.kind == "encoder" else AutoModelForCausalLM
    published = auto.from_pretrained(tmp_path, dtype=torch.float32)
    expected = {n.rpartition(".")[2]: b for n, b in published.named_buffers()}
    precision = Precision("cpu", dtype, 1)
    learner = load_learner(tmp_path, info, "text", 0, precision, trained=frozenset())
    learner.settle()
    found = dict(learner.body.named_buffers())
    assert found
    for name, buffer in found.items():
        assert torch.equal(buffer, expected[name.rpartition(".")[2]]), name
    assert load_file(tmp_path / "model.safetensors")
