from __future__ import annotations

import json
import math
from statistics import stdev

import pytest

from tarazu.comparison.entries import current, entries, in_study_order, metric_order
from tarazu.record.record import Parameters, Phase, Tuned, VariantResult
from tarazu.report.json_report import json_report, to_json


def test_mean_and_sample_deviation_over_seeds(make):
    scores = [0.70, 0.74, 0.78]
    (entry,) = entries([make(seed=i, accuracy=score) for i, score in enumerate(scores)])
    assert entry.seeds == (0, 1, 2)
    assert entry.metrics["accuracy"].mean == pytest.approx(0.74)
    assert entry.metrics["accuracy"].sd == pytest.approx(stdev(scores))


def test_one_seed_has_no_spread(make):
    (entry,) = entries([make()])
    assert entry.metrics["accuracy"].sd is None


def test_seconds_are_the_mean_of_all_phases_and_memory_is_the_peak(make):
    (entry,) = entries([make(seed=0), make(seed=2)])
    assert entry.seconds == pytest.approx(112.0)
    assert entry.seconds_by_phase == {"load": 1.0, "train": 101.0, "evaluate": 10.0}
    assert entry.peak_memory_bytes == 1_500_000_000
    assert entry.peak_device_bytes is None


def test_memory_of_an_accelerator_is_told_apart(make):
    (entry,) = entries([make(measured={"train": Phase(seconds=1, rss=5, reserved=7)})])
    assert (entry.peak_memory_bytes, entry.peak_device_bytes) == (5, 7)


def test_the_primary_form_has_the_entrys_id_and_comes_first(make):
    merged = VariantResult(
        variant="merged", split="test", n=500, metrics={"accuracy": 0.7}, flips=3,
        flips_against="adapter",
    )  # fmt: skip
    rows = entries([make("qlora-text", others=(merged,), primary_variant="merged")])
    assert [(row.id, row.primary) for row in rows] == [
        ("qlora-text", True),
        ("qlora-text:main", False),
    ]
    assert rows[0].flips == (3,)


def test_splits_are_told_apart(make):
    other = VariantResult(variant="main", split="mismatched", n=400, metrics={"accuracy": 0.6})
    rows = entries([make(split="matched", others=(other,))])
    assert [(row.id, row.split, row.n) for row in rows] == [
        ("lora", "matched", 500),
        ("lora", "mismatched", 400),
    ]


def test_failed_seeds_are_named_beside_the_others(make, failed):
    (entry,) = entries([make(seed=0), failed("lora", seed=1)])
    assert entry.seeds == (0,)
    assert [(item.seed, item.reason) for item in entry.failures] == [(1, "out of memory")]


def test_an_entry_that_failed_altogether_is_not_dropped(failed):
    (entry,) = entries([failed()])
    assert (entry.id, entry.metrics, entry.split) == ("qlora-text", {}, None)
    assert entry.failures


def test_runs_with_older_settings_are_no_further_seeds(make):
    old = [make(seed=seed, rank=4, finished="2025-01-01") for seed in range(3)]
    new = make(seed=0, rank=8, finished="2026-01-01")
    assert current([*old, new]) == [new]


def test_who_chose_a_value_makes_no_other_entry(make):
    first = make(seed=0)
    settings = {"r": first.spec.settings["r"].model_copy(update={"chosen_by": "command line"})}
    second = make(seed=1)
    second = second.model_copy(
        update={"spec": second.spec.model_copy(update={"settings": settings})}
    )
    assert len(current([first, second])) == 2


def test_trials_are_no_results_and_the_final_run_says_that_it_is_tuned(make):
    tried = make(seed=9, stage="trial", accuracy=0.99)
    tuned = Tuned(budget=4, trials=3, seed=9, winner=0, keys=[tried.key])
    rows = entries([make(seed=0, tuned=tuned), tried])
    assert [(row.seeds, row.tuned, row.trials) for row in rows] == [((0,), True, 3)]
    # Trials of older settings in the same folder tune nothing.
    assert [(row.tuned, row.trials) for row in entries([make(seed=0), tried])] == [(False, 0)]


def test_one_entry_name_with_two_models_gets_two_ids(make):
    rows = entries([make(model="minilm"), make(model="smollm2")])
    assert [row.id for row in rows] == ["lora@minilm", "lora@smollm2"]


def test_leading_metrics_come_first():
    assert metric_order(["exact_match", "a", "f1"]) == ["f1", "exact_match", "a"]


def test_order_of_the_study(make):
    study = {"methods": {"zero-shot": {}, "lora": {"model": ["smollm2", "minilm"]}}}
    records = [make("lora@minilm"), make("gone"), make("lora@smollm2"), make("zero-shot")]
    assert [record.entry for record in in_study_order(records, study)] == [
        "zero-shot", "lora@smollm2", "lora@minilm", "gone",
    ]  # fmt: skip


def test_json_has_the_promised_keys(make, failed):
    report = json.loads(json_report([make(), failed()]))
    assert set(report) == {
        "study", "runs", "entries", "comparisons", "groups", "sizes", "break_even",
        "costs", "fronts", "notes",
    }  # fmt: skip
    assert report["study"] == "small"
    assert report["runs"][0]["schema"] == 1
    wanted = {"id", "model", "method", "variant", "split", "seeds", "metrics", "parameters"}
    assert wanted | {"seconds", "peak_memory_bytes"} <= set(report["entries"][0])
    assert report["entries"][0]["metrics"] == {"accuracy": {"mean": 0.75, "sd": None}}
    assert set(report["entries"][0]["parameters"]) == set(Parameters.model_fields)
    assert report["entries"][1]["failed"] == [{"seed": 0, "reason": "out of memory"}]


def test_json_has_no_nan(make):
    text = json_report([make(seed=0, losses=(math.nan,), metrics={"accuracy": math.nan})])
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert to_json({"x": [math.inf, (1.5, -math.inf)]}).split() == (
        ["{", '"x":', "[", "null,", "[", "1.5,", "null", "]", "]", "}"]
    )
