from __future__ import annotations

import random
from typing import Any

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tarazu.data.item import Item
from tarazu.methods import full, partial_input
from tarazu.methods._method import FitContext
from tarazu.methods.partial_input import METHOD, PartialInputKnobs
from tarazu.models.info import Kind, ModelInfo
from tarazu.tasks._task import Task
from tarazu.tasks.multinli import TASK as NLI
from tarazu.tasks.squad import TASK as QA
from tarazu.tasks.sst2 import TASK as SENTIMENT


def model(kind: Kind) -> ModelInfo:
    return ModelInfo("tiny", kind, "bert", 8, 2, 30, 64, False, {})


ENCODER, DECODER = model("encoder"), model("decoder")


def pair(number: int, premise: str, hypothesis: str, label: str) -> Item:
    fields = {"premise": premise, "hypothesis": hypothesis}
    return Item(str(number), str(number), fields, (label,))


def question(number: int, text: str, gold: str) -> Item:
    fields = {"question": text, "context": f"It is said that {gold} was there."}
    return Item(str(number), str(number), fields, (gold,), (16,))


def predicted(task: Task, train: list[Item], items: list[Item], **knobs: str) -> list[str | None]:
    chosen = PartialInputKnobs(**knobs)
    shown = [[METHOD.view(item, task, chosen) for item in split] for split in (train, items)]
    context = FitContext(task, chosen, shown[0], shown[1], seed=0)
    return [prediction.predicted for prediction in partial_input.predict(context)]


def test_only_the_field_of_the_task_is_seen() -> None:
    knobs = PartialInputKnobs()
    seen = METHOD.view(pair(1, "A premise.", "A hypothesis.", "neutral"), NLI, knobs)
    assert seen.fields == {"premise": "", "hypothesis": "A hypothesis."}
    asked = METHOD.view(question(1, "Who?", "Ada"), QA, knobs)
    assert asked.fields == {"question": "Who?", "context": ""}
    assert asked.gold == ("Ada",)


def test_another_field_can_be_kept() -> None:
    knobs = PartialInputKnobs(keep="premise")
    seen = METHOD.view(pair(1, "A premise.", "A hypothesis.", "neutral"), NLI, knobs)
    assert seen.fields == {"premise": "A premise.", "hypothesis": ""}


def test_giveaways_in_the_hypothesis_are_found_and_those_in_the_premise_are_not() -> None:
    train = [pair(n, f"p{n}", "nobody sleeps", "contradiction") for n in range(9)]
    train += [pair(20 + n, f"p{n}", "somebody rests", "entailment") for n in range(9)]
    items = [pair(98, "somebody rests", "nobody", "?"), pair(99, "nobody", "somebody", "?")]
    assert predicted(NLI, train, items) == ["contradiction", "entailment"]


def test_a_question_alone_gets_the_answer_of_the_most_similar_question() -> None:
    train = [
        question(1, "Who built the tower?", "Ada"),
        question(2, "When did the harvest end?", "May"),
        question(3, "When did the school open?", "May"),
    ]
    items = [question(8, "Who built a tower here?", "x"), question(9, "???", "x")]
    assert predicted(QA, train, items) == ["Ada", "May"]


def test_all_questions_are_turned_into_numbers_at_once_and_answered_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(0)
    texts = [" ".join(f"w{draw.randint(0, 9)}" for _ in range(4)) for _ in range(60)]
    train = [question(n, text, f"a{n}") for n, text in enumerate(texts[:40])]
    items = [question(100 + n, text, "x") for n, text in enumerate([*texts[30:], "nothing"])]
    calls: list[int] = []
    whole = TfidfVectorizer.transform

    def noted(self: Any, documents: Any) -> Any:
        calls.append(len(documents))
        return whole(self, documents)

    monkeypatch.setattr(TfidfVectorizer, "transform", noted)
    together = predicted(QA, train, items)
    assert calls == [len(items)]
    assert together == [predicted(QA, train, [item])[0] for item in items]
    assert predicted(QA, train, []) == []


def test_a_context_alone_is_answered_with_a_span_of_it() -> None:
    train = [question(n, "Who?", name) for n, name in enumerate(["Ada", "Bo", "Cid"] * 5)]
    assert predicted(QA, train, [question(99, "Who?", "Dora")], keep="context") == ["Dora"]


def test_what_cannot_be_left_out_is_refused() -> None:
    knobs = PartialInputKnobs()
    assert "nothing can be left out" in str(METHOD.supports(None, SENTIMENT, knobs))
    unknown = METHOD.supports(None, NLI, PartialInputKnobs(keep="genre"))
    assert unknown is not None
    assert "premise, hypothesis" in unknown
    assert "span of the context" in str(METHOD.supports(ENCODER, QA, knobs))
    for info, task in [(None, NLI), (None, QA), (ENCODER, NLI), (DECODER, QA)]:
        assert METHOD.supports(info, task, knobs) is None


def test_with_a_model_it_is_full_fine_tuning_on_what_is_left() -> None:
    assert METHOD.needs_model == "optional"
    assert METHOD.trains
    assert METHOD.attach is full.METHOD.attach
    assert METHOD.deployed is full.METHOD.deployed
    assert METHOD.defaults(ENCODER, NLI) == full.METHOD.defaults(ENCODER, NLI)
