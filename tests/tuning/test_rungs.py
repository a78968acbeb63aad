from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.tuning.budget import trials_for
from tarazu.tuning.rungs import Scored, ranking, rungs, survivors

SCORES = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 0.75, math.nan]))
LOSSES = st.one_of(st.none(), st.sampled_from([0.5, 1.0, math.inf, math.nan]))
TRIALS = st.lists(st.tuples(SCORES, LOSSES), min_size=1, max_size=12).map(
    lambda rows: [Scored(number, score, loss) for number, (score, loss) in enumerate(rows)]
)


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        (0, []),
        (1, [(1.0, 1)]),
        (2, [(0.25, 2), (1.0, 1)]),
        (3, [(0.25, 3), (0.5, 2), (1.0, 1)]),
        (4, [(0.25, 4), (0.5, 2), (1.0, 1)]),
        (5, [(0.25, 5), (0.5, 3), (1.0, 2)]),
        (8, [(0.25, 8), (0.5, 4), (1.0, 2)]),
        (9, [(0.25, 9), (0.5, 5), (1.0, 3)]),
    ],
)
def test_the_better_half_rounded_up_goes_on(trials: int, expected: list[tuple[float, int]]) -> None:
    assert [(rung.share, rung.trials) for rung in rungs(trials, pruning=True)] == expected


def test_without_pruning_all_trials_are_whole() -> None:
    assert [(rung.share, rung.trials) for rung in rungs(8, pruning=False)] == [(1.0, 8)]
    assert rungs(0, pruning=False) == ()


def test_ties_go_to_the_lower_loss_and_then_to_the_lower_number() -> None:
    same = [Scored(2, 0.5, 1.0), Scored(1, 0.5, 1.0), Scored(0, 0.5, 2.0), Scored(3, 0.6, 9.0)]
    assert ranking(same) == [3, 1, 2, 0]
    without = [Scored(2, 0.5), Scored(1, 0.5), Scored(5, 0.5, 0.1), Scored(4, 0.5, math.nan)]
    assert ranking(without) == [5, 1, 2, 4]


def test_what_failed_never_goes_on() -> None:
    scored = [Scored(0, None), Scored(1, 0.1), Scored(2, math.nan), Scored(3, None)]
    assert survivors(scored, 3) == [1]
    assert survivors([Scored(0, None)], 1) == []


@given(TRIALS, st.randoms(), st.integers(0, 12))
def test_the_order_of_completion_plays_no_part(trials, random, count) -> None:
    shuffled = list(trials)
    random.shuffle(shuffled)
    assert ranking(shuffled) == ranking(trials)
    assert survivors(shuffled, count) == survivors(trials, count)


@given(TRIALS, st.integers(1, 12))
def test_no_trial_that_stays_behind_is_better_than_one_that_goes_on(trials, count) -> None:
    on = survivors(trials, count)
    scores = {trial.number: trial.score for trial in trials}
    behind = [n for n, s in scores.items() if n not in on and s is not None and not math.isnan(s)]
    assert len(on) <= count
    assert all(scores[a] >= scores[b] for a in on for b in behind)


def test_seconds_are_turned_into_whole_trials_of_every_entry() -> None:
    assert trials_for(100, {"a": 10.0, "b": 15.0}) == 4
    assert trials_for(99.9, {"a": 10.0, "b": 15.0}) == 3
    assert trials_for(1, {"a": 10.0}) == 1
    assert trials_for(1e9, {"a": 1.0}) == 1000
    assert trials_for(60, {}) == 1000
