from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import polygamma

from tarazu.comparison.crossed import Sample
from tarazu.comparison.moderated import _inverse_trigamma, moderated


def sample(between: float, seeds: int = 3) -> Sample:
    return Sample(0.5, np.zeros(4), between, 0.0, seeds - 1.0, math.inf, seeds, True)


def test_alike_entries_share_one_variance_known_from_all_seeds():
    found = moderated([sample(v) for v in (0.9, 1.3, 0.8, 0.95)])
    pooled = np.mean([0.9, 1.3, 0.8, 0.95])
    assert [one.between for one in found] == pytest.approx([pooled, 1.3, pooled, pooled])
    # Two degrees of freedom of each of four entries; those above the pool keep their own.
    assert [one.df for one in found] == [8, 2, 8, 8]
    assert all(one.most_df == 8 for one in found)


def test_no_variance_is_drawn_down_and_luck_near_zero_is_raised():
    given_ = [4.0, 3.0, 5.0, 0.3, 3.5, 4.5]
    found = [one.between for one in moderated([sample(v) for v in given_])]
    assert all(new >= old for new, old in zip(found, given_, strict=True))
    assert found[3] > 1.0


def test_uneven_entries_lend_each_other_less():
    alike = moderated([sample(v) for v in (1.0, 1.2, 0.8, 0.1)])
    uneven = moderated([sample(v) for v in (100.0, 0.001, 0.00001, 0.1)])
    assert uneven[3].df < alike[3].df
    assert uneven[3].df < 3


def test_few_entries_and_steady_ones_stay_as_they_are():
    two = [sample(1.0), sample(0.1)]
    assert moderated(two) == two
    single = [sample(0.0, seeds=1), sample(1.0), sample(0.1), sample(0.5)]
    assert moderated(single)[0] is single[0]
    steady = [sample(0.0) for _ in range(4)]
    assert moderated(steady) == steady


@given(st.floats(1e-9, 1e9))
def test_the_inverse_of_trigamma(value):
    assert float(polygamma(1, _inverse_trigamma(value))) == pytest.approx(value, rel=1e-4)


def test_the_prior_is_found_again():
    """Variances drawn from Smyth's model give its parameters back on average."""
    from tarazu.comparison.moderated import _prior

    rng = np.random.default_rng(0)
    d, d0, s0 = 4.0, 10.0, 2.0
    true = d0 * s0 / rng.chisquare(d0, 4000)
    seen = true * rng.chisquare(d, 4000) / d
    found_df, found = _prior(seen, np.full(4000, d))
    assert found_df == pytest.approx(d0, rel=0.2)
    assert found == pytest.approx(s0, rel=0.05)
