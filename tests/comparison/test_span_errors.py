from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.comparison.span_errors import KIND_MEANINGS, KIND_NAMES, KINDS, span_errors, span_kind
from tarazu.evaluation.squad import normalize_answer
from tarazu.testing.outcomes import make_spans

CONTEXT = "The red fox met a grey wolf near the old stone bridge in May 1923."


@pytest.mark.parametrize(
    ("answer", "golds", "kind"),
    [
        ("grey wolf", ["grey wolf"], "exact"),
        ("The Grey Wolf.", ["wolf", "a grey wolf"], "exact"),
        ("a grey wolf near the bridge", ["grey wolf"], "over-long"),
        ("wolf", ["grey wolf"], "too-short"),
        ("fox", ["the red fox met", "wolf"], "too-short"),
        ("wolf near", ["grey wolf"], "overlapping"),
        ("wolf grey", ["grey wolf"], "overlapping"),
        ("old stone bridge", ["grey wolf"], "wrong-place"),
        ("wooden bridge", ["grey wolf"], "not-in-text"),
        ("ridge", ["grey wolf"], "not-in-text"),
        ("wolfhound", ["wolf"], "not-in-text"),
        ("the", ["grey wolf"], "empty"),
        ("...", ["grey wolf"], "empty"),
    ],
)
def test_kinds_by_hand(answer, golds, kind):
    assert span_kind(answer, answer, golds, CONTEXT) == kind


@pytest.mark.parametrize(
    ("raw", "kind"), [("", "empty"), (" \n", "empty"), ("''", "unparsable"), (None, "unparsable")]
)
def test_no_answer_is_empty_only_where_nothing_was_generated(raw, kind):
    assert span_kind(None, raw, ["wolf"], CONTEXT) == kind


def test_what_contains_one_gold_answer_and_lies_inside_another_is_over_long():
    assert span_kind("grey wolf", "", ["wolf", "a big grey wolf"], CONTEXT) == "over-long"


def test_a_gold_answer_of_which_nothing_is_left_stands_in_nothing():
    assert span_kind("fox", "", ["the"], CONTEXT) == "wrong-place"
    assert span_kind("a", "", ["the"], CONTEXT) == "exact"


def test_persian_answers_are_compared_by_their_own_rules():
    context = "کتاب‌ها در تهران چاپ شد."
    assert span_kind("كتاب‌ها", "", ["کتاب ها"], context, "fa") == "exact"
    assert span_kind("در تهران", "", ["تهران"], context, "fa") == "over-long"
    assert span_kind("چاپ شد", "", ["تهران"], context, "fa") == "wrong-place"


WORDS = st.lists(st.sampled_from(["red", "fox", "wolf", "May", "the", "a", "."]), max_size=4)
TEXTS = WORDS.map(" ".join)


def inside(part, whole):
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), TEXTS)
def test_every_answer_has_the_one_kind_whose_description_it_fits(answer, golds, context):
    """Each kind, described by itself without an order, fits exactly one answer."""

    def tokens(text):
        return normalize_answer(text).split()

    said, rights = tokens(answer), [tokens(gold) for gold in golds]
    spoken = [right for right in rights if right]
    exact = said in rights
    longer = any(inside(right, said) for right in spoken)
    shorter = any(inside(said, right) for right in spoken)
    shares = any(set(said) & set(right) for right in spoken)
    found = inside(said, tokens(context))
    fits = {
        "exact": exact,
        "empty": not said and not exact,
        "over-long": bool(said) and longer and not exact,
        "too-short": bool(said) and shorter and not longer and not exact,
        "overlapping": shares and not shorter and not longer and not exact,
        "wrong-place": bool(said) and not shares and found and not exact,
        "not-in-text": bool(said) and not shares and not found and not exact,
    }
    assert [kind for kind, fit in fits.items() if fit] == [
        span_kind(answer, answer, golds, context)
    ]


@given(st.one_of(st.none(), TEXTS), TEXTS, TEXTS)
def test_a_redacted_study_only_loses_the_two_kinds_that_need_the_context(answer, raw, gold):
    known = span_kind(answer, raw, [gold], CONTEXT)
    redacted = span_kind(answer, raw, [gold], None)
    lost = known in ("wrong-place", "not-in-text")
    assert redacted == ("elsewhere" if lost else known)


def made(**fields):
    return make_spans(
        [["grey wolf"], ["red fox"], ["May 1923"]],
        {
            "x": [["grey wolf", "fox", "1923"], ["a grey wolf", "the red fox", "bridge"]],
            "y": [[None, "red fox met", "May 1923"]],
        },
        **fields,
    )


def test_counts_are_by_seed_and_add_up_to_the_items():
    x, y = span_errors(made(texts={"context": (CONTEXT,) * 3}))
    assert x.counts("too-short").tolist() == [2, 0]
    assert x.counts("exact").tolist() == [1, 2]
    assert x.counts("wrong-place").tolist() == [0, 1]
    assert x.spread("too-short").mean == pytest.approx(1 / 3)
    assert y.counts("empty").tolist() == [1]
    assert sum(x.counts(kind) for kind in KINDS).tolist() == [3, 3]


def test_without_texts_two_kinds_are_one():
    x, _ = span_errors(made())
    assert x.counts("elsewhere").tolist() == [0, 1]


def test_examples_name_the_item_and_a_seed_that_shows_it():
    (x, _) = span_errors(made(texts={"context": (CONTEXT,) * 3}))
    assert x.examples("too-short") == [(1, 0), (2, 0)]
    assert x.examples("exact", limit=1) == [(0, 0)]
    assert x.examples("wrong-place") == [(2, 1)]
    assert x.examples("empty") == []


def test_exact_is_exact_match_and_no_other_kind_is():
    outcomes = made(texts={"context": (CONTEXT,) * 3})
    for found in span_errors(outcomes):
        exact = found.kinds == KINDS.index("exact")
        np.testing.assert_array_equal(exact, outcomes.entry(found.entry).metrics["exact_match"])


def test_every_kind_has_a_name_and_a_meaning_in_both_languages():
    assert set(KIND_NAMES) == set(KIND_MEANINGS) == set(KINDS)
    texts = [*KIND_NAMES.values(), *KIND_MEANINGS.values()]
    assert all(text.en and text.fa for text in texts)
    assert len({name.fa for name in KIND_NAMES.values()}) == len(KINDS)
