"""Runs above a frozen trunk: the same result with and without what is kept, and tests apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tarazu import catalog, runner, work
from tarazu.data.item import Item
from tarazu.models.fast import Fast, switched
from tarazu.models.states import Shelves
from tarazu.models.trained import FILE
from tarazu.record.spec import DataSpec, ModelSpec, RunSpec, Setting
from tarazu.runner import events
from tarazu.splits import Splits
from tarazu.study import run_study
from tarazu.testing.tiny import TinyKind, nli_items, tiny_info, write_nli
from tarazu.work import Request, Work, perform

TRAINING = {
    "epochs": 3, "batch_size": 4, "learning_rate": 0.02, "weight_decay": 0.0, "warmup": 0.0,
    "schedule": "constant", "max_length": 120,
}  # fmt: skip
Ask = Callable[..., Request]
# A split model trains padded batches; rows without padding would draw other dropout.
RECOMPUTED, WHOLE = Fast(trunk_cache=False), Fast(split_trunk=False, unpadded=False)


def splits(tests: int = 6) -> Splits:
    return Splits(nli_items(12, seed=1), nli_items(6, seed=2), {"test": nli_items(tests, seed=3)})


@pytest.fixture
def ask(tiny: Callable[[TinyKind], Path], tmp_path: Path) -> Ask:
    count = iter(range(100))

    def request(
        kind: TinyKind, k: int = 1, *, data: Splits | None = None, seed: int = 0, **more: Any
    ) -> Request:
        method, task, folder = catalog.find_method("last-k"), catalog.find_task("multinli"), None
        folder, data = tiny(kind), data or splits()
        fields = {"shelves": more.pop("shelves", None)}
        defaults = {n: d.value for n, d in method.defaults(tiny_info(folder), task).items()}
        values = method.knobs(k=k).model_dump(mode="json") | defaults | TRAINING | more
        told = {
            n: Setting(value=v, reason="r", source="s", chosen_by="entry")
            for n, v in values.items()
        }
        spec = RunSpec(
            study="s", entry="last-k", method="last-k", model=kind, model_files={},
            model_spec=ModelSpec(source="x"), task=task.name, task_options={}, language="en",
            seed=seed, settings=told, data=DataSpec(train="a", test="b"), inputs=data.hashes(),
            device="cpu", dtype="float32", threads=1, eval_batch_size=4,
        )  # fmt: skip
        scratch = tmp_path / f"scratch-{next(count)}"
        scratch.mkdir()
        return Request(spec, folder, tiny_info(folder), data, scratch, show_text=True, **fields)

    return request


def do(request: Request) -> Work:
    return perform(request, tell=lambda progress: None)


def result(request: Request, fast: Fast = Fast()) -> tuple[Any, ...]:  # noqa: B008 - it is frozen
    """Return losses, metrics, kept epoch, answers with their scores, and the trained weights."""
    with switched(fast):
        done = do(request)
    weights = (request.scratch / "artifacts" / FILE).read_bytes()
    return done.epochs, done.selected_epoch, done.predictions, weights


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one for each sequence that goes through the lowest layer."""
    seen: list[int] = []
    load = work.load_learner

    def counting(*arguments: Any, **named: Any) -> Any:
        learner = load(*arguments, **named)
        original = learner.blocks()[0].forward

        def forward(*inputs: Any, **more: Any) -> Any:
            seen.extend([1] * len(inputs[0]))
            return original(*inputs, **more)

        learner.blocks()[0].forward = forward
        return learner

    monkeypatch.setattr(work, "load_learner", counting)
    return seen


@pytest.mark.parametrize(
    ("kind", "k"),
    [("bert", 0), ("bert", 1), ("bert", 2), ("roberta", 1), ("gpt2", 1), ("llama", 1),
        ("llama", 2)],
)  # fmt: skip
def test_a_run_is_to_the_bit_the_same_whether_states_are_kept_or_computed_again(
    ask: Ask, tmp_path: Path, kind: TinyKind, k: int
) -> None:
    kept = result(ask(kind, k))
    assert result(ask(kind, k), RECOMPUTED) == kept
    tight = Shelves(tmp_path / "learnt", tmp_path / "tests", disk=2**20, memory=20_000)
    assert result(ask(kind, k, shelves=tight)) == kept
    assert len(list(tight.learnt.rglob("states.bin"))) > 1  # memory ran over
    assert result(ask(kind, k, shelves=tight)) == kept  # all out of the first run's files
    whole = result(ask(kind, k), WHOLE)
    for one, other in zip(kept[0], whole[0], strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=1e-4)
        assert one.validation_loss == pytest.approx(other.validation_loss, abs=1e-4)
    assert [p.predicted for p in kept[2]] == [p.predicted for p in whole[2]]


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_the_trunk_runs_once_per_sequence_over_all_epochs_and_runs(
    ask: Ask, passes: list[int], tmp_path: Path, kind: TinyKind
) -> None:
    shared = Shelves(tmp_path / "learnt", tmp_path / "tests", disk=2**30)
    counts = []
    for seed, epochs in ((0, 1), (0, 3), (1, 3)):
        passes.clear()
        do(ask(kind, seed=seed, epochs=epochs))
        counts.append(len(passes))
    assert counts[0] == counts[1] == counts[2]
    passes.clear()
    do(ask(kind, shelves=shared))
    assert len(passes) == counts[0]
    passes.clear()
    second = do(ask(kind, seed=1, shelves=shared))
    tried = len(passes)
    assert tried <= 8
    data = splits()
    items = (*data.train, *data.validation, *data.tests["test"])
    texts = {str(item.fields) for item in items}
    if kind == "bert":
        assert counts[0] == len(texts) + tried
    else:  # prompts with what may follow them, and the empty item, are sequences of their own
        assert counts[0] > len(texts) + tried
    for phase in ("train", "evaluate"):
        assert second.phases[phase].shared > 0
        assert second.phases[phase].alone > second.phases[phase].seconds
    assert second.phases["load"].shared == 0


def test_what_was_computed_by_the_run_itself_is_not_called_shared(ask: Ask) -> None:
    assert all(phase.shared == 0 for phase in do(ask("bert")).phases.values())


def test_other_data_or_a_shorter_text_have_states_of_their_own(
    ask: Ask, passes: list[int], tmp_path: Path
) -> None:
    shared = Shelves(tmp_path / "learnt", tmp_path / "tests", disk=2**30)
    do(ask("bert", shelves=shared))
    passes.clear()
    do(ask("bert", shelves=shared))
    tried = len(passes)
    data = splits()
    item = data.train[0]
    other = Item("new", "new", {**item.fields, "hypothesis": "It is new."}, item.gold)
    passes.clear()
    changed = Splits([other, *data.train[1:]], data.validation, data.tests)
    do(ask("bert", data=changed, shelves=shared))
    assert tried + 1 < len(passes) <= tried + 12  # with all that are computed with it
    passes.clear()
    do(ask("bert", shelves=shared, max_length=12))
    assert len(passes) > tried + 12
    passes.clear()
    do(ask("bert", 2, shelves=shared))
    assert len(passes) > tried + 20  # another layer


def test_states_that_fit_nowhere_are_not_begun_with_and_the_record_says_so(
    ask: Ask, tmp_path: Path
) -> None:
    small = Shelves(tmp_path / "learnt", tmp_path / "tests", disk=10_000, memory=10_000)
    done = do(ask("bert", shelves=small))
    with switched(WHOLE):
        whole = do(ask("bert"))
    (event,) = done.events
    assert (event.kind, "needs more room than compute.trunk_disk" in event.message) == (
        "trunk",
        True,
    )
    assert (done.epochs, done.predictions) == (whole.epochs, whole.predictions)
    assert not list(tmp_path.rglob("states.bin"))


def test_t30_a_trial_neither_reads_nor_writes_states_of_test_items(
    ask: Ask, passes: list[int], tmp_path: Path
) -> None:
    shared = Shelves(tmp_path / "learnt", tmp_path / "tests", disk=2**30)
    final = ask("bert", shelves=shared)
    # Validation items here are the test items of the final run: only their states could help.
    data = final.splits
    do(final)
    assert len(list((tmp_path / "tests").rglob("states.bin"))) == 1
    asked = Splits(data.train, data.tests["test"], {})
    trial = replace(
        ask("bert", data=asked, shelves=shared.for_trial()), stage="trial", splits=asked
    )
    passes.clear()
    do(trial)
    assert len(passes) >= len({str(item.fields) for item in asked.validation})
    assert len(list((tmp_path / "tests").rglob("states.bin"))) == 1


def test_states_of_test_items_lie_apart_from_those_of_others(ask: Ask, tmp_path: Path) -> None:
    sizes = []
    for count in (6, 12):
        shared = Shelves(tmp_path / str(count), tmp_path / f"t{count}", disk=2**30)
        do(ask("bert", data=splits(count), shelves=shared))
        sizes.append(
            [
                sum(f.stat().st_size for f in folder.rglob("states.bin"))
                for folder in (shared.learnt, tmp_path / f"t{count}")
            ]
        )
    assert sizes[0][0] == sizes[1][0] > 0
    assert sizes[1][1] > sizes[0][1] > 0


def test_a_model_that_cannot_be_split_is_run_whole_and_the_record_says_so(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tarazu.models.frozen._try_out", lambda learner, frozen: "it is odd")
    request = ask("bert")
    done = do(request)
    assert ("trunk", "the frozen layers of tiny run in every epoch: it is odd") in [
        (event.kind, event.message) for event in events(done, request)
    ]
    with switched(WHOLE):
        again = do(ask("bert"))
    assert (done.epochs, done.predictions) == (again.epochs, again.predictions)
    assert again.events == []


STUDY = """
version: 1
study: small
task: {{family: nli, labels: [entailment, neutral, contradiction], language: en}}
data: {{train: train.csv, validation: {{from: train, rows: 6}}, test: test.csv,
  near_duplicates: null}}
models: {{tiny: {{source: "{folder}"}}}}
training: {{epochs: 2, batch_size: 4}}
methods: {{last-k: {{model: tiny, k: 1}}}}
seeds: [0, 1]
tuning: {{trials: 2, pruning: false}}
compute: {{device: cpu, dtype: float32, threads: 1}}
"""


def test_a_study_shares_states_between_its_runs_and_removes_them(
    tiny: Callable[[TinyKind], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    write_nli(tmp_path / "train.csv", nli_items(24, seed=1))
    write_nli(tmp_path / "test.csv", nli_items(6, seed=2))
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.format(folder=tiny("bert")))
    requests: list[Request] = []

    def here(work: Callable[..., Work], request: Request, *, tell: Any) -> Work:
        requests.append(request)
        state = torch.get_rng_state()
        done = work(request, tell=tell)
        torch.set_rng_state(state)
        return done

    monkeypatch.setattr(runner, "in_own_process", here)
    found = run_study(file, out=tmp_path / "out")
    assert found.failed == 0
    for request in requests:
        assert request.shelves is not None
        assert request.shelves.learnt.is_relative_to(tmp_path / "cache")
        assert not request.shelves.learnt.is_relative_to(tmp_path / "out")
        assert (request.shelves.tests is None) == (request.stage == "trial")
    assert [r.stage for r in requests] == ["trial", "trial", "final", "final"]
    first, second = (r for r in found.records if r.stage == "final")
    assert first.measured["evaluate"].shared == 0
    assert second.measured["evaluate"].shared > 0
    assert list((tmp_path / "cache" / "states").iterdir()) == []
