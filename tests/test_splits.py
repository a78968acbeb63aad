from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tarazu import catalog
from tarazu.data.leakage import Checked, check_leakage
from tarazu.errors import BadInput
from tarazu.record.spec import DataSpec
from tarazu.splits import Splits, load_splits

TASK = catalog.resolve_task({"family": "nli"})
LABELS = ("entailment", "neutral", "contradiction")
Row = tuple[str, str, str]


def write(file: Path, rows: Sequence[Row]) -> None:
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([("premise", "hypothesis", "label"), *rows])


def rows(count: int, mark: str, per_group: int = 3) -> list[Row]:
    return [(f"{mark} {i // per_group}", f"h {i}", LABELS[i % 3]) for i in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "train.csv", rows(60, "p"))
    write(tmp_path / "test.csv", rows(12, "q"))
    write(tmp_path / "other.csv", rows(6, "r"))
    return tmp_path


def load(folder: Path, **more: Any) -> Splits:
    told = {"train": "train.csv", "test": "test.csv", "validation": {"rows": 12}, **more}
    return load_splits(DataSpec(**told), TASK, folder)


def test_a_test_set_of_one_class_is_named_by_split_file_and_class(folder: Path) -> None:
    write(folder / "one.csv", [("s 1", "h", "neutral"), ("s 2", "h", "neutral")])
    splits = load(folder, test={"near": "test.csv", "far": "one.csv"})
    assert len(splits.tests["far"]) == 2
    assert splits.notes == [
        "far: one.csv: 2 rows all with the label 'neutral': scores there cannot show whether "
        "classes are told apart"
    ]


def test_groups_are_never_parted(folder: Path) -> None:
    splits = load(folder)
    train, validation = ({i.group for i in s} for s in (splits.train, splits.validation))
    assert not train & validation
    assert len(splits.train) + len(splits.validation) == 60
    assert len(splits.validation) == 12


def test_validation_is_cut_before_anything_is_sampled(folder: Path) -> None:
    whole = load(folder)
    small = load(folder, sample={"train": 9})
    assert small.validation == whole.validation
    assert len(small.train) == 9
    assert {i.id for i in small.train} < {i.id for i in whole.train}


def test_t30_the_test_split_plays_no_part_in_the_choice_of_the_others(folder: Path) -> None:
    before = load(folder)
    write(folder / "test.csv", rows(9, "z")[::-1])
    after = load(folder)
    assert (after.train, after.validation) == (before.train, before.validation)
    assert after.hashes()["test"] != before.hashes()["test"]
    assert after.hashes()["train"] == before.hashes()["train"]


def test_several_test_splits_keep_their_names(folder: Path) -> None:
    splits = load(folder, test={"near": "test.csv", "far": "other.csv"}, sample={"test": 0.5})
    assert list(splits.named()) == ["train", "validation", "near", "far"]
    assert [len(items) for items in splits.tests.values()] == [6, 3]
    ids = [item.id for items in splits.tests.values() for item in items]
    assert all(i.startswith(("near-", "far-")) for i in ids)


def test_validation_from_its_own_source(folder: Path) -> None:
    splits = load(folder, validation="other.csv", sample={"validation": 4})
    assert (len(splits.train), len(splits.validation)) == (60, 4)


def test_leaks_are_told_dropped_or_refused(folder: Path) -> None:
    train = [*rows(60, "p"), *rows(12, "q")[:4]]
    write(folder / "train.csv", train)
    told = load(folder)
    assert any("test split 'test'" in note for note in told.notes)
    dropped = load(folder, leakage="drop")
    groups = {item.group for item in dropped.tests["test"]}
    left = [*dropped.train, *dropped.validation]
    assert not [item for item in left if item.group in groups]
    with pytest.raises(BadInput, match="may stand in a held-out split"):
        load(folder, leakage="refuse")


def test_several_sizes_are_nested_and_the_largest_is_the_training_split(folder: Path) -> None:
    splits = load(folder, sample={"train": [24, 9, 0.25]})
    assert list(splits.samples) == [9, 12, 24]
    assert splits.train == splits.samples[24]
    ids = [{item.id for item in sample} for sample in splits.samples.values()]
    assert ids[0] < ids[1] < ids[2]
    for rows, sample in splits.samples.items():
        alone = load(folder, sample={"train": rows})
        assert alone.train == sample
        assert alone.samples == {}
        assert splits.at_size(rows).hashes() == alone.hashes()
        assert Counter(item.gold[0] for item in sample) == dict.fromkeys(LABELS, rows // 3)
    assert [s.hashes() for s in load(folder).at_every_size()] == [load(folder).hashes()]


def test_the_splits_as_used_are_looked_over_once_more(folder: Path) -> None:
    write(folder / "train.csv", [*rows(60, "p"), *rows(12, "q")[:4]])
    notes = load(folder).notes
    assert "not disjoint as used" in notes[-1]
    assert re.search(r"\d (train|validation) rows with test", notes[-1])
    assert not [note for note in load(folder, leakage="drop").notes if "not disjoint" in note]


def test_dropping_that_leaves_something_behind_is_noticed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "train.csv", [*rows(60, "p"), *rows(12, "q")[:4]])

    def lazy(*args: Any) -> Checked:
        return check_leakage(*args[:3], "report", *args[4:])

    monkeypatch.setattr("tarazu.splits.check_leakage", lazy)
    with pytest.raises(RuntimeError, match=r"must be disjoint with data\.leakage drop"):
        load(folder, leakage="drop")


def test_near_duplicates_are_looked_for_as_the_study_says(folder: Path) -> None:
    premise = "Two men in yellow vests mend the road before the old town hall while it rains."
    write(
        folder / "train.csv", [*rows(60, "p"), (premise.replace("rains", "rained"), "x", "neutral")]
    )
    write(folder / "test.csv", [*rows(12, "q"), (premise, "x", "neutral")])
    assert any("similarity of at least 0.8" in note for note in load(folder).notes)
    near = load(folder).leakage.near_duplicates
    assert sum(map(len, near.values())) == 1
    assert (
        load(folder, near_duplicates=None).notes == load(folder, near_duplicates=0.99).notes == []
    )
    dropped = load(folder, leakage="drop")
    assert len(dropped.train) + len(dropped.validation) == 60


def test_a_validation_source_that_shares_premises_with_training_is_told(folder: Path) -> None:
    write(folder / "dev.csv", [*rows(6, "p"), *rows(3, "v")])
    assert any("train rows" in n and "the validation split" in n for n in
               load(folder, validation="dev.csv").notes)  # fmt: skip
    dropped = load(folder, validation="dev.csv", leakage="drop")
    assert (len(dropped.train), len(dropped.validation)) == (54, 9)
    with pytest.raises(BadInput, match="in the validation split"):
        load(folder, validation="dev.csv", leakage="refuse")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"test": {"train": "test.csv"}}, "must not name a test split so, but got train"),
        ({"sample": {"train": 61}}, r"data.sample.train: .*at most the 48 rows"),
        ({"sample": {"train": [9, 61]}}, r"data.sample.train.1: .*at most the 48 rows"),
        ({"sample": {"validation": 61}}, r"data.sample.validation: .*at most the 12 rows"),
        ({"sample": {"test": 61}}, r"data.sample.test: .*at most the 12 rows"),
        ({"train": "train.csc"}, "data.train: the file must exist"),
        ({"group_by": "genre"}, "must have column 'genre'"),
    ],
)
def test_mistakes_name_their_place(folder: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load(folder, **more)
