from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarazu.data.item import Item
from tarazu.tasks._labels import accuracy, label_reader, macro_f1_over

LABELS = ("entailment", "neutral", "contradiction")
ITEM = Item("1", "g", {"premise": "p", "hypothesis": "h"}, ("entailment",))


def read(text: str, **label_words: str) -> str | None:
    return label_reader(LABELS, label_words)(text, ITEM)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("neutral", "neutral"),
        ("  Neutral.\n", "neutral"),
        ("**CONTRADICTION**", "contradiction"),
        ("“entailment”", "entailment"),
        ("Answer: neutral", "neutral"),
        ("Label: 'Entailment'", "entailment"),
        ("The label is contradiction.", "contradiction"),
        ("entailment, because nothing speaks of a contradiction", "entailment"),
        ("entailment, not contradiction", "entailment"),
        ("neutral\n\nPremise: x\nHypothesis: y\nLabel: contradiction", "neutral"),
        ("neutral, neutral, neutral", "neutral"),
    ],
)
def test_label_is_read(text: str, label: str) -> None:
    assert read(text) == label


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "...",
        "yes",
        "entails",
        "neutrality",
        "entailment or neutral",
        "entailment, neutral, contradiction",
        "neutral/contradiction",
        "It is either neutral or a contradiction",
        "not entailment",
        "This is not a contradiction.",
        "It isn't neutral",
        "neither entailment nor contradiction",
        "I think neutral\nor contradiction",
    ],
)
def test_t17_no_label_is_none(text: str) -> None:
    assert read(text) is None


@settings(deadline=None)
@given(st.text(max_size=40))
def test_t17_text_without_a_label_word_is_never_a_label(text: str) -> None:
    answer = read(text)
    assert answer is None or answer in text.casefold()


def test_label_words_are_read_instead_of_labels() -> None:
    words = {"entailment": "Yes", "neutral": "Maybe", "contradiction": "No"}
    assert read("yes, it does", **words) == "entailment"
    assert read("No.", **words) == "contradiction"
    assert read("entailment", **words) is None


def test_longer_label_words_win() -> None:
    reader = label_reader(("entailment", "not_entailment"), {})
    assert reader("not entailment", ITEM) == "not_entailment"
    assert reader("not_entailment.", ITEM) == "not_entailment"
    assert reader("Entailment", ITEM) == "entailment"


def test_persian_words() -> None:
    words = {"entailment": "استلزام", "neutral": "بی‌طرف", "contradiction": "تناقض"}
    assert read("«بي طرف»", **words) == "neutral"
    assert read("پاسخ: بی‌طرف.", **words) == "neutral"
    assert read("تناقض نیست", **words) is None
    assert read("استلزام یا تناقض", **words) is None


def test_t17_unparsable_is_wrong_and_in_no_class() -> None:
    assert accuracy(None, ITEM) == {"accuracy": 0.0}
    assert accuracy("entailment", ITEM) == {"accuracy": 1.0}
    aggregate = macro_f1_over(LABELS)
    assert aggregate([None], [ITEM]) == {"macro_f1": 0.0}
    assert aggregate(["entailment", None], [ITEM, ITEM])["macro_f1"] == pytest.approx(2 / 3)
