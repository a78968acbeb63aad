from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from tarazu.methods._method import Choices, Range, Space
from tarazu.tuning.points import trial_settings

RATE = Range(1e-4, 1e-1, "r", "s", log=True)
SPACE: Space = {"rate": RATE, "k": Choices((1, 2, 4), "r", "s"), "c": Range(0.0, 1.0, "r", "s")}
DEFAULT = {"rate": 1e-3, "k": 2, "c": 0.5, "not searched": 7}
SMALL: Space = {"a": Choices((1, 2, 3), "r", "s"), "b": Choices(("x", None), "r", "s")}


def points(trials: int, seed: int = 0, space: Space = SPACE) -> list[dict[str, Any]]:
    return trial_settings(space, {**DEFAULT, "a": 1, "b": "x"}, trials=trials, seed=seed)


def test_trial_0_is_the_default_settings() -> None:
    assert points(1) == [{"rate": 1e-3, "k": 2, "c": 0.5}]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**31))
def test_a_number_has_the_same_settings_whatever_the_budget(a: int, b: int, seed: int) -> None:
    shorter, longer = sorted((a, b))
    assert points(longer, seed)[:shorter] == points(shorter, seed)


def test_the_seed_decides_and_nothing_else() -> None:
    np.random.seed(1)
    first = points(9, seed=4)
    np.random.seed(2)
    assert points(9, seed=4) == first
    assert points(9, seed=5)[1:] != first[1:]


def test_values_are_of_the_scrambled_sobol_sequence_on_their_own_scale() -> None:
    raw = qmc.Sobol(3, scramble=True, rng=np.random.default_rng(7)).random_base2(4)
    for values, (u, v, w) in zip(points(9, seed=7)[1:], raw, strict=False):
        assert values["rate"] == pytest.approx(1e-4 * 1000**u, rel=5e-3)
        assert values["k"] == (1, 2, 4)[int(3 * v)]
        assert values["c"] == pytest.approx(w, abs=5e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_t33_rates_are_spread_evenly_over_the_orders_of_magnitude(seed: int) -> None:
    rates = [values["rate"] for values in points(65, seed)[1:]]
    assert all(RATE.low <= rate <= RATE.high for rate in rates)
    decades = [math.floor(math.log10(rate) + 4) for rate in rates if rate < 0.1]
    counts = [decades.count(decade) for decade in range(3)]
    # On a linear scale 58 of 64 would lie in the highest one.
    assert all(18 <= count <= 25 for count in counts), counts


def test_a_small_space_is_tried_once_and_the_rest_is_not_made_up() -> None:
    found = points(50, space=SMALL)
    assert len(found) == 6
    assert len({str(values) for values in found}) == 6
    assert points(4, space=SMALL) == found[:4]


def test_nothing_to_search_means_no_trials() -> None:
    assert trial_settings({}, DEFAULT, trials=8, seed=0) == []


def test_ends_of_a_range_are_not_left_by_rounding() -> None:
    item = Range(1.0006e-4, 1.9994e-4, "r", "s", log=True)
    assert item.at(0.0) == item.low
    assert item.at(0.99999) <= item.high
    assert Choices(("a", "b"), "r", "s").at(0.9999999) == "b"
