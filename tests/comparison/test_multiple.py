from __future__ import annotations

import gc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from tarazu.comparison.multiple import holm, letters


def test_holm_agrees_with_statsmodels_on_a_thousand_tables(monkeypatch):
    # statsmodels collects garbage twice per call, which takes minutes beside a large heap.
    monkeypatch.setattr(gc, "collect", lambda *generation: 0)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        values = rng.random(rng.integers(1, 30)) ** rng.integers(1, 6)
        if rng.random() < 0.3:  # ties
            values = np.round(values, 1)
        expected = multipletests(values, method="holm")[1]
        np.testing.assert_allclose(holm(list(values)), expected, atol=1e-12)


def test_holm_of_nothing():
    assert holm([]) == []


@given(st.data())
def test_letters_say_exactly_what_the_tests_say(data):
    names = [f"e{number}" for number in range(data.draw(st.integers(1, 9)))]
    pairs = list(combinations(names, 2))
    separable = [pair for pair in pairs if data.draw(st.booleans())]
    found = letters(names, separable)
    for a, b in pairs:
        share = bool(set(_apart(found[a])) & set(_apart(found[b])))
        assert share == ((a, b) not in separable)
    assert all(found.values())


def _apart(letters_of_one: str) -> list[str]:
    found, rest = [], letters_of_one
    while rest:
        end = rest.index(")") + 1 if rest[0] == "(" else 1
        found.append(rest[:end])
        rest = rest[end:]
    return found


def test_the_best_entry_has_the_first_letter():
    assert letters(["best", "middle", "worst"], [("best", "worst")]) == {
        "best": "a",
        "middle": "ab",
        "worst": "b",
    }


def test_pairs_may_be_named_in_either_order():
    assert letters(["x", "y"], [("y", "x")]) == {"x": "a", "y": "b"}


@pytest.mark.parametrize("count", [30, 60])
def test_more_entries_than_letters(count):
    names = [f"e{number}" for number in range(count)]
    found = letters(names, list(combinations(names, 2)))
    assert len(set(found.values())) == count
    assert found["e0"] == "a"
    assert found["e26"] == "(aa)"
