from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax as scipy_log_softmax
from sklearn.metrics import brier_score_loss, log_loss

from tarazu.comparison.calibration import (
    Bin,
    bin_numbers,
    calibration,
    expected_error,
    log_softmax,
    reliability,
)
from tarazu.testing.outcomes import make_classes

LABELS = ("a", "b", "c")


def measured(gold, scores, **fields):
    scores = np.asarray(scores, float)
    scores = scores if scores.ndim == 3 else scores[None]
    said = [[LABELS[place] for place in row.argmax(axis=1)] for row in np.nan_to_num(scores)]
    outcomes = make_classes(gold, {"x": said}, labels=LABELS, scores={"x": scores}, **fields)
    return calibration(outcomes.entries[0], outcomes)


def drawn(count, seed=0, sharpness=1.5):
    """Return scores and gold labels that are drawn by the softmax of the scores."""
    rng = np.random.default_rng(seed)
    scores = sharpness * rng.standard_normal((count, 3))
    shares = np.exp(log_softmax(scores))
    gold = [LABELS[rng.choice(3, p=row)] for row in shares]
    return gold, scores


@given(st.lists(st.lists(st.floats(-80, 80), min_size=3, max_size=3), min_size=1, max_size=9))
def test_log_softmax_is_scipys(rows):
    np.testing.assert_allclose(log_softmax(np.array(rows)), scipy_log_softmax(rows, axis=1))


def test_brier_and_nll_are_scikit_learns():
    gold, scores = drawn(150)
    found = measured(gold, scores)
    shares = np.exp(scipy_log_softmax(scores, axis=1))
    wanted = brier_score_loss(gold, shares, labels=LABELS, scale_by_half=False)
    assert found.brier.mean == pytest.approx(wanted)
    assert found.nll.mean == pytest.approx(log_loss(gold, shares, labels=LABELS))
    assert found.confidence.mean == pytest.approx(shares.max(axis=1).mean())


def test_expected_error_by_hand():
    """40 answers make two bins of 20: 0.55 sure and 10 right, 0.9 sure and 12 right."""
    confidence = np.array([0.55] * 20 + [0.9] * 20)
    right = np.array([True] * 10 + [False] * 10 + [True] * 12 + [False] * 8)
    bins = reliability(confidence, right)
    assert bins == (Bin(20, pytest.approx(0.55), 0.5), Bin(20, pytest.approx(0.9), 0.6))
    assert expected_error(bins) == pytest.approx(0.5 * 0.05 + 0.5 * 0.3)


def test_bins_hold_equally_many_answers_and_never_more_than_fifteen():
    confidence = np.random.default_rng(0).random(3000)
    assert np.bincount(bin_numbers(confidence)).tolist() == [200] * 15
    assert np.bincount(bin_numbers(confidence[:100])).tolist() == [20] * 5
    assert np.bincount(bin_numbers(confidence[:19])).tolist() == [19]


@given(st.lists(st.sampled_from([0.4, 0.5, 0.6, 0.9]), min_size=40, max_size=120))
def test_equal_confidences_share_a_bin_whatever_the_order(values):
    confidence = np.array(values)
    numbers = bin_numbers(confidence)
    assert all(len(set(numbers[confidence == value])) == 1 for value in set(values))
    order = np.argsort(confidence, kind="stable")
    assert (np.diff(numbers[order]) >= 0).all()
    np.testing.assert_array_equal(bin_numbers(confidence[::-1])[::-1], numbers)


def test_perfect_calibration_shows_the_error_of_chance_and_no_gap():
    errors, chances, gaps = [], [], 0
    for seed in range(40):
        found = measured(*drawn(400, seed))
        errors.append(found.ece.mean)
        chances.append(found.ece_by_chance)
        gaps += found.p_gap < 0.05
    assert np.mean(errors) == pytest.approx(np.mean(chances), rel=0.1)
    assert gaps <= 6


def test_an_over_confident_entry_shows_more_than_chance():
    gold, scores = drawn(400)
    found = measured(gold, 4 * scores)
    assert found.ece.mean > 2 * found.ece_by_chance
    assert found.confidence.mean - found.accuracy.mean > 0.1
    assert found.p_gap < 1e-6


def test_items_of_one_group_weigh_as_one_in_the_gap():
    gold, scores = drawn(60)
    single = measured(gold, 2 * scores)
    copied = measured(gold * 10, np.tile(2 * scores, (10, 1)), groups=np.tile(np.arange(60), 10))
    assert copied.p_gap == pytest.approx(single.p_gap, rel=0.05)


def test_seeds_have_a_spread_and_share_the_diagram():
    gold, scores = drawn(80)
    found = measured(gold, np.stack([scores, 3 * scores]))
    assert found.ece.sd is not None
    assert sum(one.answers for one in found.bins) == 160
    assert found.items == 80


def test_items_without_scores_are_left_out_and_an_entry_without_any_is_not_measured():
    gold, scores = drawn(30)
    holed = scores.copy()
    holed[:10] = np.nan
    assert measured(gold, holed).items == 20
    assert measured(gold, np.full((30, 3), np.nan)) is None
    assert measured(gold, scores[:, :2]) is None
    outcomes = make_classes(gold, {"x": [gold]}, labels=LABELS)
    assert calibration(outcomes.entries[0], outcomes) is None


def test_a_gold_label_without_any_probability_costs_infinitely():
    found = measured(["b"], [[0.0, -math.inf, -1.0]])
    assert found.nll.mean == math.inf
    assert found.brier.mean < 2.01
