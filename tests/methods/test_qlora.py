"""QLoRA on tiny models in NF4 on the CPU."""

from __future__ import annotations

import inspect
from pathlib import Path

import bitsandbytes as bnb
import pytest
import torch
from torch import nn
from transformers import DynamicCache

from tarazu import catalog
from tarazu.models import load as load_module
from tarazu.models.learner import Learner
from tarazu.models.merge import dequantise
from tarazu.testing import tiny
from tarazu.testing.cases import Case, answer, cases, load, train
from tarazu.testing.tiny import TinyKind, tiny_model

METHODS = [catalog.find_method("qlora-head"), catalog.find_method("qlora-text")]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    kinds: tuple[TinyKind, ...] = ("gpt2", "llama")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "HIDDEN", 128)  # wide enough for every kernel of bitsandbytes
        folders: dict[str, Path] = {kind: tiny_model(folder / kind, kind) for kind in kinds}
    tasks = [catalog.find_task("multinli"), catalog.find_task("squad")]
    return {str(case): case for case in cases(METHODS, folders, tasks)}


def four_bit(learner: Learner) -> dict[str, nn.Module]:
    return {n: m for n, m in learner.named_modules() if isinstance(m, bnb.nn.Linear4bit)}


def base_weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: dequantise(module.weight) for name, module in four_bit(learner).items()}


@pytest.mark.parametrize("model", ["gpt2", "llama"])
def test_t10_the_head_is_never_quantised_and_is_trained(found: dict[str, Case], model: str) -> None:
    learner = load(found[f"qlora-head-{model}-multinli"])
    assert learner.head is not None
    layers = [module for module in learner.head.modules() if isinstance(module, nn.Linear)]
    assert layers
    for layer in layers:
        assert type(layer) is nn.Linear
        for parameter in layer.parameters():
            assert parameter.dtype == torch.float32
            assert parameter.requires_grad
            assert not hasattr(parameter, "quant_state")


@pytest.mark.parametrize(("model", "matrices"), [("gpt2", 4), ("llama", 7)])
def test_every_linear_layer_of_the_base_is_in_nf4_and_has_an_adapter(
    found: dict[str, Case], model: str, matrices: int
) -> None:
    learner = load(found[f"qlora-text-{model}-multinli"])
    quantised = four_bit(learner)
    assert len(quantised) == matrices * learner.info.layers
    for name, module in quantised.items():
        assert name.endswith(".base_layer"), f"{name} has no adapter"
        assert module.weight.quant_state.quant_type == "nf4"  # type: ignore[union-attr]
        assert module.weight.quant_state.nested  # type: ignore[union-attr]
    projection = learner.body.get_output_embeddings()
    assert type(projection) is nn.Linear
    assert projection.weight is learner.trunk.get_input_embeddings().weight


def floats(learner: Learner) -> dict[str, torch.dtype]:
    """Return the precision of everything that is neither trained nor in 4 bits."""
    return {
        name: parameter.dtype
        for name, parameter in learner.named_parameters()
        if not parameter.requires_grad and parameter.is_floating_point()
    }


def test_t26_nothing_is_cast_up_behind_the_planners_back(found: dict[str, Case]) -> None:
    """`prepare_model_for_kbit_training` would turn norms and embeddings into fp32."""
    learner = load(found["qlora-text-llama-multinli"], dtype="bfloat16").train()
    assert floats(learner)
    assert set(floats(learner).values()) == {torch.bfloat16}, floats(learner)
    source = Path(inspect.getfile(load_module)).parents[1]
    users = [f for f in source.rglob("*.py") if "prepare_model_for_kbit" in f.read_text("utf-8")]
    assert users == []


def test_between_its_products_a_quantised_body_answers_in_fp32_and_trains_in_bf16(
    found: dict[str, Case],
) -> None:
    """Answers in bf16 alone are measurably worse; activations in fp32 would fill a card."""
    learner = load(found["qlora-text-llama-multinli"], dtype="bfloat16").train()
    ids, inner = torch.arange(5, 13).view(1, 8), learner.blocks()[-1].mlp
    seen: list[torch.dtype] = []
    inner.register_forward_hook(lambda module, given, result: seen.append(given[0].dtype))
    for _ in range(2):  # there and back
        for mode, dtype in ((False, torch.float32), (True, torch.bfloat16)):
            learner.train(mode)
            wide = {name for name, one in floats(learner).items() if one == torch.float32}
            assert all("norm" in name for name in wide), wide
            assert bool(wide) == (not mode)
            with learner.compute(), torch.no_grad():
                learner.hidden(ids, torch.ones_like(ids))
            assert seen.pop() == dtype


def test_a_frozen_trunk_of_a_quantised_body_computes_alike_at_all_times(
    found: dict[str, Case],
) -> None:
    """What it computed is kept, and read both in training and in answering."""
    learner = load(found["qlora-text-llama-multinli"], dtype="bfloat16")
    first, *_, last = learner.blocks()
    first.requires_grad_(False)
    assert learner.frozen_layers() == 1
    for mode, above in ((True, torch.bfloat16), (False, torch.float32)):
        learner.train(mode)
        assert first.input_layernorm.weight.dtype == torch.float32
        assert last.input_layernorm.weight.dtype == above


def test_a_quantised_body_keeps_keys_and_values_as_attention_reads_them(
    found: dict[str, Case],
) -> None:
    learner = load(found["qlora-text-llama-multinli"], dtype="bfloat16").eval()
    ids, cache = torch.arange(5, 13).view(1, 8), DynamicCache()
    with learner.compute(), torch.no_grad():
        learner.hidden(ids, torch.ones_like(ids), cache=cache)
    kept = [states for layer in cache.layers for states in (layer.keys, layer.values)]
    assert len(kept) == 2 * learner.info.layers
    assert {states.dtype for states in kept} == {torch.bfloat16}


@pytest.mark.parametrize("model", ["gpt2", "llama"])
@pytest.mark.parametrize("method", ["qlora-head", "qlora-text"])
def test_t19_answering_leaves_the_4_bit_weights_as_they_are(
    found: dict[str, Case], method: str, model: str
) -> None:
    """bitsandbytes repacks weights on some processors when it answers, and dequantises garbage."""
    case = found[f"{method}-{model}-multinli"]
    learner = load(case)
    before = base_weights(learner)
    answer(case, learner)
    after = base_weights(learner)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def gradients(case: Case, learner: Learner) -> dict[str, torch.Tensor]:
    """One deterministic backward pass through everything."""
    learner.train()
    for module in learner.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    learner.zero_grad()
    ids = torch.arange(3, 40).reshape(1, -1)
    learner.hidden(ids, torch.ones_like(ids)).square().sum().backward()  # type: ignore[no-untyped-call]
    found = {n: p.grad.clone() for n, p in learner.named_trained() if p.grad is not None}
    return {name: grad for name, grad in found.items() if "lora_" in name}


@pytest.mark.parametrize("model", ["gpt2", "llama"])
def test_t25_gradients_are_the_same_after_answering(found: dict[str, Case], model: str) -> None:
    """Else the second epoch trains otherwise than the first: validation lies between them."""
    case = found[f"qlora-text-{model}-multinli"]
    learner = load(case)
    train(case, learner)  # B is no longer zero, so A has a gradient too
    before = gradients(case, learner)
    answer(case, learner)
    after = gradients(case, learner)
    assert len(before) == 2 * len(four_bit(learner))
    assert all(bool(grad.abs().max() > 0) for grad in before.values())
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], grad) for name, grad in before.items())
