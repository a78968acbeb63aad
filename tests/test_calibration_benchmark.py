"""The simulation that the statistics rest on, in small: it must notice when they are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tarazu.comparison import compare as compare_module
from tarazu.comparison.crossed import Clusters, Sample


@pytest.mark.parametrize(("metric", "per_group"), [("accuracy", 1), ("accuracy", 3), ("f1", 3)])
def test_entries_are_as_good_as_the_simulation_says(calibration, metric, per_group):
    scenario = calibration.Scenario(metric, 3000, per_group, 3, 0.0)
    outcomes, truth = calibration.simulate(scenario, np.random.default_rng(0), 0.03)
    means = [answers.metrics[metric].mean() for answers in outcomes.entries]
    assert truth[0] - truth[1] == pytest.approx(0.03)
    np.testing.assert_allclose(means, truth, atol=0.035)
    assert len(np.unique(outcomes.groups)) == 3000 // per_group


@pytest.mark.parametrize("per_group", [1, 3])
def test_intervals_hold_what_they_promise_where_seeds_and_groups_matter(calibration, per_group):
    found = calibration.tally(calibration.Scenario("accuracy", 300, per_group, 3, 3.0), 150, 0)
    shares = found.shares()
    assert 0.93 < shares["coverage"] < 0.98
    assert 0.92 < shares["coverage_means"] < 0.985
    assert shares["false_separable"] < 0.10
    assert shares["false_equivalent"] < 0.10


def test_it_notices_that_the_luck_of_the_seed_is_left_out(calibration, monkeypatch):
    class Deaf(Sample):
        @classmethod
        def of(cls, scores, clusters, *, seeded=True):
            return Sample.of(scores.mean(axis=0, keepdims=True), clusters, seeded=False)

    monkeypatch.setattr(compare_module, "Sample", Deaf)
    scenario = calibration.Scenario("accuracy", 2000, 1, 3, 3.0)
    assert calibration.tally(scenario, 40, 0).shares()["coverage"] < 0.75


def test_it_notices_that_groups_are_taken_apart(calibration, monkeypatch):
    monkeypatch.setattr(
        Clusters, "of", lambda groups: Clusters(np.arange(len(groups)), np.ones(len(groups)))
    )
    found = calibration.tally(calibration.Scenario("accuracy", 300, 3, 10, 0.0), 80, 0)
    assert found.shares()["coverage"] < 0.93


def test_rows_name_what_they_do_not_hold(calibration):
    good = {"false_separable": 0.05, "coverage": 0.95, "coverage_means": 0.95,
            "false_equivalent": 0.03}  # fmt: skip
    assert calibration.verdict(good, 2000) == ""
    assert "covers too little" in calibration.verdict({**good, "coverage": 0.9}, 2000)
    assert "separates" in calibration.verdict({**good, "false_separable": 0.07}, 2000)
    assert "equivalent" in calibration.verdict({**good, "false_equivalent": 0.08}, 2000)
