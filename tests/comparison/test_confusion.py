from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tarazu.comparison.confusion import confusion
from tarazu.evaluation.metrics import macro_f1
from tarazu.testing.outcomes import make_classes

LABELS = ("b", "a", "c")
ANSWERS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from((*LABELS, None, "other"))),
    min_size=1,
    max_size=40,
)


def confused(gold, *rows):
    outcomes = make_classes(gold, {"x": rows}, labels=LABELS)
    return confusion(outcomes.entries[0], outcomes)


def test_by_hand_over_two_seeds():
    found = confused(["a", "a", "b", "b"], ["a", "b", "b", None], ["a", "a", "b", "b"])
    # Rows b, a, c; columns b, a, c, unparsable.
    assert found.counts[0].tolist() == [[1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert found.mean()[0].tolist() == [1.5, 0, 0, 0.5]
    quality = found.classes["b"]
    assert quality.precision.mean == pytest.approx((1 / 2 + 1) / 2)
    assert quality.recall.mean == pytest.approx((1 / 2 + 1) / 2)
    assert quality.f1.sd == pytest.approx(0.5 / np.sqrt(2))
    assert quality.items == 2
    # b: F1 = 1/2, a: F1 = 2/3; c does not occur. Then 1.
    assert found.macro_f1.mean == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1) / 2)


@given(ANSWERS)
def test_scikit_learn_counts_the_same(pairs):
    gold, said = map(list, zip(*pairs, strict=True))
    found = confused(gold, said)
    readable = [one if one in LABELS else "?" for one in said]
    wanted = confusion_matrix(gold, readable, labels=[*LABELS, "?"])[:-1]
    assert found.counts[0].tolist() == wanted.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, items = precision_recall_fscore_support(
            gold, readable, labels=LABELS, zero_division=0
        )
    for place, label in enumerate(LABELS):
        quality = found.classes[label]
        assert quality.precision.mean == pytest.approx(precision[place])
        assert quality.recall.mean == pytest.approx(recall[place])
        assert quality.f1.mean == pytest.approx(f1[place])
        assert quality.items == items[place]


@given(ANSWERS)
def test_macro_f1_is_that_of_the_table(pairs):
    gold, said = map(list, zip(*pairs, strict=True))
    assert confused(gold, said).macro_f1.mean == pytest.approx(macro_f1(gold, said, LABELS))
