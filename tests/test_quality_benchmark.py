"""The statistics of the five-seed comparison, against values known by other means."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scipy import stats


def test_welch_is_scipys_interval_for_unequal_variances(quality: ModuleType) -> None:
    ours, theirs = [0.71, 0.69, 0.74, 0.70, 0.72], [0.66, 0.75, 0.60, 0.71, 0.64]
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert quality.welch(ours, theirs) == pytest.approx((expected.low, expected.high))


def test_welch_of_constant_sides_is_a_point(quality: ModuleType) -> None:
    assert quality.welch([0.5, 0.5], [0.25, 0.25]) == (0.25, 0.25)


def test_welch_covers_the_truth_as_often_as_it_says(quality: ModuleType) -> None:
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(1000):
        low, high = quality.welch(generator.normal(0.7, 0.01, 5), generator.normal(0.7, 0.03, 5))
        inside += low <= 0 <= high
    assert 0.93 <= inside / 1000 <= 0.97


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((-0.1, 0.1), "contains zero"),
        ((0.0, 0.1), "contains zero"),
        ((0.01, 0.1), "favours tarazu"),
        ((-0.1, -0.01), "favours the script"),
        ((0.0, 0.0), "contains zero"),
        ((0.05, 0.05), "no spread between seeds"),
    ],
)
def test_verdict(quality: ModuleType, interval: tuple[float, float], said: str) -> None:
    assert quality.verdict(interval) == said


def test_bootstrap_is_paired_over_items(quality: ModuleType) -> None:
    # Both sides answer every item alike, so hard and easy items cancel whichever are drawn.
    same = np.tile(np.random.default_rng(0).integers(0, 2, 200), (5, 1)).astype(float)
    assert quality.bootstrap(same, same, [str(i) for i in range(200)]) == (0.0, 0.0)


def test_bootstrap_draws_whole_groups(quality: ModuleType) -> None:
    # Rows of one group are copies: the interval must be that of the 40 groups, not of 400 rows.
    generator = np.random.default_rng(2)
    ours, theirs = generator.integers(0, 2, (2, 40)).astype(float)
    single = quality.bootstrap(*(np.tile(side, (2, 1)) for side in (ours, theirs)), range(40))
    copies = [np.tile(np.repeat(side, 10), (2, 1)) for side in (ours, theirs)]
    grouped = quality.bootstrap(*copies, np.repeat(range(40), 10))
    assert grouped == pytest.approx(single)
    apart = quality.bootstrap(*copies, range(400))
    assert apart[1] - apart[0] < 0.5 * (single[1] - single[0])


def test_bootstrap_draws_seeds_of_each_side(quality: ModuleType) -> None:
    # All items are answered alike within a seed, so that only the seeds differ.
    ours = np.repeat([[1.0], [1.0], [0.0], [0.0]], 50, axis=1)
    theirs = ours.copy()
    low, high = quality.bootstrap(ours, theirs, range(50))
    # The mean of four fair draws has variance 1/16 on each side, so the difference has 1/8.
    assert low == pytest.approx(-high, abs=0.3)
    assert high - low == pytest.approx(2 * 1.96 * (1 / 8) ** 0.5, rel=0.3)


def test_row_states_both_sides_and_the_decisive_interval(quality: ModuleType) -> None:
    item = quality.Item
    test = [item(str(i), f"g{i}", {}, ("yes",)) for i in range(4)]

    def side(*right: int) -> list[object]:
        return [
            quality.Answers({str(i): "yes" if i < n else "no" for i in range(4)}, n / 4, 1.0)
            for n in right
        ]

    row = quality.compare(quality.WORKS["sst2-encoder-full"], side(3, 4), side(2, 3), test)
    assert row["ours"]["accuracies"] == [0.75, 1.0]
    assert row["theirs"]["mean"] == pytest.approx(0.625)
    assert row["difference"] == pytest.approx(0.25)
    assert row["ci95"] == pytest.approx(list(quality.welch([0.75, 1.0], [0.5, 0.75])))
    assert row["verdict"] == "contains zero"
    assert "| sst2-encoder-full | 2 |" in quality.table([{**row, "seeds": [0, 1]}])
