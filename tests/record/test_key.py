from __future__ import annotations

from tarazu.record.key import content_key
from tarazu.record.spec import DataSpec

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
