from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from tarazu.comparison.multiple import holm
from tarazu.comparison.slices import slice_scores, weakest, wilson
from tarazu.testing.outcomes import make_classes


def made(right, slices, **fields):
    """Return outcomes of entries that are right where told, seeds × items."""
    tables = {name: np.atleast_2d(rows) for name, rows in right.items()}
    said = {name: np.where(rows, "a", "b").tolist() for name, rows in tables.items()}
    count = next(iter(tables.values())).shape[1]
    return make_classes(["a"] * count, said, labels="ab", slices=slices, **fields)


def halves(count):
    return {"kind": ("first",) * (count // 2) + ("second",) * (count - count // 2)}


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_statsmodels(counts):
    right, count = counts
    low, high = wilson(right / count, count, 1.959963984540054)
    wanted = proportion_confint(right, count, method="wilson")
    assert (low, high) == pytest.approx(wanted, abs=1e-9)


def test_one_item_groups_have_wilsons_interval():
    rights = np.arange(100) % 4 > 0
    found = slice_scores(made({"x": rights}, halves(100)))
    for score, part in zip(found, (rights[:50], rights[50:]), strict=True):
        assert (score.items, score.groups) == (50, 50)
        wanted = proportion_confint(part.sum(), 50, method="wilson")
        assert (score.low, score.high) == pytest.approx(wanted)


def test_items_of_one_group_move_together():
    """Three copies of every item: the interval must be about that of the items themselves."""
    rng = np.random.default_rng(0)
    rights = rng.random(120) < 0.7
    once = slice_scores(made({"x": rights}, halves(120)))[0]
    copied = slice_scores(
        made({"x": np.repeat(rights, 3)}, halves(360), groups=np.repeat(np.arange(120), 3))
    )[0]
    assert copied.groups == once.groups == 60
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.05)


def test_a_slice_that_is_all_right_still_has_a_width():
    single = slice_scores(made({"x": np.ones(80, bool)}, halves(80)))[0]
    grouped = slice_scores(
        made({"x": np.ones(80, bool)}, halves(80), groups=np.repeat(np.arange(40), 2))
    )[0]
    assert single.low == pytest.approx(proportion_confint(40, 40, method="wilson")[0])
    # Nothing shows how much items of a group depend on each other: 20 groups are 20 answers.
    assert grouped.low == pytest.approx(wilson(1.0, 20, t.ppf(0.975, 19))[0])
    assert single.high == grouped.high == 1.0


def test_seeds_that_differ_widen_the_interval():
    rng = np.random.default_rng(1)
    steady = np.tile(rng.random(200) < 0.6, (3, 1))
    shaky = np.stack([rng.random(200) < share for share in (0.4, 0.6, 0.8)])
    found = slice_scores(made({"steady": steady, "shaky": shaky}, halves(200)))
    widths = {one.entry: one.high - one.low for one in found if one.value == "first"}
    assert widths["shaky"] > 1.5 * widths["steady"]


def test_a_slice_of_one_group_of_several_items_has_no_interval():
    groups = [0] * 5 + list(range(1, 41))
    values = ("one",) * 5 + ("rest",) * 40
    found = slice_scores(made({"x": [True] * 45}, {"kind": values}, groups=np.array(groups)))
    assert (found[0].groups, found[0].low, found[0].high) == (1, None, None)


def test_small_slices_are_marked_and_not_tested():
    rights = np.ones(100, bool)
    rights[:29] = False
    values = ("rare",) * 29 + ("common",) * 71
    rare, common = slice_scores(made({"x": rights}, {"kind": values}))[::-1]
    assert (rare.value, rare.small, rare.p_value, rare.weak) == ("rare", True, None, False)
    # The rest of the common slice is the rare one: too small to be held against.
    assert (common.small, common.p_value) == (False, None)


def test_a_weak_slice_is_found_and_the_strong_rest_is_not():
    rng = np.random.default_rng(2)
    rights = np.concatenate([rng.random(60) < 0.35, rng.random(240) < 0.85])
    values = ("hard",) * 60 + ("easy",) * 240
    scores = slice_scores(made({"x": rights}, {"kind": values}))
    easy, hard = scores
    assert hard.weak
    assert not easy.weak
    assert hard.difference == pytest.approx(rights[:60].mean() - rights.mean())
    assert weakest(scores)["x"] is hard


def test_p_values_are_adjusted_for_all_slices_of_all_entries():
    rng = np.random.default_rng(3)
    rights = {name: rng.random(200) < 0.6 for name in "xyz"}
    slices = {"kind": halves(200)["kind"], "other": tuple("pq" * 100)}
    scores = slice_scores(made(rights, slices))
    assert len(scores) == 3 * 2 * 2
    assert [one.p_holm for one in scores] == holm([one.p_value for one in scores])


def test_items_without_a_value_are_in_no_slice():
    values = ("yes",) * 40 + (None,) * 60
    (score,) = slice_scores(made({"x": np.ones(100, bool)}, {"kind": values}))
    assert (score.value, score.items) == ("yes", 40)


def test_ranges_stand_in_the_order_of_their_numbers():
    values = ("10+", "4-9", "1-3", "other", "entity")
    found = slice_scores(made({"x": [True] * 5}, {"length": values}))
    assert [one.value for one in found] == ["1-3", "4-9", "10+", "entity", "other"]


def test_a_slice_without_any_right_answer_is_not_certain_by_its_lack_of_variance():
    """By chance 0.9³⁰ = 4 %; the residuals' own variance alone would give p ≈ 1e-5."""
    rights = np.zeros(300, bool)
    rights[30:60] = True
    values = ("none",) * 30 + ("some",) * 270
    none = next(
        one for one in slice_scores(made({"x": rights}, {"k": values})) if one.value == "none"
    )
    assert none.mean == 0
    assert 0.02 < none.p_value < 0.2


@pytest.mark.parametrize(
    ("seeds", "size", "mean"), [(1, 1, 0.5), (1, 3, 0.5), (3, 1, 0.5), (1, 1, 3.0), (1, 1, -3.0)]
)
def test_where_no_slice_is_weak_hardly_any_study_finds_one(seeds, size, mean):
    """Family-wise: at most 5 % of studies may name a weak slice; 120 of them, so at most 9 %."""
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(120):
        groups = np.repeat(np.arange(240 // size), size)
        ability = rng.normal(mean, 1.0, size=(2, 1, 240 // size))
        seed_effect = rng.normal(0, 0.3, size=(2, seeds, 1))
        chance = 1 / (1 + np.exp(-(ability + seed_effect)))
        rights = rng.random((2, seeds, 240)) < chance[:, :, groups]
        slices = {name: tuple(rng.choice(["p", "q", "r"], size=240).tolist()) for name in "klmn"}
        outcomes = made({"x": rights[0], "y": rights[1]}, slices, groups=groups)
        false += any(one.weak for one in slice_scores(outcomes))
    assert false <= 11
