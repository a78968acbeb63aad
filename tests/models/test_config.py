"""From config.json to ModelInfo: kinds, defaults of transformers, and what is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tarazu.errors import BadInput
from tarazu.models.config import UNBOUNDED, info_from_config
from tarazu.models.config_limits import check_sizes
from tarazu.models.info import Kind


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "decoder"),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "decoder"),
        ({"model_type": "gpt2", "architectures": ["GPT2Model"]}, "decoder"),
        ({"model_type": "gpt2"}, "decoder"),
        ({"model_type": "roberta", "architectures": ["RobertaForMaskedLM"]}, "encoder"),
        ({"model_type": "bert", "architectures": ["BertModel"]}, "encoder"),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"]}, "decoder"),
        ({"model_type": "bert"}, "encoder"),
    ],
)
def test_kind_is_read_from_the_configuration(config: dict[str, Any], kind: Kind) -> None:
    assert info_from_config("m", config).kind == kind


def test_kind_of_the_study_wins() -> None:
    assert info_from_config("m", {"model_type": "bert"}, kind="decoder").kind == "decoder"


def test_unknown_kind_asks_for_it() -> None:
    with pytest.raises(BadInput, match=r"models\.m\.kind.*kind: encoder"):
        info_from_config("m", {"model_type": "vit"})


def test_encoder_decoder_is_refused() -> None:
    config = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}
    with pytest.raises(BadInput, match="encoder-decoder 't5'"):
        info_from_config("m", config, kind="encoder")


@pytest.mark.parametrize("config", [{}, {"model_type": "no-such-model"}, {"model_type": ["bert"]}])
def test_unknown_architecture_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="model_type that transformers knows"):
        info_from_config("m", config)


def test_roberta_loses_the_positions_before_its_padding_offset() -> None:
    config = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert info_from_config("m", config).context_length == 512


def test_positions_without_a_limit_are_unbounded() -> None:
    assert info_from_config("m", {"model_type": "bloom"}).context_length == UNBOUNDED


def test_absent_settings_take_the_architectures_defaults() -> None:
    gpt2 = info_from_config("m", {"model_type": "gpt2", "n_embd": 64, "n_layer": 3})
    assert (gpt2.hidden_size, gpt2.layers, gpt2.tied_embeddings) == (64, 3, True)
    assert info_from_config("m", {"model_type": "llama"}).tied_embeddings is False
    untied = info_from_config("m", {"model_type": "gpt2", "tie_word_embeddings": False})
    assert untied.tied_embeddings is False


def test_code_of_the_repository_is_never_run(tmp_path: Path) -> None:
    from transformers import AutoConfig

    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Evil: ...\n")
    config = {"model_type": "bert", "auto_map": {"AutoConfig": "evil.Evil"}, "hidden_size": 12}
    (tmp_path / "config.json").write_text(json.dumps(config))
    info = info_from_config("m", config)
    assert info.hidden_size == 12
    assert "auto_map" not in info.config
    AutoConfig.from_pretrained(tmp_path, trust_remote_code=False)
    assert not ran.exists()


def test_model_that_needs_its_own_code_is_refused() -> None:
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}}
    with pytest.raises(BadInput, match="never runs"):
        info_from_config("m", config)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_size": "wide"}, {"hidden_size": None}, {"num_hidden_layers": []},
        {"architectures": 1}, {"architectures": [1]}, {"architectures": {"a": 1}},
        {"vocab_size": {}}, {"max_position_embeddings": "x"}, {"rope_parameters": 1},
    ],
)  # fmt: skip
def test_damaged_configuration_is_bad_input(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="valid llama configuration"):
        info_from_config("m", {"model_type": "llama", **wrong})


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"model_type": "llama", "num_hidden_layers": 10**8}, "num_hidden_layers"),
        ({"model_type": "llama", "num_hidden_layers": 1001}, "num_hidden_layers"),
        ({"model_type": "llama", "num_hidden_layers": 1e9}, "num_hidden_layers"),
        ({"model_type": "gpt2", "n_layer": 10**18}, "n_layer"),
        ({"model_type": "albert", "inner_group_num": 10**8}, "inner_group_num"),
        ({"model_type": "bert", "hidden_size": 1 << 40}, "hidden_size"),
        ({"model_type": "gpt2", "n_embd": 1 << 21}, "n_embd"),
        ({"model_type": "bert", "vocab_size": 1 << 40}, "vocab_size"),
        ({"model_type": "bert", "max_position_embeddings": 10**9}, "max_position_embeddings"),
        ({"model_type": "mixtral", "num_local_experts": 10**6}, "num_local_experts"),
        ({"model_type": "gemma3", "text_config": {"num_hidden_layers": 10**8}}, "num_hidden"),
        ({"model_type": "gemma3", "vision_config": {"num_hidden_layers": 10**8}}, "num_hidden"),
        ({"model_type": "qwen2", "layer_types": ["full_attention"] * 2000}, "layer_types"),
        ({"model_type": "no-such-model", "a": [[{"num_layers": 5000}]]}, "num_layers"),
    ],
)
def test_sizes_that_no_model_has_are_refused_at_once(config: dict[str, Any], name: str) -> None:
    begun = time.process_time()
    with pytest.raises(BadInput, match=rf"config\.json: '{name}\w*' must (be|have) at most"):
        info_from_config("m", config)
    assert time.process_time() - begun < 1


LARGEST: list[dict[str, Any]] = [
    # Llama 3.1 405B, DeepSeek-V3, Kimi K2, Llama 4 Scout, Qwen2-57B-A14B, Gemma 3n, XLM-V
    {"num_hidden_layers": 126, "hidden_size": 16384, "intermediate_size": 53248},
    {"num_hidden_layers": 61, "n_routed_experts": 256, "num_experts_per_tok": 8, "n_group": 8,
     "first_k_dense_replace": 3, "moe_intermediate_size": 2048, "rope_theta": 10**7},
    {"n_routed_experts": 384, "vocab_size": 163840, "max_position_embeddings": 262144},
    {"text_config": {"max_position_embeddings": 10485760, "num_local_experts": 16}},
    {"shared_expert_intermediate_size": 20480, "sliding_window": 65536, "eos_token_id": 151643},
    {"text_config": {"vocab_size_per_layer_input": 262144, "hidden_size_per_layer_input": 256}},
    {"vocab_size": 901629, "id2label": {"0": "a"}, "initializer_range": 0.02},
]  # fmt: skip


@pytest.mark.parametrize("config", LARGEST)
def test_sizes_that_models_have_are_taken(config: dict[str, Any]) -> None:
    check_sizes(config, "models.m")


def test_every_default_of_transformers_is_taken() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    names = {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *MODEL_FOR_MASKED_LM_MAPPING_NAMES}
    checked = 0
    for name in sorted(names & set(CONFIG_MAPPING)):
        try:
            config = CONFIG_MAPPING[name]().to_dict()
        except Exception:
            continue
        check_sizes(config, name)
        checked += 1
    assert checked > 100


def test_what_is_nested_deep_is_looked_at_too() -> None:
    config: dict[str, Any] = {"num_layers": 5000}
    for _ in range(5000):
        config = {"a": config}
    with pytest.raises(BadInput, match="num_layers"):
        check_sizes(config, "models.m")
