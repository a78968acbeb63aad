"""Costs in money: stated in the study file, shown in every form, and no part of a run."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.comparison.costs import Price
from tarazu.errors import BadInput
from tarazu.record.spec import RunSpec
from tarazu.record.store import Store
from tarazu.report.api import read_results, report_csv, report_json, report_markdown
from tarazu.report.numbers import money
from tarazu.report.price import price_of
from tarazu.study_file import load_study
from tarazu.testing.folders import make_folder, make_items
from tarazu.testing.records import make_record

STUDY = """
version: 1
study: s
task: {family: nli}
data: {train: train.csv, test: test.csv}
methods: {majority: {}}
report: %s
"""
PRICED: dict[str, Any] = {"report": {"price_per_hour": 3.6, "currency": "EUR"}}


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "out", {"lora": 0.8}, make_items(50), study=PRICED)


def read(text: str, tmp_path: Any) -> Any:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY % text)
    return load_study(file).spec.report


def test_the_study_file_states_it(tmp_path):
    spec = read("{price_per_hour: 0.35, currency: USD}", tmp_path)
    assert price_of({"report": spec.model_dump(mode="json")}) == Price(0.35, "USD")
    assert price_of({"report": read("{languages: [en]}", tmp_path).model_dump()}) is None
    assert price_of({}) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{price_per_hour: 0, currency: USD}", "must be above 0"),
        ("{price_per_hour: -1, currency: USD}", "must be above 0"),
        ("{price_per_hour: .inf, currency: USD}", "must be a finite number"),
        ("{price_per_hour: .nan, currency: USD}", "must be"),
        ("{price_per_hour: cheap, currency: USD}", "must be a number"),
        ("{price_per_hour: 1, currency: dollars}", "three capital letters"),
        ("{price_per_hour: 1, currency: usd}", "three capital letters"),
        ("{price_per_hour: 1}", "both 'price_per_hour' and 'currency'"),
        ("{currency: USD}", "both 'price_per_hour' and 'currency'"),
    ],
)
def test_mistakes_are_told(text, said, tmp_path):
    with pytest.raises(BadInput, match=said):
        read(text, tmp_path)


def test_it_is_no_part_of_a_run():
    assert "report" not in RunSpec.model_fields
    assert "price" not in make_record().spec.model_dump_json()


def test_json_has_numbers_whose_names_say_what_they_are(folder):
    told = json.loads(report_json(read_results(folder)))
    assert told["price"] == {"per_hour": 3.6, "currency": "EUR"}
    (cost,) = told["costs"]
    # By hand: 3.60 an hour is 0.001 a second; 100 s of training, 10 s for 50 items.
    assert cost["money"] == pytest.approx({"load": 0.001, "train": 0.1, "evaluate": 0.01})
    assert cost["money_per_thousand"] == pytest.approx(0.2)
    assert cost["currency"] == "EUR"
    assert cost["seconds_per_thousand"] == pytest.approx(200.0)


def test_markdown_has_money_beside_time(folder):
    text = report_markdown(read_results(folder))
    section = text.split("## Costs")[1].split("\n## ")[0]
    assert "| train, EUR | 1,000 items, EUR |" in section
    assert "| 0.10 | 0.20 |" in section
    assert "at 3.6 EUR per hour" in section
    persian = report_markdown(read_results(folder), language="fa")
    assert "| آموزش، EUR | ۱٬۰۰۰ نمونه، EUR |" in persian


def test_csv_has_money(folder):
    (row,) = csv.DictReader(io.StringIO(report_csv(read_results(folder))))
    assert float(row["money_train"]) == pytest.approx(0.1)
    assert float(row["money_per_thousand"]) == pytest.approx(0.2)
    assert (row["money_tune"], row["currency"]) == ("", "EUR")


def test_without_a_price_nothing_speaks_of_money(folder):
    Store(folder).write_study({"study": "small", "methods": {"lora": {}}})
    results = read_results(folder)
    for text in (report_json(results), report_csv(results), report_markdown(results)):
        assert "money" not in text.lower()
        assert "EUR" not in text


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "–"), (float("nan"), "–"), (0.0, "0.00"), (0.000123, "0.00012"), (0.35, "0.35"),
        (0.0996, "0.100"), (1.005, "1.00"), (1234.5, "1,234.50"),
    ],
)  # fmt: skip
def test_amounts(amount, shown):
    assert money(amount) == shown


@given(st.floats(1e-7, 1e7))
def test_an_amount_is_never_off_by_more_than_half_its_last_digit(amount):
    shown = float(money(amount).replace(",", ""))
    assert abs(shown - amount) <= max(0.05 * amount if amount < 1 else 0.005, 1e-9) * (1 + 1e-9)
