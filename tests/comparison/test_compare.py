from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from tarazu.comparison.compare import compare, compare_all, mcnemar
from tarazu.comparison.multiple import letters
from tarazu.comparison.result import Comparison, leading


def right(count: int, of: int) -> np.ndarray:
    return (np.arange(of) < count).astype(float)


def test_mcnemar_agrees_with_statsmodels_on_a_thousand_tables():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        x, y = (rng.random(rng.integers(1, 80)) for _ in range(2))
        size = min(len(x), len(y))
        a, b = (x[:size] < 0.6).astype(float), (y[:size] < rng.random()).astype(float)
        table = [[((a == i) & (b == j)).sum() for j in (1, 0)] for i in (1, 0)]
        expected = statsmodels_mcnemar(table, exact=True).pvalue
        assert mcnemar(a, b) == pytest.approx(min(expected, 1.0))


def test_paired_items_show_what_an_unpaired_test_hides(answered):
    """Trap T36: 220 items, unpaired p ≈ .080, paired p ≈ .008 (lm-evaluation-harness#3868).

    The thread gives the p-values and the number of items; these counts reproduce both.
    """
    both, only_a, only_b, neither = COUNTS
    a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither])
    b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither])
    errors = [np.sqrt(x.mean() * (1 - x.mean()) / 219) for x in (a, b)]
    unpaired = 2 * stats.norm.sf((a.mean() - b.mean()) / np.hypot(*errors))
    (pair,) = compare(answered({"a": a, "b": b}), 0.03).pairs
    assert len(a) == 220
    assert unpaired == pytest.approx(0.080, abs=0.0005)
    assert pair.test == "mcnemar"
    assert pair.p_value == pytest.approx(0.008, abs=0.0005)
    assert pair.separable


COUNTS = (110, 30, 12, 68)


def test_clusters_seeds_and_scores_between_keep_mcnemar_out(answered):
    x, y = right(60, 100), right(40, 100)
    assert compare(answered({"a": x, "b": y}), 0.03).pairs[0].test == "mcnemar"
    grouped = answered({"a": x, "b": y}, groups=np.arange(100) // 2)
    several = answered({"a": np.stack([x, y]), "b": y})
    partial = answered({"a": x * 0.5, "b": y})
    for outcomes in (grouped, several, partial):
        assert compare(outcomes, 0.03).pairs[0].test == "crossed"


def test_every_two_primary_forms_once(answered):
    rng = np.random.default_rng(1)
    scores = {name: rng.integers(0, 2, (3, 60)) for name in ("a", "b", "c", "b:merged")}
    found = compare(answered(scores, secondary=["b:merged"]), 0.03)
    assert [(pair.a, pair.b) for pair in found.pairs] == list(combinations("abc", 2))
    assert set(found.letters) == set("abc")
    assert set(found.intervals) == set(scores)


def test_a_clear_difference_is_found_and_the_groups_say_so(answered):
    rng = np.random.default_rng(2)
    hard = rng.random(600)
    scores = {
        name: (hard + rng.normal(0, 0.1, (3, 600)) < share).astype(float)
        for name, share in (("good", 0.8), ("also-good", 0.8), ("bad", 0.4))
    }
    found = compare(answered(scores), 0.05)
    pairs = {(pair.a, pair.b): pair for pair in found.pairs}
    assert pairs["good", "bad"].separable
    assert pairs["also-good", "bad"].separable
    assert not pairs["good", "also-good"].separable
    assert pairs["good", "also-good"].equivalent
    assert found.letters == {"good": "a", "also-good": "a", "bad": "b"}
    assert found.groups() == [sorted(["good", "also-good"]), ["bad"]] or found.groups() == [
        ["good", "also-good"],
        ["bad"],
    ]
    low, high = pairs["good", "bad"].low, pairs["good", "bad"].high
    assert 0.3 < low < 0.4 < high < 0.5


def test_holm_makes_it_harder_with_every_further_entry(answered):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2, 400).astype(float)
    y = np.where(rng.random(400) < 0.1, 0.0, x)
    alone = compare(answered({"x": x, "y": y}), 0.03).pairs[0]
    others = {f"o{number}": rng.integers(0, 2, 400) for number in range(6)}
    among = compare(answered({"x": x, "y": y, **others}), 0.03).pairs[0]
    assert alone.p_holm == alone.p_value == among.p_value
    assert among.p_holm > among.p_value


def test_few_items_are_no_proof_of_equivalence(answered):
    same = right(15, 20)
    (pair,) = compare(answered({"a": same, "b": same}), 0.03).pairs
    assert pair.difference == 0
    assert not pair.separable
    assert not pair.equivalent


def test_intervals_stay_inside_and_have_a_width_at_the_ends(answered):
    found = compare(answered({"all": np.ones((3, 40)), "none": np.zeros((3, 40))}), 0.03)
    assert found.intervals["all"].high == pytest.approx(1.0)
    assert 0.85 < found.intervals["all"].low < 0.95
    assert found.intervals["none"].low == pytest.approx(0.0)
    assert 0.05 < found.intervals["none"].high < 0.15


def test_one_run_on_single_items_has_wilsons_interval(answered):
    found = compare(answered({"a": right(140, 200), "b": right(100, 200)}), 0.03)
    wilson = stats.binomtest(140, 200).proportion_ci(method="wilson")
    interval = found.intervals["a"]
    assert interval.low == pytest.approx(wilson.low, abs=0.002)
    assert interval.high == pytest.approx(wilson.high, abs=0.002)


def test_the_detectable_difference_is_found_about_as_often_as_promised(answered):
    rng = np.random.default_rng(4)
    hits, told = 0, []
    for _ in range(300):
        hard = rng.random(400)
        x = (hard < 0.6).astype(float)
        y = np.where(rng.random(400) < 0.2, rng.random(400) < 0.6, x).astype(float)
        told.append(compare(answered({"x": x, "y": y}), 0.03).detectable)
    size = float(np.median(told))
    for _ in range(300):
        x = (rng.random(400) < 0.6).astype(float)
        other = (rng.random(400) < 0.6 + size / 0.2).astype(float)
        y = np.where(rng.random(400) < 0.2, other, x)
        hits += compare(answered({"x": x, "y": y}), 0.03).pairs[0].p_value < 0.05
    assert 0.68 < hits / 300 < 0.88


def test_warnings_name_what_is_weak(answered):
    rng = np.random.default_rng(5)
    one = answered({"a": rng.integers(0, 2, 60), "b": rng.integers(0, 2, 60)}, unseeded=["b"])
    (warning,) = compare(one, 0.03).warnings
    assert "One seed only: a." in warning.en
    both = answered({"a": rng.integers(0, 2, 60), "b": rng.integers(0, 2, 60)})
    assert "One seed only: all entries." in compare(both, 0.03).warnings[0].en
    several = {name: rng.integers(0, 2, (3, 60)) for name in "ab"}
    assert compare(answered(several), 0.03).warnings == ()
    few = compare(answered(several, groups=np.arange(60) // 3), 0.03)
    assert "20 groups only" in few.warnings[0].en
    assert "۲۰" not in few.warnings[0].en
    assert "20" in few.warnings[0].fa


def test_without_ground_there_is_no_interval_and_no_test(answered):
    rng = np.random.default_rng(6)
    scores = {name: rng.integers(0, 2, (3, 40)) for name in "ab"}
    found = compare(answered(scores, groups=np.arange(40) // 10), 0.03)
    (pair,) = found.pairs
    assert pair.low is pair.high is pair.p_value is pair.p_holm is None
    assert not pair.separable
    assert not pair.equivalent
    assert found.intervals["a"].low is None
    assert found.detectable is None
    assert "No intervals and no tests" in found.warnings[0].en


def test_groups_go_on_after_z():
    names = [f"e{number}" for number in range(28)]
    found = letters(names, list(combinations(names, 2)))
    comparison = Comparison("test", "accuracy", 9, 9, 0.03, {}, (), found, None, None, ())
    assert comparison.groups() == [[name] for name in names]


def test_one_entry_alone_is_compared_with_nothing(answered):
    found = compare(answered({"a": right(30, 50)}), 0.03)
    assert found.pairs == ()
    assert found.letters == {"a": "a"}
    assert found.detectable is None


def test_the_primary_metric_comes_first_and_macro_f1_is_one_of_them(answered):
    outcomes = answered({"a": right(30, 50), "b": right(20, 50)})
    labelled = replace(outcomes, labels=("x", "y"), gold=(("x",), ("y",)) * 25)
    found = compare_all([labelled], 0.03)
    assert [one.metric for one in found] == ["accuracy", "macro_f1"]
    assert leading(found, "test") is found[0]
    assert leading(found, "other") is None
