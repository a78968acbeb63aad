from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support

from tarazu.evaluation.metrics import macro_f1, per_class

LABELS = ("entailment", "neutral", "contradiction")
PAIRS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from((*LABELS, None))), min_size=1, max_size=40
)


@settings(deadline=None)
@given(PAIRS)
def test_t17_equals_sklearn_with_unparsable_as_a_class_of_its_own(
    pairs: list[tuple[str, str | None]],
) -> None:
    golds = [gold for gold, _ in pairs]
    answers = [answer for _, answer in pairs]
    said = [answer or "(unparsable)" for answer in answers]
    precision, recall, f1, items = precision_recall_fscore_support(
        golds, said, labels=LABELS, zero_division=0
    )
    scores = per_class(golds, answers, LABELS)
    assert list(scores) == list(LABELS)
    for i, label in enumerate(LABELS):
        assert scores[label].precision == pytest.approx(precision[i])
        assert scores[label].recall == pytest.approx(recall[i])
        assert scores[label].f1 == pytest.approx(f1[i])
        assert scores[label].items == items[i]
    occurring = [label for label in LABELS if label in golds or label in said]
    expected = f1_score(golds, said, labels=occurring, average="macro", zero_division=0)
    assert macro_f1(golds, answers, LABELS) == pytest.approx(expected)


def test_t17_unparsable_answers_lower_recall_and_no_precision() -> None:
    golds = ["entailment", "entailment", "neutral"]
    scores = per_class(golds, ["entailment", None, "neutral"], LABELS)
    assert scores["entailment"].precision == 1
    assert scores["entailment"].recall == 0.5
    assert scores["neutral"].precision == 1
    assert sum(score.answers for score in scores.values()) == 2
    assert macro_f1(golds, [None, None, None], LABELS) == 0


def test_answers_must_match_the_items() -> None:
    with pytest.raises(ValueError, match="zip"):
        per_class(["neutral"], [], LABELS)
    with pytest.raises(ValueError, match="at least one item"):
        macro_f1([], [], LABELS)
