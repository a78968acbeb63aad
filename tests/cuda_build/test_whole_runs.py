"""Whole studies where a card seems to be there: only the missing driver ends their runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tarazu.catalog import methods, resolve_task
from tarazu.record.store import Store
from tarazu.testing.tiny import nli_items, tiny_info, tiny_model, write_nli

pytestmark = pytest.mark.cuda_build

DRIVER = "Found no NVIDIA driver"
FORKED = "Cannot re-initialize CUDA in forked subprocess"
MODELS = ("bert", "llama-chat")  # the first that a method supports
METHODS = sorted(methods())
WITHOUT_MODEL = sorted(name for name, method in methods().items() if method.needs_model != "yes")
STUDY = """
version: 1
study: pretended-card
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: test.csv, validation: {rows: 6}}
models: {bert: {source: ./bert}, llama-chat: {source: ./llama-chat}}
seeds: [3]
compute: {threads: 1}
"""
# A method that says what its process may do with CUDA, after all that came before it.
PROBE = """
import dataclasses, json, os, torch
from tarazu.methods.majority import METHOD as MAJORITY
from tarazu.methods.majority import predict as answer

def predict(context):
    state = {"bad_fork": torch.cuda._is_in_bad_fork(), "found": torch.cuda.is_available()}
    try:
        torch.cuda.init()
    except RuntimeError as error:
        state["error"] = str(error)
    with open(os.environ["PROBED"], "w") as file:
        json.dump(state, file)
    return answer(context)

METHOD = dataclasses.replace(MAJORITY, name="probe", predict=predict)
"""


@dataclass(frozen=True)
class Ran:
    """What a study came to."""

    folder: Path
    code: int
    said: str

    def one(self, entry: str) -> Any:
        (found,) = [r for r in Store(self.folder / "out").records() if r.entry == entry]
        return found

    @property
    def probed(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "probed.json").read_text())
        return found

    @property
    def processes(self) -> list[dict[str, Any]]:
        return [json.loads(one) for one in (self.folder / "log").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a study of every method that there is."""
    folder = tmp_path_factory.mktemp("study")
    infos = {}
    for kind in MODELS:
        infos[kind] = tiny_info(tiny_model(folder / kind, kind), kind)
    write_nli(folder / "train.csv", nli_items(18, seed=1))
    write_nli(folder / "test.csv", nli_items(3, seed=2))
    (folder / "probe.py").write_text(PROBE)
    lines = ["training: {epochs: 1, batch_size: 4, max_length: 300}", "methods:", "  probe: {}"]
    task = resolve_task({"family": "nli", "name": "tiny-nli"})
    for name, method in methods().items():
        fitting = [k for k in MODELS if method.supports(infos[k], task, method.knobs()) is None]
        named = f"model: {fitting[0]}" if method.needs_model == "yes" else ""
        lines.append(f"  {name}: {{{named}}}")
    (folder / "study.yaml").write_text("\n".join([STUDY.strip(), *lines]) + "\n")
    return folder


def run(give: Callable[..., Any], study: Path, folder: Path, *words: str, **variables: str) -> Ran:
    """Run the study in a folder; records, log and what was probed are in another one."""
    done = give(
        *("-m", "tarazu", "run", str(study / "study.yaml"), "--out", str(folder / "out")),
        *("--plugin", str(study / "probe.py")),
        *words,
        PROBED=str(folder / "probed.json"),
        TARAZU_TEST_PROCESSES=str(folder / "log"),
        **variables,
    )
    return Ran(folder, done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def ran(give: Callable[..., Any], folder: Path) -> Ran:
    """Return the study of every method, run by the command as users run it."""
    return run(give, folder, folder, TARAZU_TEST_CARD="answers")


def test_every_method_was_run(ran: Ran) -> None:
    records = Store(ran.folder / "out").records()
    assert sorted(r.entry for r in records) == sorted([*METHODS, "probe"]), ran.said
    assert len(METHODS) >= 11
    assert len(METHODS) - len(WITHOUT_MODEL) >= 8
    assert {(r.spec.device, r.spec.dtype) for r in records} == {("cuda", "bfloat16")}
    assert ran.code == 1, ran.said  # runs failed; not: the command broke


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(WITHOUT_MODEL)))
def test_a_run_with_a_model_stops_only_at_the_missing_driver(ran: Ran, name: str) -> None:
    record = ran.one(name)
    assert record.status == "failed"
    assert DRIVER in (record.error or "")
    assert FORKED not in (record.error or "")


@pytest.mark.parametrize("name", WITHOUT_MODEL)
def test_a_run_without_a_model_needs_no_driver(ran: Ran, name: str) -> None:
    record = ran.one(name)
    assert (record.status, record.error) == ("done", None)


def test_nothing_before_a_run_keeps_it_from_cuda(ran: Ran) -> None:
    assert ran.probed["found"] is True
    assert ran.probed["bad_fork"] is False
    assert DRIVER in ran.probed["error"]


def test_a_fork_server_that_imports_peft_is_noticed(
    give: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    """The checks above, with the mistake in."""
    only = ("--only", "probe", "--only", "zero-shot")
    card = {"TARAZU_TEST_CARD": "answers", "TARAZU_TEST_PRELOAD": "peft"}
    wrong = run(give, folder, tmp_path, *only, **card)
    assert wrong.probed["bad_fork"] is True
    assert FORKED in wrong.probed["error"]
    assert FORKED in (wrong.one("zero-shot").error or ""), wrong.said


def test_where_no_card_is_found_every_run_is_done_on_the_cpu(
    give: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    """The CUDA build of a machine without a card, tuning and the commands that follow."""
    names = ("majority", "lora", "qlora-text")
    only = [word for name in names for word in ("--only", name)]
    done = run(give, folder, tmp_path, *only, "--set", "tuning.trials=2")
    assert done.code == 0, done.said
    out, plugin = str(tmp_path / "out"), ["--plugin", str(folder / "probe.py")]
    for words in (("verify", out, *plugin), ("explain", "lora"), ("report", out)):
        later = give("-m", "tarazu", *words, TARAZU_TEST_PROCESSES=str(tmp_path / "log"))
        assert later.returncode == 0, (words[0], later.stdout + later.stderr)
    records = [r for r in Store(done.folder / "out").records() if r.stage == "final"]
    assert {(r.entry, r.status, r.spec.device) for r in records} == {
        (name, "done", "cpu") for name in names
    }
    assert forks(done.processes) >= len(records)


def test_only_the_fork_server_forks(ran: Ran) -> None:
    assert forks(ran.processes) >= len(METHODS) + 1


def forks(processes: list[dict[str, Any]]) -> int:
    """Count the forks of the fork server; every other one would take a parent's CUDA with it."""
    forked = [one["by"] for one in processes if one["event"] in ("os.fork", "os.forkpty")]
    assert {"/".join(Path(by).parts[-2:]) for by in forked} == {"multiprocessing/forkserver.py"}
    return len(forked)
