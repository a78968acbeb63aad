"""Runs that share tokens: the same result with and without, each text once, and tests apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from tarazu import catalog, runner
from tarazu.models.fast import Fast, switched
from tarazu.models.states import Shelves
from tarazu.models.trained import FILE
from tarazu.record.spec import DataSpec, ModelSpec, RunSpec, Setting
from tarazu.splits import Splits
from tarazu.study import run_study
from tarazu.testing.tiny import TinyKind, nli_items, qa_items, tiny_info, write_nli
from tarazu.work import Request, Work, perform

TRAINING = {
    "epochs": 2, "batch_size": 4, "learning_rate": 0.02, "weight_decay": 0.0, "warmup": 0.0,
    "schedule": "constant", "max_length": 120,
}  # fmt: skip
Ask = Callable[..., Request]
PLAIN = Fast(token_tables=False)


def splits(task: str = "multinli", tests: int = 6) -> Splits:
    make = nli_items if task == "multinli" else qa_items
    return Splits(make(8, seed=1), make(5, seed=2), {"test": make(tests, seed=3)})


@pytest.fixture
def ask(tiny: Callable[[TinyKind], Path], tmp_path: Path) -> Ask:
    count = iter(range(100))

    def request(
        kind: TinyKind, method: str = "full", task: str = "multinli", *, seed: int = 0,
        data: Splits | None = None, shelves: Shelves | None = None, **more: Any,
    ) -> Request:  # fmt: skip
        found, about, folder = catalog.find_method(method), catalog.find_task(task), tiny(kind)
        data = data or splits(task)
        values = found.knobs().model_dump(mode="json")
        if found.trains:
            defaults = found.defaults(tiny_info(folder), about)
            values |= {n: d.value for n, d in defaults.items()} | TRAINING
        told = {
            n: Setting(value=v, reason="r", source="s", chosen_by="entry")
            for n, v in {**values, **more}.items()
        }
        spec = RunSpec(
            study="s", entry=method, method=method, model=kind, model_files={},
            model_spec=ModelSpec(source="x"), task=task, task_options={}, language="en",
            seed=seed, settings=told, data=DataSpec(train="a", test="b"), inputs=data.hashes(),
            device="cpu", dtype="float32", threads=1, eval_batch_size=4,
        )  # fmt: skip
        scratch = tmp_path / f"scratch-{next(count)}"
        scratch.mkdir()
        info = tiny_info(folder)
        return Request(spec, folder, info, data, scratch, show_text=True, shelves=shelves)

    return request


@pytest.fixture
def shared(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path / "learnt", tmp_path / "tests", disk=2**30)


def do(request: Request) -> Work:
    return perform(request, tell=lambda progress: None)


def result(request: Request, fast: Fast = Fast()) -> tuple[Any, ...]:  # noqa: B008 - it is frozen
    """Return losses, metrics, kept epoch, answers with their scores, and the trained weights."""
    with switched(fast):
        done = do(request)
    weights = request.scratch / "artifacts" / FILE
    trained = weights.read_bytes() if weights.exists() else b""
    return done.epochs, done.selected_epoch, done.predictions, done.prompt, trained


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return a counter of the texts of which tokens were made, each first one of a pair."""
    seen: Counter[str] = Counter()
    original = PreTrainedTokenizerBase.__call__

    def call(self: Any, text: Any = None, *others: Any, **more: Any) -> Any:
        seen.update([text] if isinstance(text, str) else text)
        return original(self, text, *others, **more)

    monkeypatch.setattr(PreTrainedTokenizerBase, "__call__", call)
    return seen


GENERATE = {"decode": {"max_new_tokens": 3}}
WAYS: list[tuple[TinyKind, str, str, dict[str, Any]]] = [
    ("bert", "full", "multinli", {}),
    ("bert", "partial-input", "multinli", {}),
    ("bert", "last-k", "multinli", {"k": 1}),
    ("bert", "full", "squad", {"max_length": 60}),
    ("llama", "lora", "multinli", {"max_length": 90}),
    ("llama", "lora", "squad", GENERATE),
    ("llama", "p-tuning", "multinli", {"virtual_tokens": 3}),
    ("llama", "few-shot", "multinli", {"k": 2}),
    ("llama-chat", "zero-shot", "multinli", {}),
]


@pytest.mark.parametrize(("kind", "method", "task", "how"), WAYS)
def test_a_run_is_to_the_bit_the_same_and_makes_no_tokens_that_another_made(
    ask: Ask, shared: Shelves, texts: Counter[str], kind: TinyKind, method: str, task: str,
    how: dict[str, Any],
) -> None:  # fmt: skip
    plain = result(ask(kind, method, task, **how), PLAIN)
    without = texts.total()
    texts.clear()
    assert result(ask(kind, method, task, **how)) == plain  # in memory
    alone = texts.total()
    assert alone < without if catalog.find_method(method).trains else alone == without
    texts.clear()
    assert result(ask(kind, method, task, shelves=shared, **how)) == plain  # written
    assert texts.total() == alone
    texts.clear()
    assert result(ask(kind, method, task, shelves=shared, **how)) == plain  # read
    assert texts.total() == 0


@pytest.mark.parametrize(("kind", "method"), [("bert", "full"), ("llama", "lora")])
def test_epochs_and_seeds_ask_for_the_same_tokens(
    ask: Ask, shared: Shelves, texts: Counter[str], kind: TinyKind, method: str
) -> None:
    do(ask(kind, method, epochs=1))
    once = texts.total()
    texts.clear()
    do(ask(kind, method, epochs=3))
    assert texts.total() == once
    texts.clear()
    first = do(ask(kind, method, shelves=shared))
    second = do(ask(kind, method, shelves=shared, seed=1))
    assert texts.total() == once
    assert first.epochs != second.epochs
    if kind == "bert":
        items = splits()
        count = len([*items.train, *items.validation, *items.tests["test"]])
        assert once == count == 19
    assert all(phase.shared == 0 for phase in first.phases.values())
    for phase in ("tokenise", "evaluate"):
        assert second.phases[phase].alone > second.phases[phase].seconds


def test_demonstrations_of_another_seed_or_number_are_other_tokens(
    ask: Ask, shared: Shelves, texts: Counter[str]
) -> None:
    for seed, k in ((0, 2), (1, 2), (0, 1)):
        texts.clear()
        found = result(ask("llama", "few-shot", shelves=shared, seed=seed, k=k))
        assert texts.total() > 0
        assert found == result(ask("llama", "few-shot", seed=seed, k=k), PLAIN)
    data = splits()
    fewer = Splits(data.train[1:], data.validation, data.tests)
    found = result(ask("llama", "few-shot", shelves=shared, data=fewer, k=2))
    assert found == result(ask("llama", "few-shot", data=fewer, k=2), PLAIN)


def test_entries_share_tokens_unless_they_ask_otherwise(
    ask: Ask, shared: Shelves, texts: Counter[str]
) -> None:
    do(ask("bert", "full", shelves=shared))
    for method, how, shares in (
        ("lora", {}, True),
        ("last-k", {"k": 1}, True),
        ("full", {"max_length": 12}, False),
        ("partial-input", {}, False),
    ):
        texts.clear()
        found = result(ask("bert", method, shelves=shared, **how))
        assert (texts.total() == 0) == shares, method
        assert found == result(ask("bert", method, **how), PLAIN)


def test_torn_tables_and_a_full_disk_change_no_result(
    ask: Ask, shared: Shelves, texts: Counter[str]
) -> None:
    plain = result(ask("bert"), PLAIN)
    assert result(ask("bert", shelves=shared)) == plain
    tables = [f for folder in (shared.learnt, shared.tests) if folder for f in folder.rglob("*")]
    tables = [file for file in tables if file.is_file()]
    assert len(tables) == 3
    for file in tables:
        file.write_bytes(file.read_bytes()[:-1])
    texts.clear()
    assert result(ask("bert", shelves=shared)) == plain
    assert texts.total() == 19
    assert result(ask("bert", shelves=replace(shared, disk=0))) == plain
    nowhere = Shelves(Path("/proc/none/learnt"), Path("/proc/none/tests"), disk=2**30)
    assert result(ask("bert", shelves=nowhere)) == plain


def test_t30_a_trial_neither_reads_nor_writes_tokens_of_test_items(
    ask: Ask, shared: Shelves, texts: Counter[str]
) -> None:
    assert shared.tests is not None
    final = ask("bert", shelves=shared)
    do(final)
    assert len(list((shared.tests / "tokens").iterdir())) == 1
    assert len(list((shared.learnt / "tokens").iterdir())) == 2
    # Validation items here are the test items of the final run: only their tokens could help.
    asked = Splits(final.splits.train, final.splits.tests["test"], {})
    trial = replace(ask("bert", data=asked, shelves=shared.for_trial()), stage="trial")
    texts.clear()
    do(trial)
    assert texts.total() == 6
    assert len(list((shared.tests / "tokens").iterdir())) == 1
    assert len(list((shared.learnt / "tokens").iterdir())) == 3


def test_t30_what_trials_are_given_does_not_hang_on_the_tests(ask: Ask, tmp_path: Path) -> None:
    found = []
    for count in (6, 12):
        shelves = Shelves(tmp_path / str(count), tmp_path / f"t{count}", disk=2**30)
        do(ask("bert", data=splits(tests=count), shelves=shelves))
        found.append({f.name: f.stat().st_size for f in shelves.learnt.rglob("*") if f.is_file()})
    assert found[0] == found[1] != {}


STUDY = """
version: 1
study: small
task: {{family: nli, labels: [entailment, neutral, contradiction], language: en}}
data: {{train: train.csv, validation: {{from: train, rows: 6}}, test: test.csv,
  near_duplicates: null}}
models: {{tiny: {{source: "{folder}"}}}}
training: {{epochs: 2, batch_size: 4}}
methods: {{full: {{model: tiny}}, lora: {{model: tiny}}}}
seeds: [0, 1]
tuning: {{trials: 2, pruning: false}}
compute: {{device: cpu, dtype: float32, threads: 1}}
"""


def test_a_study_makes_tokens_of_each_item_once(
    tiny: Callable[[TinyKind], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    texts: Counter[str],
) -> None:
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    write_nli(tmp_path / "train.csv", nli_items(24, seed=1))
    write_nli(tmp_path / "test.csv", nli_items(6, seed=2))
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.format(folder=tiny("bert")))
    runs: list[tuple[str, Path | None]] = []

    def here(work: Callable[..., Work], request: Request, *, tell: Any) -> Work:
        assert request.shelves is not None
        runs.append((request.stage, request.shelves.tests))
        state = torch.get_rng_state()
        done = work(request, tell=tell)
        torch.set_rng_state(state)
        return done

    monkeypatch.setattr(runner, "in_own_process", here)
    assert run_study(file, out=tmp_path / "out").failed == 0
    assert [stage for stage, _ in runs] == ["trial"] * 4 + ["final"] * 4
    assert all((tests is None) == (stage == "trial") for stage, tests in runs)
    assert texts.total() == 24 + 6
    assert list((tmp_path / "cache" / "states").iterdir()) == []
