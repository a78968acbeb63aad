from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tarazu import catalog
from tarazu.data.item import Prediction
from tarazu.methods._method import Method, Range
from tarazu.models.fast import Fast, cross_entropy, switched
from tarazu.tasks._task import Task
from tarazu.testing import cases as cases_module
from tarazu.testing.cases import Case, answer, cases, load, restore, save, train
from tarazu.testing.checks import (
    CASE_CHECKS,
    METHOD_CHECKS,
    check_predicts_without_looking_at_gold,
    check_space,
)
from tarazu.testing.plain import (
    COMPARED,
    SWITCHES,
    check_each_optimisation_can_be_switched_off,
    check_without_optimisations_it_is_the_same,
)
from tarazu.testing.tiny import TinyKind, nli_items, qa_items, tiny_model

FILES = Path(catalog.__file__).parent / "methods"
METHODS = catalog.methods()
TASKS = [catalog.find_task("multinli"), catalog.find_task("squad")]
MODELS: tuple[TinyKind, ...] = ("bert", "gpt2", "llama")
# Every method once; between them, every way to answer.
FEW = (
    "full-bert-multinli",
    "last-k-bert-squad",
    "lora-llama-squad",
    "p-tuning-llama-multinli",
    "partial-input-bert-multinli",
    "zero-shot-gpt2-multinli",
    "few-shot-llama-squad",
    "qlora-text-llama-multinli",
    "qlora-head-llama-multinli",
)
# Between them, they read every switch.
FEWEST = ("last-k-bert-multinli", "lora-llama-squad", "zero-shot-llama-multinli")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Every method on every tiny model and task that it supports."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    folders: dict[str, Path] = {kind: tiny_model(folder / kind, kind) for kind in MODELS}
    return {str(case): case for case in cases(METHODS.values(), folders, TASKS)}


def names_of_cases() -> list[str]:
    """Say by hand what must be supported, so that a case cannot vanish unseen."""
    both = ("multinli", "squad")
    decoders, everything = ("gpt2", "llama"), MODELS
    wanted: dict[str, list[tuple[str, str]]] = {
        "full": [(m, t) for m in everything for t in both],
        "last-k": [(m, t) for m in everything for t in both],
        "lora": [(m, t) for m in everything for t in both],
        "p-tuning": [(m, t) for m in everything for t in both],
        "partial-input": [("bert", "multinli")] + [(m, t) for m in decoders for t in both],
        "zero-shot": [(m, t) for m in decoders for t in both],
        "few-shot": [(m, t) for m in decoders for t in both],
        "qlora-text": [(m, t) for m in decoders for t in both],
        "qlora-head": [(m, "multinli") for m in decoders],
    }
    return [f"{name}-{m}-{t}" for name, pairs in wanted.items() for m, t in pairs]


def test_every_method_on_disk_is_checked() -> None:
    files = [file for file in FILES.glob("*.py") if not file.stem.startswith("_")]
    assert len(METHODS) == len(files) >= 11


def test_every_supported_case_is_checked(found: dict[str, Case]) -> None:
    assert sorted(found) == sorted(names_of_cases())
    without = {m.name for m in METHODS.values() if m.needs_model == "no"}
    assert {case.method.name for case in found.values()} | without == set(METHODS)


@pytest.mark.parametrize("check", METHOD_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", METHODS)
def test_contract_of_the_method(name: str, check: Callable[[Method], None]) -> None:
    check(METHODS[name])


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.predict is not None])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_t15_baselines_never_read_the_gold(name: str, task: Task) -> None:
    make = nli_items if task.labels else qa_items
    check_predicts_without_looking_at_gold(METHODS[name], task, make(12, seed=1), make(5, seed=2))


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.predict is not None])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_baselines_search_around_their_defaults(name: str, task: Task) -> None:
    method = METHODS[name]
    space = method.search(None, task, method.knobs())
    check_space(space, method.knobs().model_dump(mode="json"))
    assert bool(space) == (method.nothing_to_tune is None)


def test_t33_every_family_searches_rates_of_its_own_scale(found: dict[str, Case]) -> None:
    """Soft prompts far above LoRA, LoRA ten times above full fine-tuning."""
    ends = {}
    for name, case in found.items():
        if case.method.trains:
            rate = case.method.search(case.info, case.task, case.knobs)["learning_rate"]
            assert isinstance(rate, Range)
            ends[name] = (rate.low, rate.high)
    assert len(ends) >= 20
    for model in MODELS:
        low, high = ends[f"full-{model}-multinli"]
        assert ends[f"lora-{model}-multinli"] == pytest.approx((10 * low, 10 * high))
        assert ends[f"p-tuning-{model}-multinli"] == (1e-3, 0.3)
        assert ends[f"p-tuning-{model}-multinli"][1] >= 50 * high


def test_a_knob_that_leaves_another_without_meaning_takes_it_out(found: dict[str, Case]) -> None:
    case = found["last-k-bert-multinli"]
    named = case.method.knobs.model_validate({"layers": (0, 2)})
    assert "k" in case.method.search(case.info, case.task, case.knobs)
    assert "k" not in case.method.search(case.info, case.task, named)
    heads = [found[f"p-tuning-{m}-multinli"] for m in ("bert", "llama")]
    spaces = [c.method.search(c.info, c.task, c.knobs) for c in heads]
    assert ["head_learning_rate" in space for space in spaces] == [True, False]
    shots = METHODS["few-shot"]
    similar = shots.knobs.model_validate({"select": "similar", "answer": "generate"})
    assert "draw" not in shots.search(None, TASKS[0], similar)
    assert "label_score" not in shots.search(None, TASKS[0], similar)


def contract() -> Iterator[Any]:
    """Yield every case with every check, the one that takes a training per switch as slow."""
    for name in names_of_cases():
        for check in CASE_CHECKS:
            slow = check is check_each_optimisation_can_be_switched_off
            marks = [pytest.mark.slow] if slow else []
            yield pytest.param(name, check, id=f"{name}-{check.__name__}", marks=marks)


@pytest.mark.parametrize(("name", "check"), contract())
def test_contract_on_tiny_models(
    found: dict[str, Case], name: str, check: Callable[[Case], None]
) -> None:
    check(found[name])


def contract_without() -> Iterator[Any]:
    """Yield cases with what is switched off and every check that does not switch by itself.

    All at once in every case, but most of them slow; one by one in a few, all of them slow.
    """
    switching = (
        check_each_optimisation_can_be_switched_off,
        check_without_optimisations_it_is_the_same,
    )
    for name in names_of_cases():
        for off in ("all", *(SWITCHES if name in FEW else ())):
            for check in CASE_CHECKS:
                if check in switching:
                    continue
                marks = [] if off == "all" and name in FEW else [pytest.mark.slow]
                words = f"{name}-{off}-{check.__name__}"
                yield pytest.param(name, off, check, id=words, marks=marks)


@pytest.mark.parametrize(("name", "off", "check"), contract_without())
def test_contract_without_optimisations(
    found: dict[str, Case], name: str, off: str, check: Callable[[Case], None]
) -> None:
    with switched(Fast(**dict.fromkeys(SWITCHES if off == "all" else [off], False))):
        check(found[name])


def test_few_cases_hold_every_method(found: dict[str, Case]) -> None:
    assert set(FEW) | set(FEWEST) <= set(found)
    assert {found[name].method.name for name in FEW} == {c.method.name for c in found.values()}


def test_every_optimisation_is_asked_for_while_it_is_switched_off(
    found: dict[str, Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the check would compare a way with itself: switches act at loading, too."""
    monkeypatch.setattr(cross_entropy, "SCORE_BYTES", 1)  # tiny models have parts, too
    asked = set()

    class Noting(Fast):
        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if value is False and sys._getframe(1).f_globals["__name__"] != "dataclasses":
                asked.add(name)
            return value

    with switched(Noting()):
        for name in FEWEST:
            check_each_optimisation_can_be_switched_off(found[name])
    assert asked == set(COMPARED)
    elsewhere = {"length_buckets", "kept_memory", "sequences", "token_tables"}
    assert set(SWITCHES) == {*COMPARED, *elsewhere}


@dataclass(frozen=True)
class _Place:
    """A case by names: methods and tasks hold functions, which cannot be sent to a process."""

    method: str
    task: str
    model: str
    folder: Path


def _answer_elsewhere(places: list[tuple[_Place, Path]]) -> list[list[Prediction]]:
    torch.set_num_threads(1)
    answers = []
    for place, saved in places:
        method, task = catalog.find_method(place.method), catalog.find_task(place.task)
        (case,) = cases_module.cases([method], {place.model: place.folder}, [task])
        answers.append(restore(case, saved))
    return answers


def test_t9_saved_answers_the_same_in_a_new_process(found: dict[str, Case], tmp_path: Path) -> None:
    trained = {
        n: c
        for n, c in found.items()
        if c.method.trains and "partial" not in n and ("bert" in n or "nli" in n)
    }
    assert len(trained) == 20
    places, here = [], []
    for name, case in trained.items():
        learner = load(case)
        train(case, learner)
        save(learner, tmp_path / name)
        here.append(answer(case, learner))
        place = _Place(case.method.name, case.task.name, case.info.name, case.folder)
        places.append((place, tmp_path / name))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        there = pool.submit(_answer_elsewhere, places).result(timeout=300)
    for name, one, other in zip(trained, here, there, strict=True):
        assert one == other, name
    # Otherwise equal answers would say nothing: every trained model must have learnt something.
    untrained = [answer(case, load(case, seed=99)) for case in trained.values()]
    scores = [[p.scores for p in answers] for answers in here]
    assert all(a != [p.scores for p in b] for a, b in zip(scores, untrained, strict=True) if any(a))
