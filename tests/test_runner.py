"""From a run's process to its record: what is put together, and what a failure becomes."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tarazu import catalog, runner
from tarazu.data.answers import Answers
from tarazu.data.item import Prediction
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.record.spec import DataSpec, RunSpec
from tarazu.runner import attribution, events, run, summaries
from tarazu.splits import Splits
from tarazu.testing.tiny import nli_items
from tarazu.work import Request, Work

TASK = catalog.find_task("multinli")
SPLITS = Splits(nli_items(6, seed=1), nli_items(3, seed=2), {"test": nli_items(3, seed=3)})


def request(tmp_path: Path, method: str = "majority") -> Request:
    spec = RunSpec(
        study="s", entry="e", method=method, model=None, model_spec=None, model_files={},
        task=TASK.name, task_options={}, language="en", seed=0, settings={},
        data=DataSpec(train="a", test="b"), inputs=SPLITS.hashes(), device="cpu", dtype="float32",
        threads=1, eval_batch_size=4,
    )  # fmt: skip
    return Request(spec, None, None, SPLITS, tmp_path, show_text=True)


def die(request: Request, *, tell: Any) -> Work:
    """Be killed, as by the system when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def silent(progress: object) -> None:
    """Hear nothing."""


def test_a_killed_run_becomes_a_record_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "perform", die)
    outcome = run(request(tmp_path), tell=silent)
    assert outcome.record.status == "failed"
    assert "killed by SIGKILL, perhaps because memory ran out" in str(outcome.record.error)
    assert outcome.predictions == []
    assert outcome.record.finished is not None
    assert outcome.record.inputs["test"].rows == 3


def answered(labels: str, variant: str) -> Answers:
    """Answers to the test items: e, n, c, or - for unparsable."""
    names = {"e": "entailment", "n": "neutral", "c": "contradiction", "-": None}
    found = []
    for item, letter in zip(SPLITS.tests["test"], labels, strict=True):
        answer = names[letter]
        found.append(
            Prediction(
                item.id, answer, letter, split="test", variant=variant,
                metrics=TASK.score(answer, item), cut_tokens=int(letter == "c"),
            )
        )  # fmt: skip
    return Answers.of(found)


def test_t19_flips_are_counted_against_the_first_form(tmp_path: Path) -> None:
    said = answered("en-", "adapter") + answered("ene", "m1") + answered("nnc", "m2")
    found = {result.variant: result for result in summaries(said, request(tmp_path))}
    assert [found[v].flips for v in ("adapter", "m1", "m2")] == [None, 1, 2]
    assert [found[v].unparsable for v in ("adapter", "m1", "m2")] == [1, 0, 0]
    assert [found[v].fresh_process for v in ("adapter", "m1", "m2")] == [False, True, True]
    assert found["m2"].flips_against == "adapter"
    assert found["m2"].cut == 1
    assert found["adapter"].metrics["accuracy"] == pytest.approx(2 / 3)


def test_t31_one_answer_to_everything_is_said_aloud(tmp_path: Path) -> None:
    (event,) = events(Work(answered("nnn", "main"), {}), request(tmp_path, "tfidf"))
    assert event.kind == "collapsed"
    assert "'neutral' to all of test" in event.message
    assert events(Work(answered("nnn", "main"), {}), request(tmp_path)) == []
    assert events(Work(answered("nne", "main"), {}), request(tmp_path, "tfidf")) == []


def test_a_model_that_has_seen_the_data_is_named(tmp_path: Path) -> None:
    card = find_card("sentence-transformers/all-MiniLM-L6-v2")
    assert card is not None
    info = info_from_config(card.id, card.config, card=card)
    told = attribution(info, TASK, request(tmp_path).spec)
    assert told.contamination
    assert card.id in told.contamination[0]
    assert (told.model_licence, told.data_licence) == (card.licence, TASK.licence)
    clean = attribution(info, replace(TASK, known_as=("nothing",)), request(tmp_path).spec)
    assert clean.contamination == []
