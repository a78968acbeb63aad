from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import squad as torchmetrics_squad

from tarazu.evaluation.squad import best_over_golds, exact_match, normalize_answer, token_f1

WORDS = st.sampled_from(
    ["the", "The", "a", "an", "Denver", "Broncos", "denver", "1976", "U.S.", "state-of-the-art",
     "it's", "—", "“quoted”", "(a)", "AN", "theatre", "24–10", "naïve", "سلام", "\t", "\n", "."]
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(WORDS, max_size=6).map(" ".join),
    st.text(alphabet=string.ascii_letters + string.punctuation + " \t\n", max_size=20),
    st.text(max_size=12),
)


def reference(answer: str, golds: list[str]) -> dict[str, float]:
    """torchmetrics' SQuAD, brought from 0..100 to 0..1."""
    target = {"answers": {"answer_start": [0] * len(golds), "text": golds}, "id": "1"}
    result = torchmetrics_squad([{"prediction_text": answer, "id": "1"}], [target])
    return {name: float(value) / 100 for name, value in result.items()}


def ours(answer: str, golds: list[str]) -> dict[str, float]:
    return {
        "exact_match": best_over_golds(exact_match, answer, golds),
        "f1": best_over_golds(token_f1, answer, golds),
    }


# The first two are torchmetrics' own cases (its documentation and unit tests).
@pytest.mark.parametrize(
    ("answer", "golds", "exact", "f1"),
    [
        ("1976", ["1976"], 1.0, 1.0),
        ("Hello", ["World"], 0.0, 0.0),
        ("Hello!", ["the hello"], 1.0, 1.0),
        ("1976", ["1976", "in 1976"], 1.0, 1.0),
        ("Denver Broncos", ["Denver Broncos", "Denver"], 1.0, 1.0),
        ("this is a test", ["test"], 0.0, 0.5),
    ],
)
def test_t18_known_cases(answer: str, golds: list[str], exact: float, f1: float) -> None:
    assert ours(answer, golds) == pytest.approx({"exact_match": exact, "f1": f1})
    assert reference(answer, golds) == pytest.approx({"exact_match": exact, "f1": f1})


@settings(max_examples=600, deadline=None)
@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_t18_equals_torchmetrics(answer: str, golds: list[str]) -> None:
    assert ours(answer, golds) == pytest.approx(reference(answer, golds), abs=1e-6)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_f1_is_symmetric_and_never_below_exact_match(one: str, other: str) -> None:
    for language in ("en", "fa"):
        f1 = token_f1(one, other, language)
        assert f1 == token_f1(other, one, language)
        assert exact_match(one, other, language) <= f1 <= 1


def test_english_normalisation() -> None:
    assert normalize_answer("The  U.S.\tArmy's an (a) thing!") == "us armys thing"
    assert normalize_answer("theatre") == "theatre"
    # The published script knows ASCII punctuation only.
    assert normalize_answer("24–10") == "24–10"


def test_other_languages_keep_articles_and_lose_all_punctuation() -> None:
    assert normalize_answer("The a", "de") == "the a"
    assert normalize_answer("«تهران»،", "fa") == "تهران"
    assert normalize_answer("24–10", "fa") == "2410"


def test_persian_spellings_are_the_same() -> None:
    assert exact_match("كتاب‌هاي ۱۲", "کتاب های 12", "fa") == 1
    assert exact_match("كتاب", "کتاب", "en") == 0
    assert token_f1("شهرِ تهران", "تهران", "fa") == pytest.approx(2 / 3)


def test_t17_no_answer_is_worth_nothing() -> None:
    assert best_over_golds(exact_match, None, ["the"]) == 0
    assert best_over_golds(token_f1, None, ["None"]) == 0
    # An answer of articles only agrees with such a gold answer, but no answer does not.
    assert best_over_golds(exact_match, "a", ["the"]) == 1
