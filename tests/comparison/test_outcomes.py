"""What a folder holds, as the tables that every comparison starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tarazu.comparison.outcomes import read_outcomes
from tarazu.data.item import Item, Prediction
from tarazu.record.key import sha256_rows
from tarazu.record.record import Input, RunRecord, VariantResult
from tarazu.record.spec import RunSpec
from tarazu.record.store import Store

ITEMS = {
    "train": [Item("t-0", "p", {"premise": "p"}, ("yes",))],
    "near": [
        Item(f"n-{i}", f"g{i // 2}", {"premise": f"p{i}"}, (gold,), slices={"genre": genre})
        for i, (gold, genre) in enumerate([("yes", "a"), ("no", "a"), ("no", "b"), ("yes", "b")])
    ],
    "far": [Item(f"f-{i}", f"f-{i}", {"premise": f"q{i}"}, ("no",)) for i in range(3)],
}


def hashes(items: dict[str, list[Item]]) -> dict[str, str]:
    return {name: sha256_rows(item.content() for item in of) for name, of in items.items()}


class Folder:
    """An output folder that is filled run by run."""

    def __init__(self, root: Path, make) -> None:
        self.store = Store(root)
        self._make = make
        self.records: list[RunRecord] = []
        self.store.write_items(ITEMS)

    def add(
        self,
        entry: str,
        seed: int,
        answers: dict[tuple[str, str], list[str | None]],
        items: dict[str, list[Item]] = ITEMS,
        **fields,
    ) -> None:
        rows = [
            Prediction(item.id, answer, answer or "?", split=split, variant=variant,
                       scores=(0.25, 0.75), metrics={"accuracy": float(answer == item.gold[0])})
            for (split, variant), given in answers.items()
            for item, answer in zip(items[split], given, strict=True)
        ]  # fmt: skip
        shas = hashes(items)
        record: RunRecord = self._make(entry, seed=seed)
        spec: RunSpec = record.spec.model_copy(update={"inputs": shas})
        results = [
            VariantResult(variant=variant, split=split, n=len(given), metrics={"accuracy": 0.5})
            for (split, variant), given in answers.items()
        ]
        inputs = {n: Input(rows=len(items[n]), sha256=sha) for n, sha in shas.items()}
        record = record.model_copy(
            update={
                "key": f"{entry}{seed}".ljust(64, "0"),
                "spec": spec,
                "inputs": inputs,
                "variants": results,
                "labels": ["yes", "no"],
                **fields,
            }
        )
        self.records.append(self.store.write_record(record, rows))

    def read(self):
        return read_outcomes(self.store, self.records)


@pytest.fixture
def folder(tmp_path, make) -> Folder:
    return Folder(tmp_path, make)


ALL_YES = {("near", "main"): ["yes"] * 4, ("far", "main"): ["yes"] * 3}
MIXED = {("near", "main"): ["yes", "no", None, "yes"], ("far", "main"): ["no", "no", "yes"]}


def test_seeds_are_rows_and_items_are_columns(folder):
    folder.add("lora", 0, ALL_YES)
    folder.add("lora", 1, MIXED)
    folder.add("full", 0, MIXED)
    near, far = folder.read()
    assert (near.split, far.split) == ("near", "far")
    assert near.item_ids == ("n-0", "n-1", "n-2", "n-3")
    assert [answers.id for answers in near.entries] == ["lora", "full"]
    lora = near.entry("lora")
    assert lora.seeds == (0, 1)
    np.testing.assert_array_equal(lora.metrics["accuracy"], [[1, 0, 0, 1], [1, 1, 0, 1]])
    assert lora.predicted.tolist() == [["yes"] * 4, ["yes", "no", None, "yes"]]
    assert lora.raw[1, 2] == "?"
    assert lora.scores.shape == (2, 4, 2)
    np.testing.assert_array_equal(far.entry("full").metrics["accuracy"], [[1, 1, 0]])


def test_items_carry_groups_slices_gold_and_text(folder):
    folder.add("lora", 0, ALL_YES)
    near, far = folder.read()
    assert near.groups.tolist() == [0, 0, 1, 1]
    assert len(set(far.groups.tolist())) == 3
    assert near.slices == {"genre": ("a", "a", "b", "b")}
    assert near.gold[1] == ("no",)
    assert near.texts["premise"][3] == "p3"
    assert near.labels == ("yes", "no")


def test_a_redacted_folder_has_groups_but_no_text(folder):
    folder.store.write_items(ITEMS, redacted=True)
    folder.add("lora", 0, ALL_YES)
    near, _ = folder.read()
    assert near.texts == {}
    assert near.groups.tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])


def test_other_forms_of_a_model_stand_beside_it(folder):
    merged = {("near", "merged"): ["no"] * 4, ("far", "merged"): ["no"] * 3}
    folder.add("qlora", 0, {**ALL_YES, **merged}, primary_variant="merged")
    near, _ = folder.read()
    assert [(a.id, a.primary) for a in near.entries] == [("qlora", True), ("qlora:main", False)]
    assert near.entry("qlora").predicted.tolist() == [["no"] * 4]


def test_entries_scored_on_other_items_are_left_out_and_named(folder):
    fewer = {**ITEMS, "near": ITEMS["near"][:3]}
    folder.add("lora", 0, ALL_YES)
    folder.add("full", 0, MIXED)
    folder.add("old", 0, {("near", "main"): ["yes"] * 3, **{k: v for k, v in ALL_YES.items()
                          if k[0] == "far"}}, items=fewer)  # fmt: skip
    near, far = folder.read()
    assert near.left_out == ("old",)
    assert [answers.id for answers in near.entries] == ["lora", "full"]
    assert far.left_out == ()


def test_an_entry_that_answered_too_little_is_left_out(folder):
    folder.add("lora", 0, ALL_YES)
    folder.add("full", 0, MIXED)
    file = folder.store.run_folder(folder.records[1]) / "predictions.parquet"
    table = folder.store.read_predictions(folder.records[1])
    import pyarrow.parquet as pq

    pq.write_table(table.slice(1), file)
    near, _ = folder.read()
    assert near.left_out == ("full",)


def test_failed_runs_and_a_folder_without_items_give_nothing(folder, make, failed):
    assert read_outcomes(folder.store, [failed()]) == []
    assert read_outcomes(folder.store, [make()]) == []


def test_records_that_do_not_name_their_metric_are_compared_by_the_leading_one(folder):
    folder.add("lora", 0, ALL_YES, primary_metric="")
    near, _ = folder.read()
    assert near.primary_metric == "accuracy"
