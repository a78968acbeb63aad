from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tarazu.comparison.collapse import one_class
from tarazu.testing.outcomes import make_classes

BALANCED = ["a"] * 50 + ["b"] * 50


def held(gold, said, **fields):
    (run,) = one_class(make_classes(gold, {"x": [said]}, labels="ab", **fields))
    return run


def test_95_of_100_answers_are_a_collapse_and_94_are_not():
    assert held(BALANCED, ["a"] * 95 + ["b"] * 5).collapsed
    assert not held(BALANCED, ["a"] * 94 + ["b"] * 6).collapsed


def test_unparsable_answers_are_no_class():
    run = held(BALANCED, ["a"] * 94 + [None] * 6)
    assert (run.label, run.share, run.collapsed) == ("a", pytest.approx(0.94), False)


def test_a_good_classifier_of_unbalanced_data_has_not_collapsed():
    gold = ["a"] * 960 + ["b"] * 40
    good = held(gold, ["a"] * 960 + ["b"] * 40)
    assert good.share == pytest.approx(0.96)
    assert not good.collapsed
    assert not good.no_better
    assert held(gold, ["a"] * 1000).collapsed


def test_no_better_is_held_against_its_own_most_frequent_class():
    """60 answers 'b': always 'b' would be right 50 times; it is right 55 times."""
    said = ["a"] * 22 + ["b"] * 28 + ["a"] * 17 + ["b"] * 33
    run = held(BALANCED, said)
    assert (run.label, run.accuracy, run.constant) == ("b", 0.55, 0.5)
    # Where it says 'a' it is right 22 times and the constant answer 17 times.
    assert run.p_value == pytest.approx(binomtest(22, 39).pvalue)
    assert run.no_better
    assert not run.collapsed


def test_clearly_better_is_better_and_clearly_worse_is_not():
    right = held(BALANCED, BALANCED[:45] + ["b"] * 5 + BALANCED[50:])
    assert not right.no_better
    wrong = held(BALANCED, ["b"] * 50 + ["a"] * 40 + ["b"] * 10)
    assert wrong.p_value < 0.01
    assert wrong.no_better


def test_items_of_one_group_are_one_piece_of_evidence():
    gold, said = ["a"] * 10 + ["b"] * 12, ["a"] * 10 + ["b"] * 12
    assert not held(gold, said).no_better
    assert held(gold, said, groups=np.array([0] * 10 + [1] * 12)).no_better


def test_each_seed_is_held_by_itself_and_baselines_are_told_apart():
    said = {
        "majority": [["a"] * 100],
        "majority@minilm": [["a"] * 100],
        "x": [["a"] * 100, BALANCED],
        "x:merged": [["a"] * 100],
        "silent": [[None] * 100],
    }
    found = one_class(make_classes(BALANCED, said, labels="ab"))
    assert [(run.entry, run.seed, run.collapsed, run.by_design) for run in found] == [
        ("majority", 0, True, True),
        ("majority@minilm", 0, True, True),
        ("x", 0, True, False),
        ("x", 1, False, False),
    ]
    unknown = one_class(make_classes(BALANCED, said, labels="ab"), by_design=())
    assert not any(run.by_design for run in unknown)
