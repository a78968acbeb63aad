"""What a run does inside its process: seeds, selection, views, tests scored once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tarazu import catalog, work
from tarazu.data.item import Item
from tarazu.models.fast import Fast, switched
from tarazu.models.learner import Learner
from tarazu.models.trained import FILE
from tarazu.readings import chat
from tarazu.record.progress import Progress
from tarazu.record.spec import DataSpec, ModelSpec, RunSpec, Setting
from tarazu.splits import Splits
from tarazu.testing.tiny import TinyKind, nli_items, tiny_info, tiny_model
from tarazu.training import loop
from tarazu.training.meter import Meters
from tarazu.work import Request, Work, perform, seed_everything

TRAINING = {
    "epochs": 3, "batch_size": 4, "learning_rate": 0.02, "weight_decay": 0.0, "warmup": 0.0,
    "schedule": "constant", "max_length": 120,
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("models")


Make = Callable[..., Request]


@pytest.fixture
def make(models: Path, tmp_path: Path) -> Make:
    def request(
        method: str,
        kind: TinyKind | None,
        splits: Splits | None = None,
        *,
        seed: int = 0,
        scratch: str = "a",
        **settings: Any,
    ) -> Request:
        found, task = catalog.find_method(method), catalog.find_task("multinli")
        folder = models / kind if kind else None
        if folder is not None and not folder.is_dir():
            assert kind is not None
            tiny_model(folder, kind)
        info = tiny_info(folder) if folder else None
        values = found.knobs().model_dump(mode="json")
        if info is not None and found.trains:
            values |= {n: d.value for n, d in found.defaults(info, task).items()} | TRAINING
        values |= settings
        splits = splits or Splits(
            nli_items(12, seed=1), nli_items(6, seed=2), {"test": nli_items(6, seed=3)}
        )
        told = {
            n: Setting(value=v, reason="test", source="test", chosen_by="entry")
            for n, v in values.items()
        }
        spec = RunSpec(
            study="s", entry=method, method=method, model=kind, model_files={},
            model_spec=ModelSpec(source="x") if kind else None, task=task.name, task_options={},
            language="en", seed=seed, settings=told, data=DataSpec(train="a", test="b"),
            inputs=splits.hashes(), device="cpu", dtype="float32", threads=1, eval_batch_size=4,
        )  # fmt: skip
        (tmp_path / scratch).mkdir(exist_ok=True)
        return Request(spec, folder, info, splits, tmp_path / scratch, show_text=True)

    return request


def do(request: Request) -> Work:
    return perform(request, tell=lambda progress: None)


def trained(request: Request) -> bytes:
    return (request.scratch / "artifacts" / FILE).read_bytes()


def test_t34_every_source_of_randomness_is_seeded() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    seed_everything(5)
    first = draw()
    seed_everything(5)
    assert draw() == first
    seed_everything(6)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_t34_the_seed_decides_head_adapter_and_order(make: Make) -> None:
    a, b, c = (make("lora", "bert", seed=s, scratch=str(i)) for i, s in enumerate((1, 1, 2)))
    torch.rand(3)  # what was drawn before the run plays no part
    first = do(a)
    torch.rand(7)
    second, third = do(b), do(c)
    assert (first.epochs, trained(a)) == (second.epochs, trained(b))
    assert first.predictions == second.predictions
    assert first.epochs != third.epochs
    assert trained(a) != trained(c)


def test_t34_the_seed_decides_the_order_of_the_data(make: Make) -> None:
    """A decoder that answers in words has no new weights and no dropout: else nothing is drawn."""
    first, again, other = (do(make("full", "llama", seed=seed, epochs=2)) for seed in (1, 1, 2))
    assert first.epochs == again.epochs
    assert first.epochs != other.epochs


def test_t34_the_seed_decides_the_demonstrations(make: Make) -> None:
    def shown(seed: int) -> tuple[str, ...]:
        work = do(make("few-shot", "llama", seed=seed, k=2))
        return tuple(work.prompt["demonstrations"]["ids"])

    assert shown(0) == shown(0)
    assert len({shown(seed) for seed in range(4)}) > 1


def test_t30_permuted_and_mislabelled_tests_leave_the_training_alone(make: Make) -> None:
    train, validation, test = nli_items(12, seed=1), nli_items(6, seed=2), nli_items(6, seed=3)
    wrong = [Item(i.id, i.group, i.fields, ("neutral",)) for i in reversed(test)]
    a = make("full", "bert", Splits(train, validation, {"test": test}), scratch="a")
    b = make("full", "bert", Splits(train, validation, {"test": wrong}), scratch="b")
    first, second = do(a), do(b)
    assert first.epochs == second.epochs
    assert first.selected_epoch == second.selected_epoch
    assert trained(a) == trained(b)
    told = {p.item_id: p.predicted for p in first.predictions}
    assert {p.item_id: p.predicted for p in second.predictions} == told


def contrary() -> Splits:
    """Splits whose validation items contradict the training: the more is learnt, the worse."""
    train = nli_items(12, seed=1)
    other = {"entailment": "neutral", "neutral": "contradiction", "contradiction": "entailment"}
    wrong = [Item(f"v-{i.id}", f"v-{i.group}", i.fields, (other[i.gold[0]],)) for i in train]
    return Splits(train, wrong, {"test": nli_items(6, seed=3)})


LONG = {"learning_rate": 0.01, "epochs": 6}


def test_t30_the_validation_split_decides_which_epoch_answers(make: Make) -> None:
    work = do(make("full", "bert", contrary(), scratch="best", **LONG))
    losses = [epoch.validation_loss or 0.0 for epoch in work.epochs]
    assert work.selected_epoch == 1 + losses.index(min(losses))
    assert work.selected_epoch < 6
    last = make("full", "bert", contrary(), scratch="last", select="last", **LONG)
    assert do(last).selected_epoch == 6


@pytest.mark.parametrize("method", ["full", "last-k", "lora", "p-tuning"])
def test_t40_the_selected_epochs_weights_answer_and_are_saved(
    make: Make, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """As if training had stopped there: the same run with fewer epochs."""
    curve = iter([3.0, 1.0, 2.0, 4.0, 3.0, 1.0])
    monkeypatch.setattr(loop, "mean_loss", lambda *inputs: next(curve))
    whole = make(method, "bert", scratch="whole", epochs=4)
    work = do(whole)
    assert work.selected_epoch == 2
    short = make(method, "bert", scratch="short", epochs=2, select="last")
    again = do(short)
    assert again.selected_epoch == 2
    assert trained(whole) == trained(short)
    assert work.predictions == again.predictions


SAMPLED = {"answer": "generate", "decode": {"temperature": 2.0, "max_new_tokens": 4}}


@pytest.mark.parametrize(
    ("method", "kind", "more"), [("full", "bert", {}), ("p-tuning", "bert", {}),
        ("lora", "llama", SAMPLED)],
)  # fmt: skip
def test_answering_between_epochs_changes_nothing_of_the_training(
    make: Make, method: str, kind: TinyKind, more: dict[str, Any]
) -> None:
    """Neither what is drawn next, nor dropout, nor the soft prompt, which is fixed at the end."""
    train, tests = nli_items(12, seed=1), {"test": nli_items(3, seed=3)}
    found = []
    for scratch, validation in (("without", []), ("with", nli_items(6, seed=2))):
        splits = Splits(train, validation, tests)
        request = make(method, kind, splits, scratch=scratch, select="last", **more)
        work = do(request)
        assert all(bool(epoch.metrics) == bool(validation) for epoch in work.epochs)
        found.append(([e.train_loss for e in work.epochs], trained(request), work.predictions))
    assert found[0] == found[1]


@pytest.mark.parametrize(("method", "kind"), [("full", "bert"), ("lora", "llama")])
def test_t35_answers_come_in_batches_of_their_own_whatever_the_training_batches(
    make: Make, monkeypatch: pytest.MonkeyPatch, method: str, kind: TinyKind
) -> None:
    shapes: list[tuple[int, ...]] = []
    original = Learner.hidden

    def noting(self: Learner, *inputs: Any, **more: Any) -> torch.Tensor:
        if not self.training:
            shapes.append(tuple(inputs[0].shape))
        return original(self, *inputs, **more)

    monkeypatch.setattr(Learner, "hidden", noting)
    seen = {}
    for size in (2, 3, 12):
        shapes.clear()
        do(make(method, kind, scratch=str(size), epochs=1, batch_size=size))
        seen[size] = list(shapes)
    assert seen[2] == seen[3] == seen[12]
    # Loss on validation, answers on validation, answers on test: 6 items each, 4 at a time.
    assert [rows for rows, width in seen[2] if width > 10][:2] == [4, 2]


def test_the_head_has_the_methods_rate_unless_told_its_own(make: Make) -> None:
    def run(rate: float | None) -> bytes:
        request = make("lora", "bert", scratch=str(rate), epochs=1, head_learning_rate=rate)
        do(request)
        return trained(request)

    assert run(None) == run(0.02) != run(0.002)


def test_t17_answers_are_sampled_as_asked(make: Make) -> None:
    def said(seed: int, temperature: float, top_p: float = 1.0, length: int = 6) -> list[str]:
        decode = {"temperature": temperature, "top_p": top_p, "max_new_tokens": length}
        request = make("zero-shot", "llama", seed=seed, answer="generate", decode=decode)
        return [prediction.raw for prediction in do(request).predictions]

    greedy, sampled = said(0, 0.0), said(0, 3.0)
    assert said(1, 0.0) == greedy
    assert said(0, 3.0) == sampled
    assert sampled != greedy
    assert said(1, 3.0) != sampled
    assert said(0, 3.0, top_p=1e-6) == greedy
    begun = said(0, 0.0, length=3)
    assert begun != greedy
    assert all(whole.startswith(part) for whole, part in zip(greedy, begun, strict=True))


@pytest.mark.parametrize("select", ["random", "balanced", "similar"])
def test_t15_what_an_item_is_shown_hangs_on_the_training_split_alone(
    make: Make, select: str
) -> None:
    """Few training items and many others: whoever draws from all of them draws from the others."""
    train, item, others = nli_items(4, seed=1), nli_items(1, seed=3), nli_items(24, seed=4)
    alone = Splits(train, [], {"test": item})
    among = Splits(train, others[:12], {"test": [*item, *others[12:]]})
    found = []
    for splits in (alone, among):
        work = do(make("few-shot", "llama", splits, k=2, select=select))
        assert set(work.prompt["demonstrations"]["ids"]) <= {one.id for one in train}
        found.append(work.predictions[0])
    assert found[0].item_id == found[1].item_id
    assert found[0].prompt_tokens == found[1].prompt_tokens
    assert found[0].scores == pytest.approx(found[1].scores, abs=1e-4)


def test_what_is_counted_on_meta_tensors_is_what_is_trained(make: Make) -> None:
    work = do(make("last-k", "bert", k=1, epochs=1))
    assert work.parameters is not None
    assert work.parameters.trained == 4 * (32 * 32 + 32) + 2 * 32 * 64 + 64 + 32 + 4 * 32
    assert work.prompt == {}


def test_hidden_fields_do_not_reach_the_model_but_gold_is_scored(make: Make) -> None:
    train, validation = nli_items(12, seed=1), nli_items(6, seed=2)
    test = nli_items(6, seed=3)
    other = [i.with_fields(premise="Something else is said.") for i in test]
    tests = {"test": test, "other": other}
    work = do(make("partial-input", "bert", Splits(train, validation, tests), epochs=1))
    answers = {s: [p.scores for p in work.predictions if p.split == s] for s in tests}
    assert answers["test"] == answers["other"]
    for prediction, item in zip(work.predictions, [*test, *other], strict=True):
        assert prediction.metrics["accuracy"] == float(prediction.predicted == item.gold[0])


def test_progress_is_told_and_tests_are_answered_once(make: Make) -> None:
    heard: list[Progress] = []
    work = perform(make("full", "bert", epochs=2), tell=heard.append)
    assert [p.phase for p in heard if p.phase == "load"] == ["load"]
    steps = [p for p in heard if p.phase == "train"]
    # The first one says that training begins, and each epoch says where it goes on.
    expected = [(0, 0), *((i, 6) for i in (0, 1, 2, 3, 3, 4, 5, 6))]
    assert [(p.done, p.total) for p in steps] == expected
    assert "epoch 2/2 · loss" in steps[-1].detail
    assert [p.item_id for p in work.predictions] == [i.id for i in nli_items(6, seed=3)]
    assert work.phases["train"].tokens > 0


def test_t15_without_validation_nothing_else_is_taken_in_its_place(make: Make) -> None:
    splits = Splits(nli_items(12, seed=1), [], {"test": nli_items(3, seed=3)})
    work = do(make("full", "bert", splits, epochs=2))
    assert [(e.validation_loss, e.metrics) for e in work.epochs] == [(None, {})] * 2
    assert work.selected_epoch == 2


def test_the_process_of_chat_templates_starts_before_answering_is_timed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.end_worker()
    phases: list[str] = []
    started: list[tuple[str, ...]] = []

    class Noted(chat._Worker):
        def __init__(self) -> None:
            started.append(tuple(phases))
            super().__init__()

    real = Meters.phase

    def phase(meters: Meters, name: str) -> Any:
        phases.append(name)
        return real(meters, name)

    monkeypatch.setattr(chat, "_Worker", Noted)
    monkeypatch.setattr(Meters, "phase", phase)
    do(make("zero-shot", "llama-chat"))
    assert "evaluate" in phases
    assert len(started) == 1
    assert not {"evaluate", "tokenise"} & set(started[0])


def as_trial(request: Request, share: float = 1.0) -> Request:
    splits = Splits(request.splits.train, request.splits.validation, {})
    spec = request.spec.model_copy(update={"share": share})
    return replace(request, spec=spec, splits=splits, stage="trial")


@pytest.mark.parametrize(("method", "kind"), [("full", "bert"), ("qlora-text", "llama")])
def test_t30_a_trial_answers_all_validation_items_and_keeps_no_weights(
    make: Make, method: str, kind: TinyKind
) -> None:
    request = make(method, kind, epochs=1, validate_rows=1)
    work = do(as_trial(request))
    assert [p.item_id for p in work.predictions] == [i.id for i in request.splits.validation]
    assert {p.split for p in work.predictions} == {"validation"}
    assert all(epoch.metrics == {} for epoch in work.epochs)
    assert work.variants == []
    assert list(request.scratch.iterdir()) == []


def test_a_trial_without_a_model_answers_validation_items_too(make: Make) -> None:
    request = make("tfidf", None)
    work = do(as_trial(request))
    assert [p.item_id for p in work.predictions] == [i.id for i in request.splits.validation]


def test_a_trial_that_is_stopped_early_is_the_beginning_of_the_whole_one(make: Make) -> None:
    whole = do(as_trial(make("full", "bert", epochs=2, scratch="whole")))
    half = do(as_trial(make("full", "bert", epochs=2, scratch="half"), share=0.5))
    assert [epoch.epoch for epoch in half.epochs] == [1]
    assert half.epochs[0] == whole.epochs[0]
    quarter = do(as_trial(make("full", "bert", epochs=2, scratch="quarter"), share=0.25))
    assert quarter.epochs[0].train_loss != half.epochs[0].train_loss
    assert quarter.phases["train"].tokens < half.phases["train"].tokens


@pytest.mark.parametrize("kept", [True, False])
def test_freed_memory_is_kept_unless_it_is_switched_off(
    make: Make, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    asked: list[None] = []
    monkeypatch.setattr("tarazu.work.keep_memory", lambda: asked.append(None))
    with switched(Fast(kept_memory=kept)):
        perform(make("zero-shot", "llama"), tell=lambda progress: None)
    assert len(asked) == kept


def test_memory_is_kept_from_training_and_answering_and_not_from_loading(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What quantisation frees in between would stay as holes of an 8B model's size."""
    order: list[str] = []
    usual = work._Neural._load

    def load(*arguments: Any, **named: Any) -> Any:
        order.append("load")
        return usual(*arguments, **named)

    monkeypatch.setattr(work._Neural, "_load", load)
    monkeypatch.setattr("tarazu.work.give_memory_back", lambda: order.append("given back"))
    monkeypatch.setattr("tarazu.work.keep_memory", lambda: order.append("kept"))
    perform(make("zero-shot", "llama"), tell=lambda progress: None)
    assert order == ["load", "kept"]
