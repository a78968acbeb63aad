from __future__ import annotations

import csv
import io

import pytest

from tarazu.report.csv_report import csv_report


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_one_row_per_entry_and_split(make, failed):
    records = [make(seed=0, accuracy=0.7), make(seed=1, accuracy=0.8), failed()]
    lora, broken = read(csv_report(records))
    assert lora["entry"] == "lora"
    assert lora["seeds"] == "0 1"
    assert float(lora["accuracy"]) == pytest.approx(0.75)
    assert float(lora["accuracy_sd"]) == pytest.approx(0.0707, abs=1e-4)
    assert lora["trained"] == "294912"
    assert broken["accuracy"] == ""
    assert "out of memory" in broken["notes"]


@pytest.mark.parametrize("evil", ["=1+1", "+cmd", "-2", "@x", '=HYPERLINK("http://x")'])
def test_no_cell_is_a_formula(make, evil):
    (row,) = read(csv_report([make(model=evil)]))
    assert row["model"] == f"'{evil}"


def test_splits_without_a_comparison_have_the_same_columns(make):
    text = csv_report([make(split="near"), make(split="far", seed=1)])
    assert len({len(line.split(",")) for line in text.splitlines()}) == 1


def test_nothing_gives_nothing():
    assert csv_report([]) == ""
