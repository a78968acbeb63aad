"""LoRA: exact counts from configurations alone, orientation, targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tarazu import catalog
from tarazu.counting import count
from tarazu.errors import BadInput
from tarazu.methods._lora import LoraKnobs
from tarazu.models.cards import find_card, load_cards
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.models.load import empty_learner, load_learner
from tarazu.models.precision import Precision
from tarazu.record.record import Parameters
from tarazu.testing.tiny import tiny_info, tiny_model

LORA = catalog.find_method("lora")
NLI = catalog.find_task("multinli")


def info_of(name: str) -> ModelInfo:
    card = find_card(name)
    assert card is not None
    return info_from_config(card.id, card.config, card=card)


def counted(model: str, method: str = "lora", **knobs: object) -> Parameters:
    chosen = catalog.find_method(method)
    return count(chosen, info_of(model), NLI, chosen.knobs(**knobs))


@pytest.mark.parametrize(
    ("model", "trained", "head"),
    [
        ("gpt2", 294_912, 0),  # 12 × 8 × (768 + 3·768), c_attn
        ("meta-llama/Meta-Llama-3-8B", 3_407_872, 0),  # 32 × 8 × ((4096+4096) + (4096+1024))
        ("FacebookAI/roberta-large", 786_432, 1_052_675),  # 24 × 2 × 8 × (1024 + 1024)
    ],
)
def test_r8_trains_exactly_so_many(model: str, trained: int, head: int) -> None:
    """Without any weights: the 8 billion parameters of Llama are counted on meta tensors."""
    found = counted(model, r=8)
    assert (found.trained, found.head) == (trained, head)
    assert found.deployed == trained + head
    assert found.deployed_bytes == 4 * found.deployed


def test_whole_models_are_counted_to_the_last_number() -> None:
    assert counted("gpt2").total - 294_912 == 124_439_808
    assert counted("meta-llama/Meta-Llama-3-8B").total - 3_407_872 == 8_030_261_248
    assert counted("gpt2", "full").trained == 124_439_808


def test_qlora_counts_on_every_linear_layer() -> None:
    # 32 × 8 × (q 8192 + k 5120 + v 5120 + o 8192 + gate, up, down 3 × 18432)
    both = [counted("meta-llama/Meta-Llama-3-8B", name) for name in ("qlora-text", "qlora-head")]
    assert [c.trained for c in both] == [32 * 8 * (2 * 8192 + 2 * 5120 + 3 * 18432)] * 2
    assert [c.head for c in both] == [0, 3 * 4096 + 3]


@pytest.mark.parametrize("card", load_cards(), ids=lambda card: card.id)
def test_every_built_in_model_is_supported(card: object) -> None:
    found = counted(card.id)  # type: ignore[attr-defined]
    assert 0 < found.trained < found.total / 50


@pytest.mark.parametrize("r", [1, 4, 16])
def test_counts_grow_with_the_rank(r: int) -> None:
    assert counted("gpt2", r=r).trained == r * 294_912 // 8


def test_targets_by_name() -> None:
    assert counted("gpt2", r=8, targets=("attn.c_proj",)).trained == 12 * 8 * (768 + 768)
    everything = counted("gpt2", r=8, targets="all-linear").trained
    assert everything == 12 * 8 * ((768 + 2304) + (768 + 768) + 2 * (768 + 3072))


def test_an_unknown_target_gets_the_nearest_name() -> None:
    with pytest.raises(BadInput, match=r"modules of openai-community/gpt2, but got c_atn.*c_attn"):
        counted("gpt2", targets=("c_atn",))


def test_an_unknown_architecture_must_name_its_targets() -> None:
    info = info_from_config("m", {"model_type": "opt", "architectures": ["OPTForCausalLM"]})
    reason = LORA.supports(info, NLI, LoraKnobs())
    assert reason is not None
    assert "opt" in reason
    assert "all-linear" in reason
    assert LORA.supports(info, NLI, LoraKnobs(targets="all-linear")) is None
    assert LORA.supports(info, NLI, LoraKnobs(targets=("q_proj",))) is None


def test_t28_the_update_of_gpt2_is_b_times_a_turned(tmp_path: Path) -> None:
    """W' = W + (α/r)·B·A for a module that maps x to W·x, whatever way the weights are stored."""
    tiny_model(tmp_path, "gpt2")
    info = tiny_info(tmp_path)
    learner = load_learner(tmp_path, info, "text", 0, Precision("cpu", "float32", 1))
    LORA.attach(learner, LoraKnobs(r=2, alpha=6.0, dropout=0.0, targets=("attn.c_proj",)))
    layer: Any = learner.blocks()[0].get_submodule("attn.c_proj")
    with torch.no_grad():
        layer.lora_B["default"].weight.normal_()
    x = torch.randn(3, info.hidden_size)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    with torch.no_grad():
        wanted = layer.base_layer(x) + 3.0 * x @ a.T @ b.T
        assert torch.allclose(layer(x), wanted, atol=1e-5)


def test_nothing_changes_before_training(tmp_path: Path) -> None:
    tiny_model(tmp_path, "llama")
    learner = load_learner(tmp_path, tiny_info(tmp_path), "text", 0, Precision("cpu", "float32", 1))
    ids = torch.arange(5, 20).reshape(1, -1)
    with torch.no_grad():
        before = learner.hidden(ids, torch.ones_like(ids))
        LORA.attach(learner, LoraKnobs())
        assert torch.equal(learner.eval().hidden(ids, torch.ones_like(ids)), before)


def test_the_vocabulary_projection_gets_no_adapter() -> None:
    learner = empty_learner(info_of("meta-llama/Meta-Llama-3-8B"), "text", 0)
    LORA.attach(learner, LoraKnobs(targets="all-linear"))
    assert not any("lm_head" in name for name, _ in learner.named_trained())
