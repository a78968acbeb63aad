"""Trials that go on at a rung bring seconds along, which were spent once."""

from __future__ import annotations

from itertools import permutations

import pytest

from tarazu.comparison.costs import costs
from tarazu.comparison.sensitivity import tunings
from tarazu.comparison.spent import trial_seconds
from tarazu.record.key import content_key
from tarazu.record.record import Phase, RunRecord, Trial, Tuned
from tarazu.testing.records import make_record


def at_rung(
    rung: int, share: float, train: Phase, *, rank: int = 8, evaluate: float = 1.0
) -> RunRecord:
    made = make_record("lora", seed=1000, stage="trial", rank=rank)
    spec = made.spec.model_copy(update={"share": share})
    measured = {"train": train, "evaluate": Phase(seconds=evaluate)}
    changes = {"spec": spec, "key": content_key(spec), "trial": Trial(number=rank, rung=rung)}
    return made.model_copy(update={**changes, "measured": measured})


QUARTER = at_rung(1, 0.25, Phase(seconds=10.0))
HALF = at_rung(2, 0.5, Phase(seconds=19.5, before=9.5))
WHOLE = at_rung(3, 1.0, Phase(seconds=40.0, before=19.0))


def test_what_a_rung_goes_on_from_is_counted_once() -> None:
    assert trial_seconds([QUARTER]) == 11.0
    for order in permutations([QUARTER, HALF, WHOLE]):
        # 10 s, 10 s and 21 s of training, and three times a second of answering.
        assert trial_seconds(order) == pytest.approx(44.0)


def test_two_trials_have_nothing_to_do_with_each_other() -> None:
    other = at_rung(2, 0.5, Phase(seconds=20.0, before=10.0), rank=4)
    assert trial_seconds([QUARTER, other]) == pytest.approx(11.0 + 21.0)


def test_a_trial_whose_state_was_lost_was_trained_twice() -> None:
    assert trial_seconds([QUARTER, at_rung(2, 0.5, Phase(seconds=20.0))]) == 32.0


def test_what_a_killed_process_had_trained_is_counted() -> None:
    """Killed at 16 s in the second rung, and gone on from there."""
    killed = at_rung(2, 0.5, Phase(seconds=21.0, before=16.0))
    assert trial_seconds([QUARTER, killed]) == pytest.approx(21.0 + 2.0)


def test_a_trial_without_phases_took_no_time() -> None:
    failed = HALF.model_copy(update={"measured": {}, "status": "failed"})
    assert trial_seconds([QUARTER, failed]) == 11.0
    assert trial_seconds([]) == 0.0


def test_costs_and_the_table_of_trials_tell_the_same() -> None:
    trials = [QUARTER, HALF, WHOLE]
    tuned = Tuned(
        budget=1, trials=1, seed=1000, winner=8, score=0.7, searched={}, fixed=[],
        keys=[trial.key for trial in trials],
    )  # fmt: skip
    records = [*trials, make_record("lora", tuned=tuned)]
    (cost,) = costs(records)
    assert cost.seconds["tune"] == pytest.approx(44.0)
    (entry,) = tunings(records)
    assert [trial.seconds for trial in entry.trials] == [pytest.approx(44.0)]
