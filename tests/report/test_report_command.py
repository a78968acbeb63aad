"""``tarazu report`` over a folder as it lies on disk."""

from __future__ import annotations

import json
import math

import pytest
from typer.testing import CliRunner

from tarazu.cli import app
from tarazu.record.store import Store
from tarazu.report.api import report


@pytest.fixture
def folder(tmp_path, make, failed):
    store = Store(tmp_path)
    prompt = {"demonstrations": [{"id": "d-1", "text": "SECRET"}]}
    store.write_record(make("zero-shot", prompt=prompt))
    store.write_record(make("lora", losses=(1.0, math.nan)))
    store.write_record(failed("full"))
    store.write_study({"methods": {"zero-shot": {}, "lora": {}, "full": {}}})
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_table_in_the_order_of_the_study(folder):
    result = invoke(folder)
    assert result.exit_code == 0
    places = [result.stdout.index(f"\n{name}") for name in ("zero-shot", "lora", "full")]
    assert places == sorted(places)


def test_json_on_standard_output_alone(folder):
    result = invoke(folder, "--format", "json")
    assert [entry["id"] for entry in json.loads(result.stdout)["entries"]] == [
        "zero-shot", "lora", "full",
    ]  # fmt: skip


def test_markdown_redacts_when_the_study_asks_for_it(folder):
    assert "SECRET" in invoke(folder, "--format", "markdown").stdout
    assert "SECRET" not in invoke(folder, "--format", "markdown", "--redacted").stdout
    Store(folder).write_study({"report": {"text": "redacted"}})
    text = invoke(folder, "--format", "markdown").stdout
    assert "SECRET" not in text
    assert "d-1" in text


@pytest.mark.parametrize(("language", "heading"), [("en", "Final table"), ("fa", "جدول نهایی")])
def test_html_to_standard_output_or_a_file(folder, tmp_path, language, heading):
    printed = invoke(folder, "--format", "html", "--lang", language)
    file = tmp_path / "page.html"
    written = invoke(folder, "--format", "html", "--lang", language, "--out", file)
    assert (printed.exit_code, written.exit_code, written.stdout) == (0, 0, "")
    assert printed.stdout.startswith("<!doctype html>")
    assert heading in printed.stdout
    assert file.read_text("utf-8") == printed.stdout


def test_html_redacts_when_it_or_the_study_asks_for_it(folder):
    assert "SECRET" in invoke(folder, "--format", "html").stdout
    assert "SECRET" not in invoke(folder, "--format", "html", "--redacted").stdout
    Store(folder).write_study({"report": {"text": "redacted"}})
    text = invoke(folder, "--format", "html").stdout
    assert "SECRET" not in text
    assert "d-1" in text


@pytest.mark.parametrize("form", ["table", "json", "csv", "latex", "markdown"])
def test_every_form_goes_to_a_file(folder, tmp_path, form):
    file = tmp_path / "report"
    assert invoke(folder, "--format", form, "--out", file).exit_code == 0
    assert file.read_text("utf-8").strip() == report(folder, form).strip()


@pytest.mark.parametrize("name", [".", "nowhere/page.html"])
def test_a_file_that_cannot_be_is_bad_input(folder, tmp_path, name):
    result = invoke(folder, "--format", "html", "--out", tmp_path / name)
    assert result.exit_code == 2
    assert "must be a file in a folder that exists" in " ".join(result.stderr.split())


@pytest.mark.parametrize("name", [".", "missing"])
def test_a_folder_without_records_is_bad_input(tmp_path, name):
    result = invoke(tmp_path / name)
    assert result.exit_code == 2
    assert "rule:" in result.stderr
    assert "Traceback" not in result.output


def test_a_broken_record_is_bad_input(folder):
    next(folder.glob("runs/*/record.json")).write_text("{", encoding="utf-8")
    result = invoke(folder)
    assert result.exit_code == 2
    assert "readable record" in result.stderr


def test_the_python_verb_returns_the_same(folder):
    assert "zero-shot" in report(folder)
    for form in ("json", "markdown", "html"):
        assert report(folder, form).strip() == invoke(folder, "--format", form).stdout.strip()
