from __future__ import annotations

from pathlib import Path

from tarazu.record.key import content_key, training_name
from tarazu.record.spec import DataSpec, RunSpec, Setting
from tarazu.training.checkpoint import checkpoints_for

# `make_record()` of `tarazu.testing.records` at the commit before there was a data-size axis.
# Whatever a spec gains later, finished runs must be found again: their keys stay.
BEFORE = "34b5aa3b04aca4ca5015715a9feca87cceab678a336e01decce1cda120769ba6"


def test_keys_of_finished_runs_stay(make):
    assert make().key == BEFORE
    assert content_key(make().spec) == BEFORE


def test_the_other_sizes_of_an_axis_make_no_other_run(make):
    spec = make().spec
    inputs = {**spec.inputs, "train": "cd" * 32}
    alone = spec.model_copy(update={"inputs": inputs})
    axis = alone.model_copy(update={"train_sizes": {100: "cd" * 32, 300: "ef" * 32}})
    assert axis.train_rows == 100
    assert alone.train_rows is None
    assert content_key(axis) == content_key(alone) != content_key(spec)
    other = axis.model_copy(update={"inputs": {**inputs, "train": "ef" * 32}})
    assert other.train_rows == 300
    assert content_key(other) != content_key(axis)


def test_how_leaks_are_looked_for_makes_no_other_run(make):
    spec = make().spec
    data = DataSpec(train="elsewhere.csv", test="t.csv", leakage="drop", near_duplicates=None)
    assert content_key(spec.model_copy(update={"data": data})) == make().key


def test_threads_make_another_run_on_the_cpu_only(make):
    spec = make().spec
    assert spec.device == "cpu"
    more = spec.model_copy(update={"threads": spec.threads + 1})
    assert content_key(more) != content_key(spec)
    card, cards = (one.model_copy(update={"device": "cuda"}) for one in (spec, more))
    assert content_key(card) == content_key(cards) != content_key(spec)
    assert training_name(card) == training_name(cards)
    made = [checkpoints_for(one, Path("checkpoints"), 60.0) for one in (card, cards)]
    assert made[0].made_by == made[1].made_by
    assert made[0].folder == made[1].folder


def test_deterministic_algorithms_make_another_run(make):
    spec = make().spec.model_copy(update={"device": "cuda"})
    bare = spec.model_dump(mode="json", by_alias=True)
    del bare["deterministic"]  # a record from before there was the setting
    assert content_key(RunSpec.model_validate(bare)) == content_key(spec)
    bits = spec.model_copy(update={"deterministic": True})
    assert content_key(bits) != content_key(spec)


def test_how_a_trained_model_is_merged_makes_another_run_of_the_same_training(make):
    def merging(value):
        spec = make("qlora-text").spec
        setting = Setting(value=value, reason="", source="", chosen_by="default")
        return spec.model_copy(update={"settings": {**spec.settings, "merge": setting}})

    # Runs from before there was this setting made both forms: they are found.
    assert content_key(merging("both")) == content_key(make("qlora-text").spec)
    specs = [merging(value) for value in ("none", "dequantised", "16bit", "both")]
    assert len({content_key(spec) for spec in specs}) == 4
    assert len({training_name(spec) for spec in specs}) == 1
    assert training_name(specs[0]) == training_name(make("qlora-text").spec)
