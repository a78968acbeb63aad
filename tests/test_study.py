"""Whole studies on tiny models: every method, real processes, real files."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tarazu.record.progress import PlannedRun, Progress
from tarazu.record.record import Phase, RunRecord
from tarazu.record.store import Store
from tarazu.report.api import read_results, report_json
from tarazu.study import StudyResult, in_turn, run_study
from tarazu.study_file import load_study
from tarazu.testing.tiny import nli_items, qa_items, tiny_model, write_nli, write_qa
from tarazu.training.checkpoint import checkpoints_for

STUDY = """
version: 1
study: tiny
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: {near: near.csv, far: far.csv}, validation: {rows: 6}}
models: {bert: {source: ./bert}, llama: {source: ./llama}}
training: {epochs: 2, batch_size: 4, max_length: 100}
methods:
  majority: {}
  tfidf: {}
  partial-input: {}
  full: {model: bert}
  last-k: {model: bert, k: 1, epochs: 1}
  lora: {model: bert, r: 4}
  lora-twin: {method: lora, model: bert, r: 4}
  p-tuning: {model: [bert, llama], virtual_tokens: 3, epochs: 1}
  zero-shot: {model: llama}
  few-shot: {model: llama, k: 2, select: balanced, max_length: 300}
  qlora-text: {model: llama, decode: {max_new_tokens: 3}}
  qlora-head: {model: llama, epochs: 1}
  too-fast: {method: full, model: bert, learning_rate: 1.0e+30, schedule: constant, warmup: 0}
seeds: [3]
compute: {device: cpu, dtype: float32, threads: 1}
"""
ENTRIES = [
    "majority", "tfidf", "partial-input", "full", "last-k", "lora", "lora-twin", "p-tuning@bert",
    "p-tuning@llama", "zero-shot", "few-shot", "qlora-text", "qlora-head", "too-fast",
]  # fmt: skip


@dataclass
class Heard:
    """A listener that remembers."""

    plan: list[PlannedRun] = field(default_factory=list)
    began: list[int] = field(default_factory=list)
    ended: list[RunRecord] = field(default_factory=list)
    phases: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def planned(self, runs: list[PlannedRun]) -> None:
        self.plan = runs

    def started(self, index: int) -> None:
        self.began.append(index)

    def progress(self, index: int, progress: Progress) -> None:
        self.phases.add(progress.phase)

    def finished(self, index: int, record: RunRecord) -> None:
        self.ended.append(record)

    def note(self, message: str) -> None:
        self.notes.append(message)


@dataclass(frozen=True)
class Ran:
    folder: Path
    file: Path
    result: StudyResult
    heard: Heard

    def record(self, entry: str) -> RunRecord:
        (found,) = [r for r in self.result.records if r.entry == entry]
        return found

    def table(self, entry: str) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = (
            Store(self.result.folder).read_predictions(self.record(entry)).to_pydict()
        )
        return columns


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("study")
    tiny_model(folder / "bert", "bert")
    tiny_model(folder / "llama", "llama")
    write_nli(folder / "train.csv", nli_items(30, seed=1))
    write_nli(folder / "near.csv", nli_items(6, seed=2))
    write_nli(folder / "far.csv", nli_items(4, seed=3))
    file = folder / "study.yaml"
    file.write_text(STUDY)
    heard = Heard()
    return Ran(folder, file, run_study(file, out=folder / "out", listener=heard), heard)


def test_every_entry_is_planned_and_told_of(ran: Ran) -> None:
    assert [run.entry for run in ran.heard.plan] == ENTRIES
    assert [record.entry for record in ran.heard.ended] == ENTRIES
    assert not any(run.finished for run in ran.heard.plan)
    assert {"load", "train", "validate", "evaluate", "merge"} <= ran.heard.phases


def test_all_methods_finish_and_what_fails_is_recorded(ran: Ran) -> None:
    states = {record.entry: record.status for record in ran.result.records}
    assert states == {e: "failed" if e == "too-fast" else "done" for e in ENTRIES}
    assert ran.result.failed == 1
    error = ran.record("too-fast").error or ""
    assert "the loss must be finite" in error
    assert "learning rate 1e+30" in error
    assert "Lower the learning rate" in error


def test_checkpoints_that_could_not_be_removed_go_with_the_next_command(ran: Ran) -> None:
    parent = ran.result.folder / "checkpoints"
    left = checkpoints_for(ran.record("full").spec, parent, 60.0).folder / ".tmp-1"
    left.mkdir(parents=True)
    again = run_study(ran.file, out=ran.result.folder, only=["full"])
    assert [record.key for record in again.records] == [ran.record("full").key]
    assert not parent.exists()


def test_equal_runs_are_computed_once_and_stored_under_both_names(ran: Ran) -> None:
    assert ran.record("lora-twin").key == ran.record("lora").key
    assert ENTRIES.index("lora-twin") not in ran.heard.began
    stored = {record.entry for record in Store(ran.result.folder).records()}
    assert stored == set(ENTRIES)
    told = json.loads(report_json(read_results(ran.result.folder)))
    assert {run["entry"] for run in told["runs"]} == set(ENTRIES)
    assert "lora-twin" in {entry["id"] for entry in told["entries"]}
    assert ran.table("lora-twin") == ran.table("lora")
    twin = Store(ran.result.folder).run_folder(ran.record("lora-twin"))
    assert (twin / "artifacts" / "trained.safetensors").is_file()
    assert ran.record("lora-twin").spec.entry == "lora-twin"


def test_a_record_says_everything(ran: Ran) -> None:
    record = ran.record("lora")
    assert (record.method, record.family, record.model) == ("lora", "adapter", "bert")
    assert (record.task, record.seed, record.stage) == ("tiny-nli", 3, "final")
    assert list(record.inputs) == ["train", "validation", "near", "far"]
    rows = {name: split.rows for name, split in record.inputs.items()}
    assert (rows["near"], rows["far"], rows["train"] + rows["validation"]) == (6, 4, 30)
    assert 4 <= rows["validation"] <= 8
    r = record.hyperparameters["r"]
    assert (r.value, r.chosen_by) == (4, "entry")
    assert record.hyperparameters["epochs"].chosen_by == "study"
    rate = record.hyperparameters["learning_rate"]
    assert rate.chosen_by == "default"
    assert rate.reason
    assert rate.source
    assert record.parameters is not None
    assert record.parameters.trained == 2 * 3 * 4 * (32 + 32)
    assert record.parameters.head == 32 * 32 + 32 + 3 * 32 + 3
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]
    assert all(epoch.validation_loss is not None for epoch in record.epochs)
    assert all("accuracy" in epoch.metrics for epoch in record.epochs)
    best = min(record.epochs, key=lambda epoch: epoch.validation_loss or 0.0)
    assert record.selected_epoch == best.epoch
    assert record.test_access == ["near", "far"]
    assert record.explain["en"]
    assert record.explain["fa"]
    assert {"load", "tokenise", "train", "evaluate"} <= set(record.measured)
    assert record.measured["train"].tokens > 0
    assert all(phase.rss > 0 for phase in record.measured.values())
    paths = [artifact.path for artifact in record.artifacts]
    assert "artifacts/trained.safetensors" in paths


def test_records_name_neither_machine_nor_place(ran: Ran) -> None:
    import socket

    for file in (ran.result.folder / "runs").glob("*/record.json"):
        text = file.read_text(encoding="utf-8")
        assert str(ran.folder) not in text, file.parent.name
        assert socket.gethostname() not in text


def test_predictions_are_kept_for_every_item(ran: Ran) -> None:
    for entry in ENTRIES[:-1]:
        table = ran.table(entry)
        variants = {"qlora-text": 3}.get(entry, 1)
        assert Counter(table["split"]) == {"near": 6 * variants, "far": 4 * variants}, entry
        assert {
            "item_id", "split", "variant", "predicted", "raw", "scores", "m_accuracy",
            "cut_tokens", "prompt_tokens",
        } <= set(table), entry  # fmt: skip
        record = ran.record(entry)
        for result in record.variants:
            values = [
                value
                for value, split, variant in zip(
                    table["m_accuracy"], table["split"], table["variant"], strict=True
                )
                if (split, variant) == (result.split, result.variant)
            ]
            assert result.n == len(values)
            assert result.metrics["accuracy"] == pytest.approx(sum(values) / len(values))
            assert "macro_f1" in result.metrics


def test_t17_unparsable_answers_are_counted_and_no_label(ran: Ran) -> None:
    table, record = ran.table("qlora-text"), ran.record("qlora-text")
    none = [predicted is None for predicted in table["predicted"]]
    assert sum(none) == sum(result.unparsable for result in record.variants)
    scored = zip(none, table["m_accuracy"], strict=True)
    assert not any(value for unparsable, value in scored if unparsable)
    assert any(none), "a random model's text should not look like a label"


def test_t31_a_collapse_to_one_class_is_in_the_record_and_nothing_else_is(ran: Ran) -> None:
    collapsed = 0
    for entry in ENTRIES[:-1]:
        table, answers = ran.table(entry), dict[tuple[str, str], set[str | None]]()
        for variant, split, predicted in zip(
            table["variant"], table["split"], table["predicted"], strict=True
        ):
            answers.setdefault((variant, split), set()).add(predicted)
        expected = {
            f"{variant} answers '{next(iter(found))}' to all of {split}"
            for (variant, split), found in answers.items()
            if len(found) == 1 and entry != "majority"
        }
        said = [event.message for event in ran.record(entry).events if event.kind == "collapsed"]
        assert sorted(said) == sorted(expected), entry
        collapsed += len(said)
    assert collapsed, "of so many barely trained models one should answer always the same"


def test_t19_both_merged_forms_are_evaluated_from_disk_and_compared_item_by_item(
    ran: Ran,
) -> None:
    record = ran.record("qlora-text")
    assert record.primary_variant == "merged-dequantised"
    found = {(result.variant, result.split): result for result in record.variants}
    names = ("adapter", "merged-dequantised", "merged-16bit")
    assert set(found) == {(name, split) for name in names for split in ("near", "far")}
    table = ran.table("qlora-text")
    rows = zip(table["variant"], table["split"], table["predicted"], strict=True)
    answers: dict[tuple[str, str], list[str | None]] = {}
    for variant, split, predicted in rows:
        answers.setdefault((variant, split), []).append(predicted)
    for (variant, split), result in found.items():
        merged = variant != "adapter"
        assert result.fresh_process is merged
        assert result.flips_against == ("adapter" if merged else None)
        if merged:
            pairs = zip(answers["adapter", split], answers[variant, split], strict=True)
            assert result.flips == sum(a != b for a, b in pairs)
    assert "load merged-dequantised" in record.measured


def test_prompts_are_kept(ran: Ran) -> None:
    record = ran.record("few-shot")
    frame = record.prompt["frame"]
    assert frame.count("⟨premise⟩") == 3
    assert len(record.prompt["demonstrations"]["ids"]) == 2
    assert all(name.startswith("train-") for name in record.prompt["demonstrations"]["ids"])
    virtual = ran.record("p-tuning@llama").prompt["virtual_tokens"]
    assert virtual["count"] == len(virtual["nearest_words"]) == 3


def test_nothing_temporary_is_left(ran: Ran) -> None:
    left = [path for path in ran.result.folder.rglob("*") if path.name.startswith((".tmp", ".old"))]
    assert left == []
    failed = Store(ran.result.folder).run_folder(ran.record("too-fast"))
    assert (failed / "record.json").is_file()
    assert not list(ran.result.folder.rglob("variants"))


def stamp(folder: Path) -> dict[str, int]:
    return {f.parent.name: f.stat().st_mtime_ns for f in folder.glob("runs/*/record.json")}


def test_a_second_time_only_what_failed_is_made_again(ran: Ran) -> None:
    before, heard = stamp(ran.result.folder), Heard()
    again = run_study(ran.file, out=ran.result.folder, listener=heard)
    assert [ENTRIES[i] for i in heard.began] == ["too-fast"]
    assert [run.entry for run in heard.plan if run.finished] == ENTRIES[:-1]
    assert [r.entry for r in again.records] == ENTRIES
    changed = {n for n, t in stamp(ran.result.folder).items() if before[n] != t}
    assert [name.partition("-s3")[0] for name in changed] == ["too-fast"]


def test_entries_without_a_model_wait_for_none(ran: Ran) -> None:
    entries = load_study(ran.file).entries
    turned = in_turn(reversed(entries))
    assert [e.id for e in turned if e.model is None] == [e.id for e in turned[:3]]
    assert sorted(e.id for e in turned) == sorted(e.id for e in entries)
    with_model = [e.id for e in reversed(entries) if e.model is not None]
    assert [e.id for e in turned[3:]] == with_model  # otherwise in their order
    heard = Heard()
    study = ran.folder / "turned.yaml"
    methods = "methods:\n  full: {model: bert}\n  majority: {}\n"
    text = ran.file.read_text()
    study.write_text(text[: text.index("methods:")] + methods + text[text.index("seeds:") :])
    run_study(study, out=ran.folder / "turned", overrides=["training.epochs=1"], listener=heard)
    assert [run.entry for run in heard.plan] == ["majority", "full"]


def test_only_set_and_seeds_choose_what_is_made(ran: Ran) -> None:
    heard = Heard()
    result = run_study(
        ran.file,
        out=ran.folder / "chosen",
        only=["tfidf", "majority"],
        overrides=["seeds=[0, 1]", "methods.tfidf.ngrams=1", "data.sample.test=3"],
        listener=heard,
    )
    assert [(r.entry, r.seed) for r in result.records] == [
        ("majority", 0), ("tfidf", 0), ("tfidf", 1),  # a majority has no luck
    ]  # fmt: skip
    ngrams = result.records[-1].hyperparameters["ngrams"]
    assert (ngrams.value, ngrams.chosen_by) == (1, "command line")
    assert {v.n for r in result.records for v in r.variants} == {3}


def told_without_clock(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude={"measured", "finished"})


def test_t34_equal_runs_give_equal_records_and_predictions(ran: Ran) -> None:
    only = ["lora", "qlora-head"]
    again = run_study(ran.file, out=ran.folder / "again", only=only)
    assert [r.entry for r in again.records] == only
    for record in again.records:
        first = ran.record(record.entry)
        assert told_without_clock(record) == told_without_clock(first)
        for name in ("predictions.parquet", "artifacts/trained.safetensors"):
            here = Store(again.folder).run_folder(record) / name
            there = Store(ran.result.folder).run_folder(first) / name
            assert here.read_bytes() == there.read_bytes()
    other = run_study(ran.file, out=ran.folder / "again", only=["lora"], overrides=["seeds=[4]"])
    (moved,) = other.records
    assert moved.key != ran.record("lora").key
    assert moved.epochs != ran.record("lora").epochs


def test_t30_test_items_change_nothing_of_the_training(ran: Ran, tmp_path: Path) -> None:
    for name in ("bert", "train.csv", "far.csv"):
        (tmp_path / name).symlink_to(ran.folder / name)
    write_nli(tmp_path / "near.csv", nli_items(5, seed=9))
    (tmp_path / "study.yaml").write_text(STUDY)
    result = run_study(tmp_path / "study.yaml", out=tmp_path / "out", only=["lora"])
    (record,), first = result.records, ran.record("lora")
    assert record.inputs["near"] != first.inputs["near"]
    assert record.epochs == first.epochs
    assert record.selected_epoch == first.selected_epoch
    shas = [{a.path: a.sha256 for a in r.artifacts} for r in (record, first)]
    assert shas[0] == shas[1]


QA = """
version: 1
study: tiny-qa
task: {family: qa, name: tiny-qa}
data: {train: train.jsonl, test: test.jsonl, validation: {rows: 4}}
models: {bert: {source: BERT}, llama: {source: LLAMA}}
training: {epochs: 1, batch_size: 8, max_length: 120}
methods:
  majority: {}
  tfidf: {}
  full: {model: bert}
  lora: {model: llama, decode: {max_new_tokens: 3}}
seeds: [0]
compute: {device: cpu, dtype: float32, threads: 1}
report: {text: redacted}
"""


def test_questions_are_answered_by_spans_and_by_text(ran: Ran, tmp_path: Path) -> None:
    write_qa(tmp_path / "train.jsonl", qa_items(24, seed=1))
    write_qa(tmp_path / "test.jsonl", qa_items(5, seed=2))
    text = QA.replace("BERT", str(ran.folder / "bert")).replace("LLAMA", str(ran.folder / "llama"))
    (tmp_path / "qa.yaml").write_text(text)
    result = run_study(tmp_path / "qa.yaml", out=tmp_path / "out")
    assert [record.status for record in result.records] == ["done"] * 4, result.records[-1].error
    store = Store(result.folder)
    for record in result.records:
        (variant,) = record.variants
        assert set(variant.metrics) == {"exact_match", "f1"}
        table = store.read_predictions(record).to_pydict()
        assert {"m_exact_match", "m_f1"} <= set(table)
        assert len(table["item_id"]) == 5
    contexts = {i.id: i.fields["context"] for i in qa_items(5, seed=2)}
    spans = store.read_predictions(result.records[2]).to_pydict()["predicted"]
    assert all(any(span in context for context in contexts.values()) for span in spans)
    # Redacted: no text of the data set in the records or items.
    for file in (*result.folder.rglob("record.json"), *result.folder.rglob("items.parquet")):
        assert b"bought a" not in file.read_bytes(), file


def test_a_tuned_study_on_tiny_models(ran: Ran, tmp_path: Path) -> None:
    """Real processes: trials before final runs, a diverged trial kept, nothing made twice."""
    text = STUDY.replace("./bert", str(ran.folder / "bert"))
    text = text.replace("./llama", str(ran.folder / "llama"))
    for name in ("train.csv", "near.csv", "far.csv"):
        (tmp_path / name).symlink_to(ran.folder / name)
    (tmp_path / "study.yaml").write_text(text)
    heard, only = Heard(), ["majority", "lora", "few-shot", "too-fast"]
    options: dict[str, Any] = {
        "out": tmp_path / "out",
        "only": only,
        "overrides": ["tuning.trials=3", "methods.too-fast.learning_rate=null",
                      "methods.too-fast.clip=1e+30", "methods.too-fast.batch_size=null"],
    }  # fmt: skip
    result = run_study(tmp_path / "study.yaml", listener=heard, **options)
    assert result.failed == 0, [r.error for r in result.records]
    counts = Counter((r.entry, r.spec.share) for r in result.records if r.stage == "trial")
    assert counts == {
        ("lora", 0.25): 3, ("lora", 0.5): 2, ("lora", 1.0): 1, ("few-shot", 1.0): 3,
        ("too-fast", 0.25): 3, ("too-fast", 0.5): 2, ("too-fast", 1.0): 1,
    }  # fmt: skip
    for record in result.records:
        if record.stage == "trial":
            assert [(v.split, v.variant) for v in record.variants] == [("validation", "main")]
            assert record.test_access == []
            assert record.artifacts == []
        else:
            assert {v.split for v in record.variants} == {"near", "far"}
            assert record.measured.get("train", Phase()).before == 0
    # A rung goes on where the one before had stopped, and says what it brings along.
    rungs = [r for r in result.records if r.entry == "lora" and r.stage == "trial"]
    first = [r.measured["train"] for r in rungs if r.spec.share == 0.25]
    later = [r.measured["train"] for r in rungs if r.spec.share > 0.25]
    assert [train.before for train in first] == [0, 0, 0]
    assert len(later) == 3
    assert all(0 < train.before < train.seconds for train in later)
    before, again = stamp(result.folder), Heard()
    run_study(tmp_path / "study.yaml", listener=again, **options)
    assert again.began == []
    assert stamp(result.folder) == before
    told = json.loads(report_json(read_results(result.folder)))
    trials = {entry["id"]: entry["trials"] for entry in told["entries"]}
    assert trials == {"majority": 0, "lora": 3, "few-shot": 3, "too-fast": 3}


def test_trials_that_diverge_say_where_and_leave_the_defaults(ran: Ran, tmp_path: Path) -> None:
    for name in ("train.csv", "near.csv", "far.csv", "bert", "llama"):
        (tmp_path / name).symlink_to(ran.folder / name)
    (tmp_path / "study.yaml").write_text(STUDY)
    broken = ["weight_decay=1e+37", "schedule=constant", "warmup=0"]
    result = run_study(
        tmp_path / "study.yaml",
        out=tmp_path / "out",
        only=["full"],
        overrides=["tuning={trials: 2}", *(f"methods.full.{setting}" for setting in broken)],
    )
    trials = [r for r in result.records if r.stage == "trial"]
    assert [r.status for r in trials] == ["failed", "failed"]
    assert [r.fault for r in trials] == ["settings", "settings"]
    # They cost what they took until it was seen.
    assert all(r.measured["lost"].seconds > 0 for r in trials)
    assert all("training, step" in (r.error or "") for r in trials)
    assert all("at learning rate" in (r.error or "") for r in trials)
    (final,) = [r for r in result.records if r.stage == "final"]
    assert [event.kind for event in final.events] == ["tuning"]
