"""Tiny models, each written once per session, and records made by hand."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tarazu.catalog import find_method, find_task
from tarazu.models.learner import Learner
from tarazu.models.load import HeadName, load_learner, load_tokenizer
from tarazu.models.precision import Precision
from tarazu.readings._reading import Asking
from tarazu.record.record import RunRecord
from tarazu.tasks._task import Task
from tarazu.testing.records import Make, make_record
from tarazu.testing.tiny import TinyKind, tiny_info, tiny_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # On machines with few cores that are busy, threads of tiny operations wait for each other.
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # What the tests score is nobody's experience with a test set.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TARAZU_LEDGER", str(tmp_path_factory.mktemp("ledger") / "ledger.jsonl"))
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TinyKind], Path]:
    """Return the folder of a tiny model by kind. It is shared: copy it before changing it."""
    root = tmp_path_factory.mktemp("tiny")

    def folder(kind: TinyKind) -> Path:
        made = root / kind
        return made if made.exists() else tiny_model(made, kind)

    return folder


def load_benchmark(name: str) -> ModuleType:
    """Return a file of ``benchmarks/`` as a module: they are programs and no package."""
    file = Path(__file__).resolve().parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def calibration() -> ModuleType:
    """Return ``benchmarks/calibration.py``."""
    return load_benchmark("calibration")


@pytest.fixture(scope="session")
def quality() -> ModuleType:
    """Return ``benchmarks/quality.py``."""
    return load_benchmark("quality")


@pytest.fixture(scope="session")
def nli() -> Task:
    """Return a task over `nli_items`."""
    return find_task("corpus-nli")


@pytest.fixture(scope="session")
def one_text(nli: Task) -> Task:
    """Return a task that reads the premises of `nli_items` only."""
    return replace(nli, texts=("premise",))


@pytest.fixture(scope="session")
def qa() -> Task:
    """Return a task over `qa_items`."""
    return find_task("corpus-qa")


@pytest.fixture
def ask(nli: Task) -> Callable[..., Asking]:
    """Return a way to ask a model in a folder: `ask(folder, max_length=40)`."""

    def asking(folder: Path, **settings: Any) -> Asking:
        task = settings.pop("task", nli)
        given = {
            "tokenizer": load_tokenizer(folder),
            "info": tiny_info(folder),
            "max_length": 512,
            "template": task.templates["default"],
            "batch_size": 4,
        }
        return Asking(task=task, **{**given, **settings})

    return asking


@pytest.fixture
def load(tiny: Callable[[TinyKind], Path]) -> Callable[..., Learner]:
    """Return a way to load a tiny model: `load("gpt2", "text", method="lora", r=4)`."""

    def learner(
        kind: TinyKind,
        reading: HeadName,
        *,
        method: str | None = None,
        dtype: str = "float32",
        **knobs: Any,
    ) -> Learner:
        torch.manual_seed(0)
        folder = tiny(kind)
        loaded = load_learner(folder, tiny_info(folder), reading, 3, Precision("cpu", dtype, 1))
        if method is not None:
            chosen = find_method(method)
            chosen.attach(loaded, chosen.knobs(**knobs))
        return loaded

    return learner


@pytest.fixture
def make() -> Make:
    """Return a way to make a record by hand: `make("lora", seed=1, accuracy=0.7)`."""
    return make_record


@pytest.fixture
def failed() -> Make:
    """Return a way to make the record of a failed run."""

    def make_failed(
        entry: str = "qlora-text", reason: str = "out of memory", **changes: Any
    ) -> RunRecord:
        return make_record(
            entry, status="failed", error=reason, variants=[], measured={}, **changes
        )

    return make_failed
