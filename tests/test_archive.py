"""One archive to hand over: whole, equal for equal studies, and silent about its maker."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tarazu.archive import bundle
from tarazu.cli import app
from tarazu.errors import BadInput
from tarazu.study import run_study
from tarazu.testing.tiny import nli_items, qa_items, write_nli, write_qa

STUDY = """
version: 1
study: tiny
task: {{family: {family}, name: tiny}}
data: {{train: "{folder}/train.{kind}", test: test.{kind}, validation: {{rows: 6}}}}
methods: {{{methods}}}
seeds: [3]
report: {{text: {text}}}
"""


def study(folder: Path, *, family: str = "nli", text: str = "full") -> Path:
    """Run a study that names its training data by an absolute path."""
    folder.mkdir(parents=True, exist_ok=True)
    kind, methods = (
        ("csv", "majority: {}, tfidf: {}") if family == "nli" else ("jsonl", "tfidf: {}")
    )
    write, items = (write_nli, nli_items) if family == "nli" else (write_qa, qa_items)
    write(folder / f"train.{kind}", items(30, seed=1))
    write(folder / f"test.{kind}", items(8, seed=2))
    file = folder / "study.yaml"
    file.write_text(
        STUDY.format(family=family, folder=folder, kind=kind, methods=methods, text=text)
    )
    run_study(file, out=folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(tmp_path_factory.mktemp("secret-user"))


@pytest.fixture(scope="module")
def packed(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(ran, out=tmp_path_factory.mktemp("packed") / "x.zip")


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_everything_is_in_it(packed):
    found = contents(packed)
    assert {"report.en.html", "report.fa.html"} <= set(found)
    assert {"README.md", "report.md", "report.json", "entries.csv", "study.json"} <= set(found)
    assert sum(name.endswith("record.json") for name in found) == 2
    assert sum(name.endswith("predictions.parquet") for name in found) == 2
    assert "code/tarazu/methods/tfidf.py" in found
    assert any(name.startswith("data/") for name in found)
    assert json.loads(found["study.json"])["methods"] == {"majority": {}, "tfidf": {}}


def test_no_path_of_this_machine_is_in_it(ran, packed):
    found = contents(packed)
    assert "secret-user" in (ran / "study.json").read_text()
    for name, content in found.items():
        assert b"secret-user" not in content, name
        assert not Path(name).is_absolute()
    assert json.loads(found["study.json"])["data"]["train"] == "train.csv"


def test_equal_studies_give_equal_bytes(ran, packed, tmp_path):
    copy = Path(shutil.copytree(ran, tmp_path / "other"))
    assert bundle(copy, out=tmp_path / "x.zip").read_bytes() == packed.read_bytes()


def test_a_redacted_study_keeps_its_text_to_itself(tmp_path):
    found = contents(bundle(study(tmp_path / "qa", family="qa", text="redacted")))
    (name,) = [name for name in found if name.endswith("predictions.parquet")]
    table = pq.read_table(io.BytesIO(found[name]))
    assert "raw" not in table.column_names
    answers = [answer for answer in table.column("predicted").to_pylist() if answer]
    assert answers
    assert all(len(answer) == 16 and set(answer) <= set("0123456789abcdef") for answer in answers)
    for name, content in found.items():
        if not name.startswith("code/"):
            assert b"bought" not in content, name


def test_the_archive_may_not_stand_in_what_it_packs(ran):
    with pytest.raises(BadInput, match="outside"):
        bundle(ran, out=ran / "x.zip")
    assert not list(ran.glob(".tmp-*"))


def test_the_command_names_the_archive(monkeypatch, tmp_path):
    asked = {}

    def pack(folder, *, out, weights):
        asked.update(folder=folder, out=out, weights=weights)
        return out

    monkeypatch.setattr("tarazu.archive.bundle", pack)
    place = tmp_path / "study.zip"
    shown = CliRunner().invoke(app, ["bundle", "out/x", "--out", str(place), "--weights"])
    assert shown.exit_code == 0
    assert "study.zip" in shown.stdout
    assert asked == {"folder": Path("out/x"), "out": place, "weights": True}
