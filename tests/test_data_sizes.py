"""The data-size axis and the ledger in whole studies: real processes, real files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tarazu import catalog
from tarazu.comparison.sizes import learning_curves
from tarazu.data.item import Item
from tarazu.record.ledger import FILE, read_ledgers
from tarazu.record.record import RunRecord
from tarazu.record.store import Store
from tarazu.report.api import read_results, report, report_html, report_markdown
from tarazu.study import StudyResult, describe_data, run_study
from tarazu.testing.hearing import Heard
from tarazu.testing.tiny import nli_items, tiny_model

STUDY = """
version: 1
study: sizes
task: {family: nli, name: tiny-nli}
data:
  train: train.jsonl
  test: test.jsonl
  validation: {rows: 6}
  sample: {train: [6, 12]}
models: {bert: {source: ./bert}, llama: {source: ./llama}}
training: {epochs: 1, batch_size: 4, max_length: 100}
methods:
  tfidf: {}
  last-k: {model: bert, k: 1}
  few-shot: {model: llama, k: 1, max_length: 300}
  zero-shot: {model: llama}
seeds: [0]
compute: {device: cpu, dtype: float32, threads: 1}
"""


def write(file: Path, items: Sequence[Item]) -> None:
    rows = [{**item.fields, "label": item.gold[0]} for item in items]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@dataclass(frozen=True)
class Ran:
    folder: Path
    file: Path
    result: StudyResult
    heard: Heard

    def records(self, entry: str) -> list[RunRecord]:
        return [record for record in self.result.records if record.entry == entry]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("sizes")
    tiny_model(folder / "bert", "bert")
    tiny_model(folder / "llama", "llama")
    write(folder / "train.jsonl", nli_items(30, seed=1))
    write(folder / "test.jsonl", nli_items(6, seed=2))
    file = folder / "study.yaml"
    file.write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TARAZU_LEDGER", str(folder / "ledger.jsonl"))
        heard = Heard()
        result = run_study(file, out=folder / "out", listener=heard)
    return Ran(folder, file, result, heard)


@pytest.fixture(autouse=True)
def _ledger(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARAZU_LEDGER", str(ran.folder / "ledger.jsonl"))


def test_what_learns_is_run_at_every_size_and_the_rest_once(ran: Ran) -> None:
    assert [run.label for run in ran.heard.runs] == [
        "tfidf · 6 · seed 0", "tfidf · 12 · seed 0", "last-k · 6 · seed 0", "last-k · 12 · seed 0",
        "few-shot · 6 · seed 0", "few-shot · 12 · seed 0", "zero-shot · seed 0",
    ]  # fmt: skip
    assert all(record.status == "done" for record in ran.result.records)
    assert [r.inputs["train"].rows for r in ran.records("last-k")] == [6, 12]
    (zero,) = ran.records("zero-shot")
    assert zero.inputs["train"].rows == 12


def test_only_what_never_sees_the_training_split_is_run_once() -> None:
    idle = [name for name, method in catalog.methods().items() if not method.learns]
    assert idle == ["zero-shot"]


def test_samples_are_nested_and_each_run_has_its_own_items(ran: Ran) -> None:
    store = Store(ran.result.folder)
    ids = []
    for record in ran.records("last-k"):
        items = store.read_items(record).to_pydict()
        pairs = zip(items["item_id"], items["split"], strict=True)
        ids.append({item for item, split in pairs if split == "train"})
    assert [len(found) for found in ids] == [6, 12]
    assert ids[0] < ids[1]


def test_a_run_of_an_axis_is_the_run_of_that_size_alone(ran: Ran) -> None:
    heard = Heard()
    again = run_study(
        ran.file, out=ran.folder / "out", overrides=["data.sample.train=6"], listener=heard,
        only=["last-k", "tfidf"],
    )  # fmt: skip
    assert heard.began == []
    assert [r.key for r in again.records] == [
        ran.records("tfidf")[0].key, ran.records("last-k")[0].key,
    ]  # fmt: skip


def test_the_largest_stands_in_the_table_and_the_curve_has_all(ran: Ran) -> None:
    results = read_results(ran.result.folder)
    curves = {curve.id: curve for curve in learning_curves(results.records)}
    assert {name: [p.rows for p in c.points] for name, c in curves.items()} == {
        "tfidf": [6, 12], "last-k": [6, 12], "few-shot": [6, 12], "zero-shot": [12],
    }  # fmt: skip
    assert "## Training sizes" in report_markdown(results)
    page = report_html(results)
    assert "training: 6 rows, 12 rows" in page
    assert 'id="sizes"' in page
    told = json.loads(report(ran.result.folder, "json"))
    (last_k,) = [curve for curve in told["sizes"] if curve["id"] == "last-k"]
    assert [point["rows"] for point in last_k["points"]] == [6, 12]
    assert all(point["low"] < point["high"] for point in last_k["points"])
    assert told["break_even"] == []  # no model is both trained and prompted
    table = report(ran.result.folder)
    assert sum(line.startswith("last-k") for line in table.splitlines()) == 1


def test_every_scoring_is_in_both_ledgers_once(ran: Ran) -> None:
    own = read_ledgers([ran.result.folder / FILE])
    keys = Counter(scoring.key for scoring in own)
    assert keys == {record.key: 1 for record in ran.result.records}
    assert {scoring.id for scoring in own} <= {
        scoring.id for scoring in read_ledgers([ran.folder / "ledger.jsonl"])
    }
    run_study(ran.file, out=ran.folder / "out")  # all is finished: nothing is scored again
    assert read_ledgers([ran.result.folder / FILE]) == own
    assert "was scored" not in report(ran.result.folder)


def test_another_study_on_the_same_test_set_says_how_often_it_was_scored(ran: Ran) -> None:
    changed = run_study(
        ran.file, out=ran.folder / "other", only=["tfidf"],
        overrides=["study=second", "methods.tfidf.ngrams=1", "data.sample.train=6"],
    )  # fmt: skip
    assert "Test set 'test' was scored 7 times before, by 1 other study" in report(changed.folder)
    assert "7 times before" in report_markdown(read_results(changed.folder))
    # The same runs in another folder show nothing new.
    copy = run_study(ran.file, out=ran.folder / "copy", only=["tfidf"])
    assert "by 1 other study and other runs of this study" in report(copy.folder)


def test_a_killed_study_has_counted_what_it_shows(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "write_record", killed)
    with pytest.raises(KeyboardInterrupt):
        run_study(ran.file, out=tmp_path / "out", only=["tfidf"])
    assert Store(tmp_path / "out").records() == []
    keys = [record.key for record in ran.records("tfidf")]
    assert keys[0] in {s.key for s in read_ledgers([tmp_path / "out" / FILE])}


def test_what_is_known_of_the_data_stands_below_the_table(ran: Ran, tmp_path: Path) -> None:
    items = nli_items(30, seed=1)
    write(tmp_path / "train.jsonl", [*items, *nli_items(6, seed=2)[:2]])
    write(tmp_path / "test.jsonl", nli_items(6, seed=2))
    (tmp_path / "study.yaml").write_text(STUDY)
    result = run_study(tmp_path / "study.yaml", out=tmp_path / "out", only=["tfidf"])
    below = read_results(result.folder).below
    assert any("stand in test split 'test'" in line.en for line in below)
    (file,) = (result.folder / "data").glob("*/notes.json")
    told = json.loads(file.read_text(encoding="utf-8"))
    found = [o for o in told["overlaps"] if o["held_out"] == "test"]
    assert sum(len(o["duplicates"]) for o in found) == 2
    card = describe_data(tmp_path / "study.yaml")
    counted = [o for o in card.overlaps if o.held_out == "test" and o.split != "test"]
    assert sum(o.duplicates for o in counted) == 2
    assert "## Rows that stand in two splits, or twice in one" in card.markdown()
    assert "nearly equal (similarity ≥ 0.8)" in card.markdown()
    off = describe_data(tmp_path / "study.yaml", ["data.near_duplicates=null"]).markdown()
    assert "not looked for" in off
