from __future__ import annotations

import pytest

from tarazu import catalog
from tarazu.counting import count
from tarazu.methods._asking import AnswerKnobs
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo

METHOD = catalog.find_method("zero-shot")
NLI, QA = catalog.find_task("multinli"), catalog.find_task("squad")


def info_of(name: str) -> ModelInfo:
    card = find_card(name)
    assert card is not None
    return info_from_config(card.id, card.config, card=card)


def test_nothing_is_trained_or_stored() -> None:
    found = count(METHOD, info_of("gpt2"), NLI, METHOD.knobs())
    assert (found.trained, found.head, found.deployed) == (0, 0, 0)
    assert found.total == 124_439_808


@pytest.mark.parametrize("name", ["zero-shot", "few-shot", "qlora-text", "qlora-head"])
def test_encoders_cannot_be_asked_in_words(name: str) -> None:
    method = catalog.find_method(name)
    reason = method.supports(info_of("roberta-large"), NLI, method.knobs())
    assert reason is not None
    assert "roberta-large is an encoder" in reason
    assert method.supports(info_of("gpt2"), NLI, method.knobs()) is None


def test_spans_have_no_label_words_to_score() -> None:
    reason = METHOD.supports(info_of("gpt2"), QA, AnswerKnobs(answer="score"))
    assert reason is not None
    assert "set answer to generate" in reason


def test_a_seed_matters_only_when_sampling() -> None:
    assert not METHOD.seeded(AnswerKnobs())
    assert METHOD.seeded(AnswerKnobs(decode={"temperature": 1.0}))
