from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tarazu import catalog
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.models.load import load_learner
from tarazu.models.precision import Precision
from tarazu.needs import Needs, needed
from tarazu.plugins import find_plugin
from tarazu.record.record import Setting
from tarazu.record.spec import DataSpec, ModelSpec, RunSpec
from tarazu.splits import Splits
from tarazu.testing import tiny as tiny_module
from tarazu.testing.tiny import TinyKind, tiny_info, tiny_model
from tarazu.training.optimizer import make_optimizer
from tarazu.work import Request

GIB = 2**30
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 128256,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}
Make = Callable[..., Request]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def request(
        method: str,
        info: ModelInfo | None,
        dtype: str = "float32",
        *,
        select: str = "last",
        device: str = "cpu",
    ) -> Request:
        found = catalog.find_method(method)
        values = {**found.knobs().model_dump(mode="json"), "select": select}
        told = {
            n: Setting(value=v, reason="test", source="test", chosen_by="entry")
            for n, v in values.items()
        }
        spec = RunSpec(
            study="s", entry=method, method=method, model="m", model_files={},
            model_spec=ModelSpec(source="x"), task="multinli", task_options={}, language="en",
            seed=0, settings=told, data=DataSpec(train="a", test="b"), inputs={}, device=device,
            dtype=dtype, threads=1, eval_batch_size=4,
        )  # fmt: skip
        return Request(spec, None, info, Splits([], [], {"test": []}), tmp_path, show_text=True)

    return request


def needs(request: Request, phase: str, *, merged: bool = False) -> Needs:
    return needed(request, phase, merged, tell=lambda progress: None)


def loaded(request: Request, folder: Path) -> Learner:
    """Load a model as the run would."""
    assert request.info is not None
    method = request.method
    learner = load_learner(
        folder,
        request.info,
        method.reading(request.info, request.task, request.knobs),
        len(request.task.labels),
        Precision("cpu", request.spec.dtype, 1),
        four_bit=method.four_bit,
    )
    method.attach(learner, request.knobs)
    learner.settle()
    return learner


def size(tensors: Any) -> int:
    return sum(one.numel() * one.element_size() for one in tensors)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize("method", ["full", "lora", "p-tuning", "last-k"])
def test_weights_gradients_and_state_are_those_of_a_run(
    make: Make, tiny: Callable[[TinyKind], Path], kind: TinyKind, method: str, dtype: str
) -> None:
    request = make(method, tiny_info(tiny(kind)), dtype)
    learner = loaded(request, tiny(kind))
    trained = [p for _, p in learner.named_trained()]
    optimizer = make_optimizer(learner, learning_rate=1, head_learning_rate=1, weight_decay=0)
    for parameter in trained:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = [t for one in optimizer.state.values() for t in one.values() if t.ndim]
    weights, gradients = size(learner.parameters()), size(p.grad for p in trained)
    assert needs(request, "train") == Needs(weights, gradients, size(state))
    assert needs(request, "validate") == Needs(weights, 0, size(state))
    assert needs(request, "evaluate") == needs(request, "merge") == Needs(weights)
    best = make(method, request.info, dtype, select="best")  # keeps a copy of the best epoch's
    assert needs(best, "train").weights == weights + size(trained)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_reading_weights_takes_no_more_than_holding_them(
    make: Make, tiny: Callable[[TinyKind], Path], device: str
) -> None:
    request = make("zero-shot", tiny_info(tiny("llama")), "bfloat16", device=device)
    learner = loaded(request, tiny("llama"))
    held = Needs(size(learner.parameters()))
    assert needs(request, "load") == needs(request, "evaluate") == held


def test_a_method_and_a_task_of_a_plug_in(
    make: Make, tmp_path: Path, tiny: Callable[[TinyKind], Path]
) -> None:
    """They are not in use where it is asked, as in the process that asks in earnest."""
    own = tmp_path / "own.py"
    own.write_text(
        "import dataclasses\n"
        "from tarazu import catalog\n"
        "METHOD = dataclasses.replace(catalog.find_method('lora'), name='own-lora')\n"
        "TASK = dataclasses.replace(catalog.find_task('multinli'), name='own-nli')\n"
    )
    request = make("lora", tiny_info(tiny("bert")))
    spec = request.spec.model_copy(update={"method": "own-lora", "task": "own-nli"})
    named = replace(request, spec=spec, plugins=(find_plugin(own),))
    assert needs(named, "train") == needs(request, "train")


def packed(learner: Learner) -> tuple[int, list[Tensor]]:
    """Return the bytes of 4-bit weights with their scales, and what is not 4-bit."""
    total, others = 0, []
    for parameter in learner.parameters():
        state = getattr(parameter, "quant_state", None)
        if state is None:
            others.append(parameter)
            continue
        total += size([parameter, state.absmax, state.state2.absmax])
    return total, others


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_4_bit_base(make: Make, tmp_path: Path, kind: TinyKind) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_module, "HIDDEN", 128)  # wide enough for every kernel of bitsandbytes
        folder = tiny_model(tmp_path / "tiny", kind)
    request = make("qlora-text", tiny_info(folder), "bfloat16")
    learner = loaded(request, folder)
    quantised, others = packed(learner)
    assert quantised > 0.1 * size(others)
    found = needs(request, "evaluate").weights - size(others)
    assert found == pytest.approx(quantised, rel=0.002)  # the last block of scales is not full
    assert needs(request, "load") == needs(request, "evaluate")
    # A merged model is whole.
    whole = sum(p.numel() for p in loaded(make("zero-shot", request.info), folder).parameters())
    assert needs(request, "load", merged=True) == Needs(2 * whole)
    assert needs(request, "evaluate", merged=True) == Needs(2 * whole)


def test_llama_3_8b(make: Make) -> None:
    info = info_from_config("llama-3-8b", LLAMA)
    words, wide, keys, inner, layers = 128256, 4096, 1024, 14336, 32
    inside = layers * (2 * wide * wide + 2 * wide * keys + 3 * wide * inner)
    total = inside + 2 * words * wide + (2 * layers + 1) * wide
    adapters = 8 * layers * (2 * wide + wide + keys)  # LoRA, r = 8, query and value
    lora = needs(make("lora", info, "bfloat16"), "train")
    assert lora == Needs(2 * total + 4 * adapters, 4 * adapters, 8 * adapters)
    assert str(Needs(3 * GIB, GIB, 2 * GIB)) == (
        "6.00 GiB beside activations (weights 3.00, gradients 1.00, optimiser 2.00)"
    )
    assert str(Needs(GIB // 2)) == "0.50 GiB for its weights alone"
