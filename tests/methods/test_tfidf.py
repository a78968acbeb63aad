from __future__ import annotations

import math
import random
import time

import pytest

from tarazu.data.item import Item, Prediction
from tarazu.errors import BadInput
from tarazu.methods import tfidf
from tarazu.methods._method import FitContext
from tarazu.methods._span_features import find_words
from tarazu.tasks.corpus_nli_fa import TASK as NLI_FA
from tarazu.tasks.multinli import TASK as NLI
from tarazu.tasks.squad import TASK as QA
from tarazu.tasks.sst2 import TASK as SENTIMENT

NAMES = ["Ada Brook", "Tom Field", "Mira Stone", "Ivo Lake", "Nora Hill", "Sam Reed", "Lea Marsh"]
TOWNS = ["Westmoor", "Hallin", "Oakby", "Tarn", "Elmford", "Redcliff", "Sandwick"]


def answers(
    task: object, train: list[Item], items: list[Item], seed: int = 0, **knobs: object
) -> list[Prediction]:
    context = FitContext(task, tfidf.TfidfKnobs(**knobs), train, items, seed)  # type: ignore[arg-type]
    return tfidf.predict(context)


def sentence(number: int, text: str, label: str) -> Item:
    return Item(str(number), str(number), {"text": text}, (label,))


def pair(number: int, premise: str, hypothesis: str, label: str) -> Item:
    fields = {"premise": premise, "hypothesis": hypothesis}
    return Item(str(number), str(number), fields, (label,))


def questions(count: int, seed: int) -> list[Item]:
    """Passages with a person, a town and a year, one of which is asked for."""
    choose = random.Random(seed)
    items = []
    for number in range(count):
        name, town, year = (
            choose.choice(NAMES),
            choose.choice(TOWNS),
            str(choose.randint(1700, 1999)),
        )
        context = (
            f"The old mill stands in {town}. It was built by {name} in {year}. Bread was baked."
        )
        question, gold = choose.choice(
            [("Who built it?", name), ("When was it built?", year), ("Where is the mill?", town)]
        )
        fields = {"context": context, "question": question}
        items.append(Item(str(number), context, fields, (gold,), (context.index(gold),)))
    return items


def test_words_carry_the_label() -> None:
    good, poor = ["a fine warm film", "warm and bright"], ["a dull cold film", "cold and grey"]
    train = [sentence(n, text, "positive") for n, text in enumerate(good * 5)]
    train += [sentence(50 + n, text, "negative") for n, text in enumerate(poor * 5)]
    found = answers(SENTIMENT, train, [sentence(98, "Warm!", "?"), sentence(99, "so COLD", "?")])
    assert [prediction.predicted for prediction in found] == ["positive", "negative"]
    for prediction in found:
        assert len(prediction.scores) == len(SENTIMENT.labels)
        assert sum(map(math.exp, prediction.scores)) == pytest.approx(1)
        assert (
            prediction.predicted
            == SENTIMENT.labels[prediction.scores.index(max(prediction.scores))]
        )


def test_the_same_word_in_another_field_is_another_feature() -> None:
    train = [pair(n, "red", "blue", "entailment") for n in range(9)]
    train += [pair(20 + n, "blue", "red", "contradiction") for n in range(9)]
    items = [pair(98, "red", "blue", "?"), pair(99, "blue", "red", "?")]
    found = answers(NLI, train, items)
    assert [prediction.predicted for prediction in found] == ["entailment", "contradiction"]


def test_t16_scores_stand_in_the_order_of_the_task_and_absent_labels_at_a_floor() -> None:
    train = [pair(n, "x", "yes", "entailment") for n in range(6)]
    train += [pair(20 + n, "x", "no", "contradiction") for n in range(6)]
    (prediction,) = answers(NLI, train, [pair(99, "x", "no", "?")])
    scores = dict(zip(NLI.labels, prediction.scores, strict=True))
    assert scores["contradiction"] > scores["entailment"] > scores["neutral"]
    assert math.isfinite(scores["neutral"])


def test_one_label_or_no_word_at_all_falls_back_to_the_majority() -> None:
    one = [pair(n, "x", "yes", "neutral") for n in range(3)]
    assert answers(NLI, one, [pair(9, "x", "no", "?")])[0].predicted == "neutral"
    mute = [pair(1, "...", "!", "entailment"), *(pair(n, "?", "!", "neutral") for n in (2, 3))]
    assert answers(NLI, mute, [pair(9, "-", "!", "?")])[0].predicted == "neutral"


def test_persian_words_are_split_at_half_spaces_and_folded() -> None:
    assert [w.text for w in find_words("كتاب‌هاي ۱۲٫۵ ما، رفت.")][:2] == ["کتاب", "های"]
    train = [pair(n, "آب گرم است", "آب سرد است", "contradiction") for n in range(5)]
    train += [pair(20 + n, "آب گرم است", "آب گرم است", "entailment") for n in range(5)]
    (prediction,) = answers(NLI_FA, train, [pair(99, "آب گرم است", "سرد است", "?")])
    assert prediction.predicted == "contradiction"


def test_a_number_is_one_word_and_places_are_those_of_the_text() -> None:
    text = "It cost 1,200.50 in 1999, he said."
    words = find_words(text)
    assert [text[w.start : w.end] for w in words] == [
        "It",
        "cost",
        "1,200.50",
        "in",
        "1999",
        "he",
        "said",
    ]


def test_spans_are_found_by_question_word_and_surroundings() -> None:
    train, items = questions(200, seed=1), questions(60, seed=2)
    found = answers(QA, train, items)
    right = [
        QA.score(p.predicted, item)["exact_match"] for p, item in zip(found, items, strict=True)
    ]
    assert sum(right) / len(right) > 0.9
    assert all(
        str(p.predicted) in item.fields["context"] for p, item in zip(found, items, strict=True)
    )


def test_the_gold_of_asked_items_is_not_used() -> None:
    train, items = questions(60, seed=1), questions(20, seed=2)
    blank = [Item(i.id, i.group, i.fields, ("wrong",), (0,)) for i in items]
    assert answers(QA, train, items) == answers(QA, train, blank)


def test_spans_are_the_same_for_the_same_seed() -> None:
    train, items = questions(80, seed=1), questions(20, seed=2)
    assert answers(QA, train, items, seed=3) == answers(QA, train, items, seed=3)


def test_a_context_without_words_is_the_answer_itself() -> None:
    item = Item("x", "x", {"context": "– ! –", "question": "Who?"}, ("a",), (0,))
    (prediction,) = answers(QA, questions(40, seed=1), [item])
    assert prediction.predicted == "– ! –"


def test_answers_longer_than_every_candidate_are_refused_with_a_remedy() -> None:
    text = "one two three four five six"
    item = Item("x", "x", {"context": text, "question": "What?"}, (text,), (0,))
    with pytest.raises(BadInput, match="max_words"):
        answers(QA, [item], [item], max_words=2)


def test_spans_are_fast() -> None:
    started = time.monotonic()
    answers(QA, questions(300, seed=1), questions(100, seed=2))
    assert time.monotonic() - started < 20
