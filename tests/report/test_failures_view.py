from __future__ import annotations

import numpy as np
import pytest

from tarazu.comparison.failures import analyse
from tarazu.report.failures_view import failures_view
from tarazu.testing.outcomes import make_classes, make_spans

GOLD = ["a"] * 40 + ["b"] * 40
NASTY = "<script>alert(1)</script> | `x` *y* [z](w)"


def classes(**fields):
    rng = np.random.default_rng(0)
    said = {
        "full": [rng.permutation(GOLD).tolist(), GOLD],
        "q|ora": [["a"] * 80],
        "q|ora:adapter": [[None, *GOLD[1:]]],
    }
    scores = {"full": rng.standard_normal((2, 80, 2))}
    slices = {"kind|s": ("p|q",) * 40 + ("r",) * 40}
    return make_classes(GOLD, said, labels="ab", scores=scores, slices=slices, **fields)


def spans(**fields):
    return make_spans(
        [["grey wolf"], ["red fox"], ["SECRET-GOLD"]],
        {"x": [["SECRET-SAID", "fox", None]], "y": [["grey wolf", "fox", "fox"]]},
        raw={"x": [["", "", "SECRET-RAW"]]},
        **fields,
    )


TEXTS = {
    "question": (NASTY, "SECRET-QUESTION?", "Who?"),
    "context": ("SECRET-CONTEXT grey wolf", "a red fox", "here fox"),
}


def shown(outcomes, **options):
    return "\n\n".join(failures_view(analyse(outcomes), **options))


def rows_of(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_every_part_of_classes_is_there():
    text = shown(classes())
    for title in (
        "Items", "Errors that one fixes of the other", "Slices: accuracy %",
        "Runs no better than one class", "Classes", "Which class is taken for which",
        "Confidence", "Answers that merging or quantising changes",
    ):  # fmt: skip
        assert f"### {title}\n" in text
    assert "collapsed to one class" in text


def test_every_part_of_spans_is_there():
    text = shown(spans(texts=TEXTS))
    assert "### What is wrong with the answers, %" in text
    assert "### Examples of every error" in text
    assert "SECRET-RAW" in text
    assert "SECRET-SAID" in text
    assert "SECRET-GOLD" in text


@pytest.mark.parametrize("language", ["en", "fa"])
def test_tables_keep_their_columns_whatever_the_names(language):
    for outcomes in (classes(), spans(texts=TEXTS)):
        blocks = [
            block for block in shown(outcomes, language=language).split("\n\n")
            if block.startswith("|")
        ]  # fmt: skip
        assert blocks
        for block in blocks:
            bare = [line.replace("\\|", "") for line in block.splitlines()]
            assert len({line.count("|") for line in bare}) == 1


def test_texts_of_the_data_are_escaped():
    text = shown(spans(texts=TEXTS))
    assert "<script>" not in text
    assert "\\<script\\>" in text


@pytest.mark.parametrize(("redacted", "texts"), [(True, TEXTS), (False, {})])
def test_redacted_reports_have_ids_and_no_texts(redacted, texts):
    text = shown(spans(texts=texts), redacted=redacted)
    assert "SECRET" not in text
    assert "grey" not in text
    assert "fox" not in text
    assert "i1" in text


def test_a_study_without_texts_says_which_errors_cannot_be_told_apart():
    assert "cannot be told from one that is not in the text" in shown(spans())
    assert "cannot be told" not in shown(spans(texts=TEXTS))


def test_persian_has_no_english_sentence():
    text = shown(classes(), language="fa")
    assert "نمونه" in text
    for word in (" the ", " of ", "items", "entry", "answers"):
        assert word not in text


def test_what_one_fixes_of_the_other_stands_in_its_row():
    made = make_classes(
        ["a"] * 5,
        {"x": [["a", "a", "a", "b", "b"]], "y": [["b", "b", "a", "a", "b"]]},
        labels="ab",
    )
    text = shown(made)
    assert "| x | – | 2 |" in text
    assert "| y | 1 | – |" in text


def test_nothing_is_shown_where_nothing_was_answered():
    made = make_classes(GOLD, {}, labels="ab")
    assert failures_view(analyse(made)) == []
