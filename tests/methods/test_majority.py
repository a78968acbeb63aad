from __future__ import annotations

import math

import pytest

from tarazu.data.item import Item
from tarazu.methods import majority
from tarazu.methods._method import FitContext, Knobs
from tarazu.tasks.multinli import TASK as NLI
from tarazu.tasks.squad import TASK as QA


def pair(number: int, label: str) -> Item:
    return Item(str(number), str(number), {"premise": "a", "hypothesis": "b"}, (label,))


def answer(labels: list[str]) -> tuple[str | None, tuple[float, ...]]:
    train = [pair(n, label) for n, label in enumerate(labels)]
    context = FitContext(NLI, Knobs(), train, [pair(99, "neutral")], seed=0)
    (prediction,) = majority.METHOD.predict(context)  # type: ignore[misc]
    return prediction.predicted, prediction.scores


def test_the_most_frequent_training_label_is_the_answer() -> None:
    predicted, scores = answer(["neutral", "contradiction", "contradiction", "entailment"])
    assert predicted == "contradiction"
    shares = dict(zip(NLI.labels, map(math.exp, scores), strict=True))
    assert shares == pytest.approx({"contradiction": 0.5, "neutral": 0.25, "entailment": 0.25})


def test_of_equally_frequent_labels_the_first_of_the_task_is_taken() -> None:
    for labels in (["contradiction", "neutral"], ["neutral", "contradiction"]):
        predicted, scores = answer(labels)
        assert predicted == next(label for label in NLI.labels if label in labels)
        assert all(math.isfinite(score) for score in scores)


def test_a_span_task_gets_the_commonest_answer_after_normalisation() -> None:
    def question(number: int, gold: str) -> Item:
        return Item(str(number), "g", {"context": gold, "question": "who"}, (gold,), (0,))

    train = [question(n, gold) for n, gold in enumerate(["Ada", "The mill", "the Mill!", "Bo"])]
    context = FitContext(QA, Knobs(), train, [question(9, "Cid")], seed=0)
    (prediction,) = majority.predict(context)
    assert prediction.predicted == prediction.raw == "The mill"
    assert prediction.scores == ()
