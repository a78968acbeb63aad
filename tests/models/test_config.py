"""From config.json to ModelInfo: kinds, defaults of transformers, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tarazu.errors import BadInput
from tarazu.models.config import UNBOUNDED, info_from_config
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


@pytest.mark.parametrize("config", [{}, {"model_type": "no-such-model"}])
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


def test_damaged_configuration_is_bad_input() -> None:
    with pytest.raises(BadInput, match="valid llama configuration"):
        info_from_config("m", {"model_type": "llama", "hidden_size": "wide"})
