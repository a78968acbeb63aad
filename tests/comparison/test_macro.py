from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tarazu.comparison.macro import macro_f1_values

LABELS = ("x", "y", "z")


@given(
    st.lists(
        st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, None])),
        min_size=1,
        max_size=40,
    )
)
def test_the_mean_is_macro_f1(pairs):
    gold = [one for one, _ in pairs]
    answers = np.array([[answer for _, answer in pairs]], dtype=object)
    # scikit-learn knows no missing answers: a fourth class that is left out of the mean.
    told = [answer or "none" for answer in answers[0]]
    expected = f1_score(gold, told, labels=list(LABELS), average="macro", zero_division=0)
    assert macro_f1_values(answers, gold, LABELS).mean() == pytest.approx(expected)


def test_the_spread_is_that_of_macro_f1():
    """Over many samples the spread of macro-F1 is what one sample's values say."""
    rng = np.random.default_rng(0)
    count = 400

    def sample():
        gold = rng.choice(LABELS, count, p=(0.6, 0.3, 0.1))
        wrong = rng.choice(LABELS, count)
        answers = np.where(rng.random(count) < 0.6, gold, wrong).astype(object)
        return macro_f1_values(answers[None], list(gold), LABELS)[0]

    samples = [sample() for _ in range(800)]
    observed = np.std([one.mean() for one in samples], ddof=1)
    predicted = np.mean([one.std(ddof=1) / np.sqrt(count) for one in samples])
    assert predicted == pytest.approx(observed, rel=0.08)


def test_seeds_are_apart():
    answers = np.array([["x", "y"], ["y", "x"]], dtype=object)
    assert list(macro_f1_values(answers, ["x", "y"], ("x", "y")).mean(axis=1)) == [1.0, 0.0]
