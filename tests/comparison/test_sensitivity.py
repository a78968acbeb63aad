from __future__ import annotations

import itertools
import math
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tarazu.comparison.entries import entries
from tarazu.comparison.sensitivity import expected_best, tunings
from tarazu.record.key import content_key
from tarazu.record.record import RunRecord, Searched, Trial, Tuned
from tarazu.record.spec import Setting
from tarazu.testing.records import make_record

SEARCHED = {
    "learning_rate": Searched(low=1e-4, high=1e-1, log=True, reason="the rate", source="s"),
    "k": Searched(values=[1, 2, 4], reason="how many", source="s"),
    "template": Searched(values=["default", "other"], reason="words", source="s"),
}
ROWS = [
    # rate, k, template, score
    (1e-3, 1, "default", 0.50),
    (2e-4, 2, "default", 0.40),
    (5e-4, 4, "other", 0.45),
    (5e-3, 1, "other", 0.60),
    (5e-2, 2, "other", None),
    (2e-2, 4, "default", 0.70),
]


def trial(number: int, row: tuple[Any, ...], *, rung: int = 1, share: float = 1.0,
          score: float | None = None) -> RunRecord:  # fmt: skip
    settings = {
        name: Setting(value=value, reason="r", source="s", chosen_by="tuning")
        for name, value in zip(SEARCHED, row[:3], strict=True)
    }
    base = make_record("lora", seed=1000, stage="trial", losses=(1.0 + number,), selected_epoch=1)
    spec = base.spec.model_copy(update={"settings": settings, "share": share})
    accuracy = score if score is not None else row[3]
    changes: dict[str, Any] = {
        "spec": spec,
        "key": content_key(spec),
        "trial": Trial(number=number, rung=rung),
        "hyperparameters": settings,
    }
    if accuracy is None:
        return base.model_copy(
            update={**changes, "status": "failed", "error": "it diverged", "variants": []}
        )
    result = base.variants[0].model_copy(
        update={"split": "validation", "metrics": {"accuracy": accuracy}}
    )
    return base.model_copy(update={**changes, "variants": [result]})


def study(trials: list[RunRecord], winner: int | None = 5, **more: Any) -> list[RunRecord]:
    tuned = Tuned(
        budget=6, trials=6, seed=1000, winner=winner, score=0.7, searched=SEARCHED,
        fixed=["r"], keys=[record.key for record in trials],
    )  # fmt: skip
    return [*trials, *(make_record("lora", seed=s, tuned=tuned, **more) for s in (0, 1))]


def whole() -> list[RunRecord]:
    return study([trial(number, row) for number, row in enumerate(ROWS)])


def test_trials_stand_by_number_with_what_they_came_to() -> None:
    (entry,) = tunings(whole())
    assert (entry.entry, entry.metric, entry.budget, entry.winner) == ("lora", "accuracy", 6, 5)
    assert [t.number for t in entry.trials] == list(range(6))
    assert [t.score for t in entry.trials] == [row[3] for row in ROWS]
    assert entry.trials[4].failure == "it diverged"
    assert entry.trials[2].values == {"learning_rate": 5e-4, "k": 4, "template": "other"}
    assert entry.trials[2].loss == 3.0
    assert entry.fixed == ("r",)


def test_rank_correlation_agrees_with_scipy_and_its_p_value_with_counting() -> None:
    (entry,) = tunings(whole())
    effects = {effect.name: effect for effect in entry.knobs}
    pairs = [(row[0], row[3]) for row in ROWS if row[3] is not None]
    rho = spearmanr(*zip(*pairs, strict=True)).statistic
    rate = effects["learning_rate"]
    assert rate.trials == 5
    assert rate.correlation == pytest.approx(rho)
    as_strong = [
        abs(spearmanr(order, [score for _, score in pairs]).statistic) >= abs(rho) - 1e-9
        for order in itertools.permutations([value for value, _ in pairs])
    ]
    assert rate.p_value == pytest.approx(fmean(as_strong))
    assert effects["template"].correlation is None


def test_scores_are_shown_by_value_and_by_third_of_the_range() -> None:
    (entry,) = tunings(whole())
    effects = {effect.name: effect for effect in entry.knobs}
    thirds = [(p.label, p.trials, p.mean) for p in effects["learning_rate"].parts]
    assert thirds == [
        ("0.0001 to 0.001", 3, pytest.approx(0.45)),
        ("0.001 to 0.01", 1, pytest.approx(0.6)),
        ("0.01 to 0.1", 1, pytest.approx(0.7)),
    ]
    assert effects["learning_rate"].spread == pytest.approx(0.25)
    assert [(p.label, p.trials) for p in effects["k"].parts] == [("1", 2), ("2", 1), ("4", 2)]
    assert effects["template"].spread == pytest.approx(
        abs(fmean([0.5, 0.4, 0.7]) - fmean([0.45, 0.6]))
    )


def test_few_trials_give_no_correlation() -> None:
    (entry,) = tunings(study([trial(n, row) for n, row in enumerate(ROWS[:3])], winner=0))
    assert all(effect.correlation is None for effect in entry.knobs)
    assert entry.knobs[0].trials == 3


def test_pruned_trials_are_compared_where_all_of_them_were_measured() -> None:
    rung1 = [trial(n, row, share=0.25) for n, row in enumerate(ROWS)]
    later = [trial(n, ROWS[n], rung=2, share=1.0, score=0.9 - n / 10) for n in (3, 5)]
    (entry,) = tunings(study([*rung1, *later], winner=3))
    assert entry.compared_at == 0.25
    assert [(t.rung, t.share, t.score) for t in entry.trials][3] == (2, 1.0, pytest.approx(0.6))
    assert [t.first_score for t in entry.trials] == [row[3] for row in ROWS]
    assert entry.expected_best[-1] == 0.7, "the best of the rung that all trials reached"


def test_trials_of_older_settings_play_no_part() -> None:
    old = trial(7, (1e-4, 1, "default", 0.99))
    (entry,) = tunings([old, *whole()])
    assert [t.number for t in entry.trials] == list(range(6))
    assert tunings([old, make_record("lora")]) == []
    (shown,) = entries([old, make_record("lora")])
    assert (shown.tuned, shown.trials) == (False, 0)


def test_a_missing_number_in_a_range_is_left_out() -> None:
    rows = [(None, *ROWS[0][1:]), *ROWS[1:]]
    (entry,) = tunings(study([trial(n, row) for n, row in enumerate(rows)]))
    assert entry.knobs[0].trials == 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_expected_best_is_the_mean_over_all_sets_of_trials(scores: list[float]) -> None:
    expected = [
        fmean(max(chosen) for chosen in itertools.combinations(scores, n))
        for n in range(1, len(scores) + 1)
    ]
    assert expected_best(scores) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_expected_best_grows_from_the_mean_to_the_best(scores: list[float]) -> None:
    found = expected_best(scores)
    assert found[0] == pytest.approx(fmean(scores))
    assert found[-1] == max(scores)
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(found))


def test_failed_trials_count_with_the_lowest_score() -> None:
    (entry,) = tunings(whole())
    scores = [row[3] or 0.0 for row in ROWS]
    assert entry.expected_best == pytest.approx(tuple(expected_best(scores)))
    assert math.isclose(entry.expected_best[0], fmean(scores))
