from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tarazu.comparison.exact import exact_paired, sign_flip

BOOLS = st.tuples(st.booleans(), st.booleans())


@given(st.lists(BOOLS, min_size=1, max_size=60))
def test_single_items_give_the_exact_test_of_mcnemar(pairs):
    a, b = (np.array(column, bool) for column in zip(*pairs, strict=True))
    won, lost = int((a & ~b).sum()), int((b & ~a).sum())
    wanted = binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert exact_paired(a, b, np.arange(len(a))) == pytest.approx(wanted)


@given(st.lists(st.lists(BOOLS, min_size=1, max_size=4), min_size=1, max_size=8))
def test_groups_give_the_share_of_all_changes_of_place(groups):
    numbers = np.array([number for number, group in enumerate(groups) for _ in group])
    a, b = (np.array([pair[side] for group in groups for pair in group], bool) for side in (0, 1))
    sums = [sum(int(x) - int(y) for x, y in group) for group in groups]
    reached = [
        abs(sum(sign * value for sign, value in zip(signs, sums, strict=True)))
        for signs in product((-1, 1), repeat=len(sums))
    ]
    wanted = np.mean([value >= abs(sum(sums)) for value in reached])
    assert exact_paired(a, b, numbers) == pytest.approx(float(wanted))


def test_ten_copies_of_an_item_are_no_more_evidence_than_one():
    a, b = np.ones(20, bool), np.zeros(20, bool)
    assert exact_paired(a, b, np.arange(20)) == pytest.approx(2 * 0.5**20)
    assert exact_paired(a, b, np.repeat([0, 1], 10)) == pytest.approx(0.5)


def test_whole_numbers_are_flipped_as_they_are():
    sums = np.array([6, -3, 0, 3, 9])
    reached = [
        abs(sum(s * v for s, v in zip(signs, sums, strict=True)))
        for signs in product((-1, 1), repeat=5)
    ]
    wanted = np.mean([value >= 15 for value in reached])
    assert sign_flip(sums, np.arange(5)) == pytest.approx(float(wanted))


def test_tiny_chances_do_not_vanish():
    a, b = np.ones(900, bool), np.zeros(900, bool)
    assert exact_paired(a, b, np.arange(900)) == pytest.approx(2.0**-899, rel=1e-6)
