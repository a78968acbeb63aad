from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.comparison.costs import costs, fronts, pareto_front
from tarazu.record.record import Phase, Tuned, VariantResult


def chose(trials):
    return Tuned(
        budget=2, trials=2, seed=7, winner=0, score=0.7, searched={}, fixed=[],
        keys=[trial.key for trial in trials],
    )  # fmt: skip


def test_time_is_split_into_steps_and_trials_are_counted(make):
    trials = [make(seed=7, stage="trial"), make(seed=8, stage="trial")]
    tuned = chose(trials)
    (found,) = costs([make(seed=0, tuned=tuned), make(seed=2, tuned=tuned), *trials])
    # The records by hand: load 1 s, train 100 s and the seed, evaluate 10 s.
    assert found.seconds == {"load": 1.0, "train": 101.0, "evaluate": 10.0, "tune": 237.0}
    assert found.total_seconds == pytest.approx(349.0)
    assert found.seconds_per_thousand == pytest.approx(20.0)  # 500 items in 10 s
    assert found.memory == {"load": 500_000_000, "train": 1_500_000_000, "evaluate": 900_000_000}
    assert found.trained == 294_912 + 1_155


def test_trials_that_chose_something_else_cost_this_result_nothing(make):
    """Of older settings in the same folder, or of another number of training rows."""
    ours, older = make(seed=7, stage="trial"), make(seed=8, stage="trial", rank=4)
    (found,) = costs([older, ours, make(tuned=chose([ours]))])
    assert found.seconds["tune"] == pytest.approx(118.0)
    (found,) = costs([older, make()])
    assert "tune" not in found.seconds


def test_a_merged_form_is_timed_where_it_answers(make):
    merged = VariantResult(variant="merged", split="test", n=500, metrics={"accuracy": 0.7})
    measured = {
        "evaluate": Phase(seconds=10.0, tokens=100, rss=1),
        "evaluate merged": Phase(seconds=4.0, tokens=100, rss=1),
    }
    (found,) = costs([make(others=(merged,), primary_variant="merged", measured=measured)])
    assert found.seconds["evaluate"] == 4.0
    assert found.seconds_per_thousand == pytest.approx(8.0)
    assert found.evaluate_tokens_per_second == pytest.approx(25.0)


def test_what_another_run_had_computed_counts_as_if_computed_here(make):
    alone = {"evaluate": Phase(seconds=10.0, tokens=100)}
    shared = {"evaluate": Phase(seconds=2.0, shared=8.0, tokens=100)}
    for runs in ([make(seed=0, measured=alone)], [make(seed=0, measured=shared)]):
        (found,) = costs(runs)
        assert found.seconds == {"evaluate": 10.0}
        assert found.seconds_per_thousand == pytest.approx(20.0)
        assert found.evaluate_tokens_per_second == pytest.approx(10.0)


def test_tokens_per_second_over_all_seeds(make):
    runs = [
        make(seed=0, measured={"train": Phase(seconds=10.0, tokens=1000)}),
        make(seed=1, measured={"train": Phase(seconds=30.0, tokens=1000)}),
    ]
    (found,) = costs(runs)
    assert found.train_tokens_per_second == pytest.approx(50.0)
    assert found.evaluate_tokens_per_second is None


def test_failed_runs_cost_nothing_that_is_compared(failed):
    assert costs([failed()]) == []


def test_the_front_of_a_small_case():
    points = {"cheap": (0.5, 1.0), "good": (0.9, 10.0), "worse": (0.8, 10.0), "dear": (0.9, 11.0)}
    assert pareto_front(points) == {"cheap", "good"}


def test_equal_points_stand_together():
    assert pareto_front({"a": (0.5, 1.0), "b": (0.5, 1.0)}) == {"a", "b"}


@given(
    st.dictionaries(
        st.text("abc", min_size=1), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1
    )
)
def test_whoever_is_not_on_the_front_is_beaten_by_one_who_is(points):
    front = pareto_front(points)
    assert front
    for name in set(points) - front:
        quality, cost = points[name]
        assert any(points[one][0] >= quality and points[one][1] <= cost for one in front)


def test_fronts_by_split_and_cost(make):
    cheap = {"evaluate": Phase(seconds=1.0, rss=10)}
    dear = {"evaluate": Phase(seconds=9.0, rss=5)}
    records = [
        make("good", accuracy=0.9, measured=dear),
        make("bad", accuracy=0.2, measured=dear),
        make("cheap", accuracy=0.5, measured=cheap, parameters=None),
    ]
    assert fronts(records) == {
        "test": {"seconds": ["good", "cheap"], "memory": ["good"], "deployed": ["good"]}
    }


def test_the_front_of_time_counts_the_trials(make):
    """What needs many trials to be good is not cheap."""
    quick, slow = {"train": Phase(seconds=5.0)}, {"train": Phase(seconds=10.0)}
    trials = [make("tuned", seed=s, stage="trial", measured=slow) for s in (7, 8)]
    records = [
        *trials,
        make("tuned", accuracy=0.5, measured=quick, tuned=chose(trials)),
        make("plain", accuracy=0.6, measured=slow),
    ]
    assert fronts(records)["test"]["seconds"] == ["plain"]
    assert fronts(records[2:])["test"]["seconds"] == ["plain", "tuned"]
