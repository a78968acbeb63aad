from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from tarazu import catalog
from tarazu.counting import count
from tarazu.methods.last_k import LastKKnobs
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.models.load import empty_learner

LAST_K = catalog.find_method("last-k")
NLI = catalog.find_task("multinli")


def info_of(name: str) -> ModelInfo:
    card = find_card(name)
    assert card is not None
    return info_from_config(card.id, card.config, card=card)


def trained_names(model: str, reading: str, **knobs: Any) -> list[str]:
    learner = empty_learner(info_of(model), reading, 3)  # type: ignore[arg-type]
    LAST_K.attach(learner, LastKKnobs(**knobs))
    return [name for name, _ in learner.named_trained()]


@pytest.mark.parametrize("model", ["gpt2", "smollm2-135m-instruct"])
def test_a_projection_tied_to_the_embeddings_stays_frozen(model: str) -> None:
    assert info_of(model).tied_embeddings
    names = trained_names(model, "text", k=2)
    assert names
    assert not any("lm_head" in n or "wte" in n or "embed_tokens" in n for n in names)


def test_the_last_layers_and_the_final_norm_are_trained() -> None:
    names = trained_names("gpt2", "text", k=2)
    layers = {name.split(".h.")[1].split(".")[0] for name in names if ".h." in name}
    assert layers == {"10", "11"}
    assert {name for name in names if ".h." not in name} == {
        "body.transformer.ln_f.weight", "body.transformer.ln_f.bias",
    }  # fmt: skip


def test_layers_below_the_last_leave_the_final_norm_alone() -> None:
    names = trained_names("gpt2", "text", layers=(4, 5))
    assert {name.split(".h.")[1].split(".")[0] for name in names} == {"4", "5"}


def test_counts_are_those_of_the_layers() -> None:
    one = 12 * 1024**2 + 13 * 1024  # attention 4d², feed-forward 8d², biases and norms
    found = count(LAST_K, info_of("roberta-large"), NLI, LastKKnobs(k=3))
    assert found.trained == 3 * one
    assert found.head == 1024**2 + 1024 + 3 * 1024 + 3
    assert found.deployed == found.trained + found.head


def test_no_layer_trains_the_head_alone() -> None:
    names = trained_names("roberta-large", "classes", k=0)
    assert names
    assert all(name.startswith("head.") for name in names)


@pytest.mark.parametrize(
    ("model", "knobs", "message"),
    [
        ("gpt2", {"layers": (3, 12)}, r"has the layers 0 to 11, but layers asks for \[12\]"),
        ("gpt2", {"k": 13}, "has 12 layers, but k asks for 13"),
        ("gpt2", {"k": 0}, "without layers nothing is trained"),
        ("roberta-large", {"k": 24}, None),
        ("roberta-large", {"k": 0}, None),
    ],
)
def test_layers_that_the_model_lacks_are_refused(
    model: str, knobs: dict[str, Any], message: str | None
) -> None:
    reason = LAST_K.supports(info_of(model), NLI, LastKKnobs(**knobs))
    assert reason is None if message is None else re.search(message, reason or "")


@pytest.mark.parametrize("layers", [(1, 1), (-1,)])
def test_layers_are_different_numbers_from_0(layers: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="different numbers, counted from 0"):
        LastKKnobs(layers=layers)
