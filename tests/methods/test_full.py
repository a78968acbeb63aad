from __future__ import annotations

import pytest

from tarazu import catalog
from tarazu.counting import count
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.models.load import empty_learner

FULL = catalog.find_method("full")


def info_of(name: str) -> ModelInfo:
    card = find_card(name)
    assert card is not None
    return info_from_config(card.id, card.config, card=card)


@pytest.mark.parametrize("model", ["gpt2", "roberta-large"])
@pytest.mark.parametrize("task", ["multinli", "squad"])
def test_all_is_trained_and_all_is_deployed(model: str, task: str) -> None:
    found = count(FULL, info_of(model), catalog.find_task(task), FULL.knobs())
    assert found.trained + found.head == found.total == found.deployed
    assert (found.head > 0) == (model == "roberta-large")


def test_a_tied_projection_is_trained_once() -> None:
    learner = empty_learner(info_of("gpt2"), "text", 0)
    FULL.attach(learner, FULL.knobs())
    names = [name for name, _ in learner.named_trained()]
    assert sum("wte" in name or "lm_head" in name for name in names) == 1


def test_larger_models_take_smaller_steps() -> None:
    task = catalog.find_task("multinli")
    rates = [FULL.defaults(info_of(n), task)["learning_rate"].value for n in
             ("all-minilm-l6-v2", "roberta-large")]  # fmt: skip
    assert rates[0] > rates[1]
