"""Tuned studies with runs that are made up: equal budgets, the same choice whatever happens."""

from __future__ import annotations

import hashlib
import json
import pickle  # noqa: TID251 (the form in which processes are given their work)
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tarazu import study as study_module
from tarazu import workshop
from tarazu.comparison.entries import entries
from tarazu.data.item import Item
from tarazu.errors import BadInput
from tarazu.record.key import canonical_json, content_key
from tarazu.record.progress import PlannedRun, Progress, Silent
from tarazu.record.record import Epoch, Phase, RunRecord, VariantResult
from tarazu.record.store import Store
from tarazu.report.api import read_results, report_json
from tarazu.runner import Outcome, blank_record
from tarazu.study import StudyResult, run_study
from tarazu.testing.tiny import nli_items, tiny_model
from tarazu.work import Request

STUDY = """
version: 1
study: tuned
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: {secretfile: secretfile.csv}, validation: {rows: 6}}
models: {bert: {source: ./bert}, llama: {source: ./llama}}
training: {epochs: 2, batch_size: 4, max_length: 100}
methods:
  majority: {}
  tfidf: {}
  full: {model: bert}
  lora: {model: bert, r: 4}
  p-tuning: {model: bert}
  zero-shot: {model: llama}
  one-shot: {method: few-shot, model: llama, k: 1}
  fixed: {method: full, model: bert, learning_rate: 1e-4}
seeds: [0, 1]
tuning: {trials: 5}
compute: {device: cpu, dtype: float32, threads: 1}
"""
SEARCHED = ["tfidf", "full", "lora", "p-tuning", "zero-shot", "one-shot"]
WHOLE = ["tfidf", "zero-shot", "one-shot"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    tiny_model(folder / "bert", "bert")
    tiny_model(folder / "llama", "llama")
    write(folder / "train.csv", nli_items(30, seed=1))
    write(folder / "secretfile.csv", secret(nli_items(6, seed=2)))
    (folder / "study.yaml").write_text(STUDY)
    return folder


def secret(items: Sequence[Item]) -> list[Item]:
    return [item.with_fields(premise=f"Zanzibar {n}.") for n, item in enumerate(items)]


def write(file: Path, items: Sequence[Item]) -> None:
    lines = [f"{i.fields['premise']},{i.fields['hypothesis']},{i.gold[0]}" for i in items]
    file.write_text("premise,hypothesis,label\n" + "\n".join(lines) + "\n")


def drawn(request: Request) -> float:
    """Make up a score: a function of the settings alone, with many ties."""
    values = {name: setting.value for name, setting in request.spec.settings.items()}
    text = canonical_json([request.spec.method, values, request.spec.share])
    return int(hashlib.sha256(text.encode()).hexdigest()[:4], 16) % 8 / 8


@dataclass
class Fake:
    """Stands for the processes of runs; remembers what they were given."""

    score: Callable[[Request], float | str | BaseException] = drawn
    requests: list[Request] = field(default_factory=list)

    def __call__(self, request: Request, *, tell: Any, limits: Any = None) -> Outcome:
        self.requests.append(request)
        tell(Progress("train"))
        result = self.score(request)
        record = blank_record(request)
        if isinstance(result, BaseException):
            raise result
        if isinstance(result, str):
            fault = "process" if result.startswith("killed") else "settings"
            return Outcome(record.model_copy(update={"error": result, "fault": fault}), [])
        variants = [
            VariantResult(variant="main", split=s, n=len(i), metrics={"accuracy": result})
            for s, i in request.asked.items()
        ]
        epochs = [Epoch(epoch=1, train_loss=1.0, validation_loss=1.0)]
        changes = {
            "status": "done",
            "variants": variants,
            "epochs": epochs if request.method.trains else [],
            "selected_epoch": 1,
            "measured": {"train": Phase(seconds=4.0)},
            "finished": f"2026-01-01T00:00:{len(self.requests):04}",
        }
        return Outcome(record.model_copy(update=changes), [])

    def trials(self) -> list[Request]:
        return [request for request in self.requests if request.stage == "trial"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(workshop, "run", made)
    return made


class Heard(Silent):
    """A listener that counts."""

    def __init__(self) -> None:
        self.plans: list[list[PlannedRun]] = []
        self.over: list[int] = []
        self.began: list[int] = []
        self.left_out: list[int] = []
        self.notes: list[str] = []

    def planned(self, runs: list[PlannedRun]) -> None:
        self.plans.append(runs)
        self.over, self.began, self.left_out = [], [], []

    def started(self, index: int) -> None:
        self.began.append(index)

    def finished(self, index: int, record: RunRecord) -> None:
        self.over.append(index)
        assert self.plans[-1][index].entry == record.entry
        assert self.plans[-1][index].stage == record.stage

    def dropped(self, index: int) -> None:
        self.left_out.append(index)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def all_told(self) -> bool:
        return sorted(self.over + self.left_out) == list(range(len(self.plans[-1])))


def study(place: Path, out: Path, *overrides: str, **more: Any) -> StudyResult:
    return run_study(place / "study.yaml", out=out, overrides=overrides, **more)


def tried(result: StudyResult) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for record in result.records:
        if record.trial is not None:
            found.setdefault(record.entry, set()).add(record.trial.number)
    return found


def told(result: StudyResult) -> list[dict[str, Any]]:
    return [r.model_dump(mode="json", exclude={"measured", "finished"}) for r in result.records]


def finals(result: StudyResult, entry: str) -> list[RunRecord]:
    return [r for r in result.records if r.entry == entry and r.stage == "final"]


def test_t32_every_entry_has_the_same_budget(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path)
    assert tried(result) == {entry: set(range(5)) for entry in SEARCHED}
    tuned = {r.entry: r.tuned for r in result.records if r.tuned is not None}
    assert {one.budget for one in tuned.values()} == {5}
    assert {entry: one.trials for entry, one in tuned.items()} == (
        {"majority": 0, "fixed": 0} | dict.fromkeys(SEARCHED, 5)
    )
    shown = {entry.id: entry for entry in entries(result.records)}
    assert {name: (e.trials, e.tuned) for name, e in shown.items()} == (
        {"majority": (0, False), "fixed": (0, False)} | dict.fromkeys(SEARCHED, (5, True))
    )
    json_entries = json.loads(report_json(read_results(tmp_path)))["entries"]
    assert {e["id"]: e["trials"] for e in json_entries}["lora"] == 5
    assert Counter(r.stage for r in Store(tmp_path).records()) == Counter(
        r.stage for r in result.records
    )


def test_what_cannot_be_tuned_says_why(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path)
    (majority, *_), (fixed, *_) = finals(result, "majority"), finals(result, "fixed")
    assert majority.tuned is not None
    assert "nothing to choose" in majority.tuned.nothing["en"]
    assert fixed.tuned is not None
    assert fixed.tuned.fixed == ["learning_rate", "batch_size"]
    assert "learning_rate, batch_size" in fixed.tuned.nothing["en"]


def test_pruning_compares_all_trials_at_each_rung(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path)
    for entry in SEARCHED:
        runs = [r for r in result.records if r.entry == entry and r.trial is not None]
        shares = Counter(r.spec.share for r in runs)
        assert shares == ({1.0: 5} if entry in WHOLE else {0.25: 5, 0.5: 3, 1.0: 2}), entry
        if entry in WHOLE:
            continue
        scores = {
            share: {r.trial.number: r.variants[0].metrics["accuracy"] for r in runs
                    if r.trial is not None and r.spec.share == share}
            for share in shares
        }  # fmt: skip
        for before, after in ((0.25, 0.5), (0.5, 1.0)):
            best = sorted(scores[before], key=lambda n: (-scores[before][n], n))
            assert set(scores[after]) == set(best[: len(scores[after])])
        (final, *_) = finals(result, entry)
        assert final.tuned is not None
        best = sorted(scores[1.0], key=lambda n: (-scores[1.0][n], n))
        assert (final.tuned.winner, final.tuned.score) == (best[0], scores[1.0][best[0]])
    off = study(place, tmp_path / "off", "tuning.pruning=false")
    assert {r.spec.share for r in off.records} == {1.0}


def test_the_winners_settings_are_used_and_say_why(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path)
    changed = 0
    for entry in SEARCHED:
        for final in finals(result, entry):
            assert final.tuned is not None
            runs = [
                r for r in result.records
                if r.entry == entry and r.trial is not None and r.trial.number == final.tuned.winner
            ]  # fmt: skip
            changed += final.tuned.winner != 0
            for name in final.tuned.searched:
                setting = final.hyperparameters[name]
                assert setting.value == runs[-1].hyperparameters[name].value
                assert setting.chosen_by == "tuning"
                assert f"Trial {final.tuned.winner}" in setting.reason
                assert f"{final.tuned.score:.4f}" in setting.reason
            assert final.hyperparameters["template" if entry != "tfidf" else "max_words"].value
    assert changed, "some winner must differ from the defaults, or this shows nothing"


def test_what_the_study_fixes_is_not_searched(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path, "methods.lora.dropout=0.05")
    (final, *_) = finals(result, "lora")
    assert final.tuned is not None
    assert set(final.tuned.searched) == {"learning_rate", "targets"}
    assert final.tuned.fixed == ["r", "dropout", "batch_size"]
    for record in result.records:
        if record.entry == "lora":
            values = {n: s.value for n, s in record.hyperparameters.items()}
            assert (values["r"], values["dropout"], values["batch_size"]) == (4, 0.05, 4)
            assert record.hyperparameters["r"].chosen_by == "entry"
            assert record.hyperparameters["dropout"].chosen_by == "command line"


def test_t30_a_trial_is_given_nothing_of_the_tests(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path / "outfolder")
    assert fake.trials()
    words = [b"Zanzibar", b"secretfile", b"outfolder"]  # where the items are kept, test and all
    for request in fake.requests:
        # All that a run's process is given crosses to it in this form.
        sent = pickle.dumps(request)
        told = [word for word in words if word in sent]
        assert told == ([] if request.stage == "trial" else words), request.stage
    sha = result.records[-1].inputs["secretfile"].sha256
    for record in result.records:
        if record.stage == "trial":
            assert record.test_access == []
            assert list(record.inputs) == ["train", "validation"]
            assert sha not in record.model_dump_json()
            assert [v.split for v in record.variants] == ["validation"]


def test_no_test_item_is_scored_before_every_choice_is_made(
    place: Path, tmp_path: Path, fake: Fake
) -> None:
    study(place, tmp_path)
    stages = [request.stage for request in fake.requests]
    assert stages == sorted(stages, reverse=True)


def test_trials_have_one_seed_of_their_own(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path, "tuning.seed=77")
    assert {r.seed for r in result.records if r.stage == "trial"} == {77}
    assert {r.tuned.seed for r in result.records if r.tuned is not None} == {77}
    assert {r.seed for r in result.records if r.stage == "final"} == {0, 1}


def test_t39_a_killed_study_goes_on_to_the_same_choice(
    place: Path, tmp_path: Path, fake: Fake
) -> None:
    only = ["full", "zero-shot"]
    whole = told(study(place, tmp_path / "whole", only=only))
    count = len(fake.requests)
    for stop in (0, 6, 9, count - 1):  # in the first rung, in the second, in the third, at the end
        out = tmp_path / f"stopped-{stop}"
        fake.requests.clear()

        def until(request: Request, stop: int = stop) -> float | BaseException:
            return KeyboardInterrupt() if len(fake.requests) > stop else drawn(request)

        fake.score = until
        with pytest.raises(KeyboardInterrupt):
            study(place, out, only=only)
        fake.score = drawn
        fake.requests.clear()
        heard = Heard()
        assert told(study(place, out, only=only, listener=heard)) == whole
        assert len(fake.requests) == count - stop
        assert heard.all_told()
        fake.requests.clear()
        assert told(study(place, out, only=only)) == whole
        assert fake.requests == []


def test_the_order_in_which_trials_are_finished_plays_no_part(
    place: Path, tmp_path: Path, fake: Fake
) -> None:
    only = ["lora", "tfidf"]
    whole = study(place, tmp_path, only=only)
    runs = sorted((tmp_path / "runs").iterdir())
    for seed in range(3):  # some are there already, others are made now, in another order
        for folder in random.Random(seed).sample(runs, len(runs) // 2):
            shutil.rmtree(folder)
        assert told(study(place, tmp_path, only=only)) == told(whole)


def test_failed_trials_count_and_are_not_made_again_unless_a_process_died(
    place: Path, tmp_path: Path, fake: Fake
) -> None:
    def score(request: Request) -> float | str:
        rate = request.spec.settings.get("learning_rate")
        if request.stage == "final" or rate is None or request.spec.method != "full":
            return drawn(request)
        if rate.value == 1e-4:  # the default
            return "killed by SIGKILL"
        return "the loss must be finite" if rate.value > 1e-4 else drawn(request)

    fake.score = score
    heard = Heard()
    result = study(place, tmp_path, "tuning.trials=6", only=["full"], listener=heard)
    assert heard.all_told()
    runs = [r for r in result.records if r.trial is not None]
    reasons = {r.trial.number: r.error for r in runs if r.trial is not None and r.error}
    assert reasons[0] == "killed by SIGKILL"
    assert "the loss must be finite" in reasons.values()
    assert tried(result)["full"] == set(range(6))
    (final, *_) = finals(result, "full")
    assert final.tuned is not None
    assert final.tuned.trials == 6
    assert final.tuned.winner not in reasons
    assert result.failed == 0, "a failed trial fails no study"
    fake.requests.clear()
    study(place, tmp_path, "tuning.trials=6", only=["full"])
    again = [r.spec.settings["learning_rate"].value for r in fake.trials()]
    assert set(again) == {1e-4}


def test_when_all_trials_fail_the_defaults_are_used_and_it_is_said(
    place: Path, tmp_path: Path, fake: Fake
) -> None:
    fake.score = lambda r: "out of luck" if r.stage == "trial" else 0.5
    heard = Heard()
    result = study(place, tmp_path, only=["lora", "tfidf"], listener=heard)
    assert heard.all_told()
    assert heard.left_out
    for entry in ("lora", "tfidf"):
        for final in finals(result, entry):
            assert final.status == "done"
            assert final.tuned is not None
            assert (final.tuned.winner, final.tuned.score, final.tuned.trials) == (None, None, 5)
            (event,) = final.events
            assert event.kind == "tuning"
            assert "none of 5 trials" in event.message
            assert "out of luck" in event.message
            by = {
                s.chosen_by for n, s in final.hyperparameters.items() if n in final.tuned.searched
            }
            assert by == {"default"}
    # Told once, also when the finished runs are taken again.
    assert [e.kind for e in study(place, tmp_path, only=["lora"]).records[-1].events] == ["tuning"]


def test_a_final_run_that_was_made_before_says_now_who_chose(
    place: Path, tmp_path: Path, fake: Fake
) -> None:
    before = study(place, tmp_path, "tuning=null", only=["tfidf"])
    assert {r.tuned for r in before.records} == {None}
    fake.score = lambda r: 0.5  # all alike: the defaults win by their number
    fake.requests.clear()
    after = study(place, tmp_path, only=["tfidf"])
    assert [r.stage for r in fake.requests] == ["trial"] * 5
    for record in finals(after, "tfidf"):
        assert record.tuned is not None
        assert record.tuned.winner == 0
        assert record.hyperparameters["c"].chosen_by == "tuning"
    assert [r.key for r in finals(after, "tfidf")] == [r.key for r in before.records]
    stored = [r for r in Store(tmp_path).records() if r.stage == "final"]
    assert all(r.tuned is not None for r in stored)
    again = study(place, tmp_path, "tuning=null", only=["tfidf"])
    assert {r.tuned for r in again.records} == {None}


def test_a_small_space_needs_fewer_trials(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path, "tuning.trials=40", only=["zero-shot", "tfidf"])
    assert {e: len(n) for e, n in tried(result).items()} == {"zero-shot": 9, "tfidf": 40}
    seen = {
        (r.spec.settings["template"].value, r.spec.settings["label_score"].value)
        for r in result.records if r.entry == "zero-shot" and r.trial is not None
    }  # fmt: skip
    assert len(seen) == 9


def test_the_plan_counts_trials_and_finished_ones(place: Path, tmp_path: Path, fake: Fake) -> None:
    heard = Heard()
    study(place, tmp_path, listener=heard)
    (plan,) = heard.plans
    assert heard.all_told()
    assert Counter(run.stage for run in plan)["trial"] == 3 * 5 + 3 * 10
    assert not any(run.finished for run in plan)
    assert plan[0].label == "tfidf · trial 0"
    assert "full · rung 2, trial 1 of 3" in [run.label for run in plan]
    # A rung goes on where the one below stops: half of its updates are made by then.
    full = {r.label: r for r in plan if r.label.startswith("full · ") and r.stage == "trial"}
    quarter, half = full["full · trial 1"], full["full · rung 2, trial 1 of 3"]
    whole = full["full · rung 3, trial 1 of 2"]
    assert [run.begun for run in (quarter, half, whole)] == [0.0, 0.5, 0.5]
    assert half.work == pytest.approx(quarter.work)
    assert whole.work > half.work
    again = Heard()
    study(place, tmp_path, listener=again)
    (plan,) = again.plans
    assert all(run.finished for run in plan)
    assert again.began == []
    assert again.all_told()


def test_a_tuned_draw_of_demonstrations_needs_no_further_seed(
    place: Path, tmp_path: Path, fake: Fake
) -> None:
    fake.score = lambda r: 1.0 if r.spec.settings["draw"].value == 3 else 0.1
    heard = Heard()
    result = study(place, tmp_path, "tuning.trials=64", only=["one-shot"], listener=heard)
    (final,) = finals(result, "one-shot")
    assert final.hyperparameters["draw"].value == 3
    assert final.seeded is False or final.hyperparameters["select"].value != "similar"
    assert len(heard.left_out) == 1
    assert heard.all_told()


def test_seconds_become_a_recorded_number_of_trials(
    place: Path, tmp_path: Path, fake: Fake
) -> None:
    seconds = ["tuning={seconds: 185}"]
    with pytest.raises(BadInput, match="by all entries together"):
        study(place, tmp_path, *seconds, only=["tfidf"])
    heard = Heard()
    result = study(place, tmp_path, *seconds, listener=heard)
    # Six entries of 4 + 6 seconds each: three trials fit into 185.
    assert {e: len(n) for e, n in tried(result).items()} == dict.fromkeys(SEARCHED, 3)
    assert len(heard.plans) == 2
    assert heard.all_told()
    kept = Store(tmp_path).read_budget()
    assert kept is not None
    assert (kept["trials"], set(kept["measured"])) == (3, set(SEARCHED))
    # Later it is neither measured nor reckoned again, whatever runs take by then.
    for file in (tmp_path / "runs").glob("*/record.json"):
        file.write_text(file.read_text().replace('"seconds": 4.0', '"seconds": 400.0'))
    fake.requests.clear()
    again = study(place, tmp_path, *seconds)
    assert fake.requests == []
    assert {r.tuned.budget for r in again.records if r.tuned is not None} == {3}
    one = study(place, tmp_path, *seconds, only=["lora"])
    assert {r.tuned.budget for r in one.records if r.tuned is not None} == {3}


def test_trials_and_final_runs_never_share_a_key(place: Path, tmp_path: Path, fake: Fake) -> None:
    result = study(place, tmp_path)
    keys = {stage: {content_key(r.spec) for r in result.records if r.stage == stage}
            for stage in ("trial", "final")}  # fmt: skip
    assert not keys["trial"] & keys["final"]


def test_without_validation_items_there_is_nothing_to_choose_on(
    place: Path, tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def empty(*arguments: Any) -> Any:
        from tarazu.splits import Splits

        return Splits(nli_items(4, seed=1), [], {"secretfile": nli_items(2, seed=2)})

    monkeypatch.setattr(study_module, "load_splits", empty)
    with pytest.raises(BadInput, match="tuning chooses on them"):
        study(place, tmp_path)
    assert fake.requests == []
