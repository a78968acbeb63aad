from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tarazu.comparison.correctness import (
    answer_codes,
    gold_codes,
    primary_entries,
    right,
    share_right,
    usually_right,
)
from tarazu.testing.outcomes import make_classes, make_spans


def test_half_of_the_runs_is_not_usually():
    made = make_classes(["a", "a", "a"], {"x": [["a", "a", "b"], ["a", "b", "b"]]}, labels="ab")
    (entry,) = made.entries
    assert usually_right(entry, made).tolist() == [True, False, False]
    assert share_right(entry, made).tolist() == [1.0, 0.5, 0.0]


def test_a_span_is_right_as_a_whole_only():
    """Token F1 is 1 for the right words in another order; exact match is not."""
    made = make_spans([["big red"], ["red"]], {"x": [["red big", "The red."]]})
    (entry,) = made.entries
    assert entry.metrics["f1"].tolist() == [[1.0, 1.0]]
    assert right(entry, made).tolist() == [[False, True]]


def test_without_a_metric_of_whole_answers_the_primary_one_decides():
    made = make_classes(["a", "a"], {"x": [["a", "b"]]}, labels="ab")
    entry = replace(made.entries[0], metrics={"score": np.array([[1.0, 0.999]])})
    assert right(entry, replace(made, primary_metric="score")).tolist() == [[True, False]]


def test_a_missing_score_is_not_right():
    made = make_classes(["a"], {"x": [["a"]]})
    entry = replace(made.entries[0], metrics={"accuracy": np.array([[np.nan]])})
    assert right(entry, made).tolist() == [[False]]


def test_codes_follow_the_labels_and_tell_unparsable_answers():
    made = make_classes(["b", "a", "a"], {"x": [["b", None, "c"]]}, labels=("b", "a"))
    assert gold_codes(made).tolist() == [0, 1, 1]
    assert answer_codes(made.entries[0], made).tolist() == [[0, -1, -1]]


def test_a_gold_label_that_the_task_does_not_have_is_refused():
    with pytest.raises(ValueError, match="gold labels"):
        gold_codes(make_classes(["z"], {"x": [["a"]]}, labels="ab"))


def test_other_forms_are_no_entries_of_their_own():
    made = make_classes(["a"], {"q": [["a"]], "q:merged": [["a"]]})
    assert [one.id for one in primary_entries(made)] == ["q"]
