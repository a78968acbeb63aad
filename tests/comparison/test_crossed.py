from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarazu.comparison.crossed import Clusters, Sample, difference, mean


def clusters_of(count: int, size: int = 1) -> Clusters:
    return Clusters.of(np.arange(count) // size)


def test_one_run_on_single_items_has_the_variance_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    x, y = rng.random((1, 400)), rng.random((1, 400))
    clusters = clusters_of(400)
    found = difference(
        Sample.of(x, clusters, seeded=False), Sample.of(y, clusters, seeded=False), clusters
    )
    paired = (x - y)[0]
    squares = ((paired - paired.mean()) ** 2).sum()
    assert found.value == pytest.approx(paired.mean())
    assert found.variance == pytest.approx(squares / 399 / 400)
    assert found.df == pytest.approx(399)


def test_crossed_variance_is_that_of_the_two_way_analysis():
    """One entry: (MS of items + MS of seeds − MS of the rest) / (S·I), Searle et al. 1992."""
    rng = np.random.default_rng(1)
    seeds, items = 6, 50
    scores = (
        rng.standard_normal(items)
        + 2 * rng.standard_normal((seeds, 1))
        + rng.standard_normal((seeds, items))
    )
    of_items, of_seeds, grand = scores.mean(0), scores.mean(1), scores.mean()
    rest = scores - of_items - of_seeds[:, None] + grand
    ms_items = seeds * ((of_items - grand) ** 2).sum() / (items - 1)
    ms_seeds = items * ((of_seeds - grand) ** 2).sum() / (seeds - 1)
    ms_rest = (rest**2).sum() / ((seeds - 1) * (items - 1))
    clusters = clusters_of(items)
    found = mean(Sample.of(scores, clusters), clusters)
    assert found.variance == pytest.approx((ms_items + ms_seeds - ms_rest) / (seeds * items))


def test_items_of_one_group_count_as_one():
    """Three copies of every item say no more than one."""
    rng = np.random.default_rng(2)
    x, y = rng.random((3, 100)), rng.random((3, 100))
    single, tripled = clusters_of(100), clusters_of(300, 3)
    once = difference(Sample.of(x, single), Sample.of(y, single), single)
    copied = difference(
        Sample.of(np.repeat(x, 3, axis=1), tripled),
        Sample.of(np.repeat(y, 3, axis=1), tripled),
        tripled,
    )
    assert copied.value == pytest.approx(once.value)
    assert copied.variance == pytest.approx(once.variance)
    assert copied.df == pytest.approx(once.df)


def test_groups_need_not_stand_together():
    rng = np.random.default_rng(3)
    scores = rng.random((2, 90))
    groups = np.arange(90) // 3
    order = rng.permutation(90)
    together, apart = Clusters.of(groups), Clusters.of(groups[order])
    a = mean(Sample.of(scores, together), together)
    b = mean(Sample.of(scores[:, order], apart), apart)
    assert a.variance == pytest.approx(b.variance)


def test_a_pairing_that_helps_is_used():
    """Two entries that find the same items hard differ more surely than two that do not."""
    rng = np.random.default_rng(4)
    hard = rng.random((1, 500))
    clusters = clusters_of(500)
    a = Sample.of(hard + 0.1, clusters, seeded=False)
    paired = difference(a, Sample.of(hard, clusters, seeded=False), clusters)
    mixed = rng.permutation(hard, axis=1)
    unpaired = difference(a, Sample.of(mixed, clusters, seeded=False), clusters)
    assert paired.variance < unpaired.variance / 5


def test_the_luck_of_the_seed_widens_what_the_items_leave_open():
    rng = np.random.default_rng(5)
    items = rng.random((1, 2000))
    steady = np.repeat(items, 3, axis=0)
    lucky = steady + np.array([[0.05], [0.0], [-0.05]])
    clusters = clusters_of(2000)
    b = Sample.of(items, clusters, seeded=False)
    sure = difference(Sample.of(steady, clusters), b, clusters)
    open_ = difference(Sample.of(lucky, clusters), b, clusters)
    assert sure.value == pytest.approx(open_.value)
    # Seeds at ±5 points around the mean: variance of their mean 0.05² / 3.
    assert open_.variance - sure.variance == pytest.approx(0.05**2 / 3)
    # Nearly all of the variance comes from three seeds, so it is known about as well as they are.
    assert 2 <= open_.df < 3
    assert sure.df == pytest.approx(1999)


def test_agreement_on_few_items_is_no_proof_of_equality():
    same = np.ones((1, 20))
    clusters = clusters_of(20)
    sample = Sample.of(same, clusters, seeded=False)
    assert difference(sample, sample, clusters).error > 0.05


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 40), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_a_difference_has_two_sides(seed, seeds, groups, size):
    rng = np.random.default_rng(seed)
    clusters = clusters_of(groups * size, size)
    a, b = (Sample.of(rng.integers(0, 2, (seeds, groups * size)) * 1.0, clusters) for _ in "ab")
    one, other = difference(a, b, clusters), difference(b, a, clusters)
    assert one.value == pytest.approx(-other.value)
    assert one.variance == pytest.approx(other.variance)
    assert one.df == pytest.approx(other.df)
    assert one.variance > 0
    assert one.df >= min(groups - 1, max(seeds - 1, 1)) * 0.999
