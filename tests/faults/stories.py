"""What the fault harnesses have in common: tiny studies, and a folder in which they are made."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from ready import Ready

HOOKS = Path(__file__).parent / "hooks"
ROOT = Path(__file__).parents[2]
# Pythons with this environment have the hooks.
HOOKED = {
    "PYTHONPATH": os.pathsep.join(filter(None, (str(HOOKS), os.environ.get("PYTHONPATH", ""))))
}
# What is fetched once, below the cache.
FETCHED = ("wheels", "gguf")

TINY = """
version: 1
study: killed
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: test.csv, validation: {rows: 6}}
models: {bert: {source: ./bert}, llama: {source: ./llama}}
training: {epochs: 3, batch_size: 4, max_length: 100}
methods:
  full: {model: bert}
  last-k: {model: bert, k: 1}
  lora: {model: bert, r: 4}
  p-tuning: {model: llama, virtual_tokens: 3}
  qlora-text: {model: llama, decode: {max_new_tokens: 3}}
seeds: [3]
compute: {device: cpu, dtype: float32, threads: 1}
"""


@dataclass(frozen=True)
class Asked:
    """A study and what is made of it.

    Attributes:
        name: For people.
        study: Its file.
        only: Entries.
        overrides: As ``--set``.
        checkpoint_every: Minutes; 0 is after every update.
    """

    name: str
    study: str
    only: Sequence[str]
    overrides: Sequence[str] = ()
    checkpoint_every: float = 0.0


TINY_STUDIES = (
    Asked("full, last-k, lora, p-tuning, qlora-text", "study.yaml", ()),
    Asked("tuning of lora", "study.yaml", ("lora",), ("tuning.trials=3",)),
    # By itself a method is killed in all places, and not only in what is left by then.
    Asked("qlora-text", "study.yaml", ("qlora-text",)),
    Asked("p-tuning", "study.yaml", ("p-tuning",)),
    Asked("tuning of last-k", "study.yaml", ("last-k",), ("tuning.trials=3",)),
    Asked("full", "study.yaml", ("full",)),
    Asked("lora", "study.yaml", ("lora",)),
    Asked("last-k", "study.yaml", ("last-k",)),
)


class Command(Protocol):
    """A study on its way."""

    pid: int

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code."""

    def kill(self) -> None:
        """Kill the process that leads it."""


class Folder:
    """A folder with a study, in which commands are given.

    Args:
        path: Where the study's file is.
        ready: Gives commands to a Python that has made its imports; without, each makes its own.
    """

    def __init__(self, path: Path, ready: Ready | None = None) -> None:
        self.path = path
        self.roots = (path / "cache", path / "user")
        self._ready = ready

    def give(self, program: str, words: Sequence[str], variables: Mapping[str, str]) -> Command:
        """Run a program, with a cache and a ledger of its own; what it says goes to ``said``."""
        variables = {
            "TARAZU_CACHE": str(self.path / "cache"),
            "TARAZU_LEDGER": str(self.path / "user" / "ledger.jsonl"),
            **variables,
        }
        if self._ready is not None:
            return self._ready.give(program, words, self.path, variables)
        return subprocess.Popen(
            [sys.executable, "-c", program, *words],
            cwd=self.path,
            env={**os.environ, **variables},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=(self.path / "said").open("wb"),
        )

    def clear(self, out: Path) -> None:
        """Remove an output folder, and what is left of it in the cache and the ledger."""
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(self.path / "user", ignore_errors=True)
        for one in (self.path / "cache").glob("*"):
            if one.name not in FETCHED:
                shutil.rmtree(one)

    def said(self) -> str:
        """Return what the command said."""
        return (self.path / "said").read_text(errors="replace")


def make_tiny(folder: Path) -> None:
    """Write tiny models, made-up items and their study."""
    from tarazu.testing.tiny import nli_items, tiny_model, write_nli

    folder.mkdir(exist_ok=True)
    tiny_model(folder / "bert", "bert")
    tiny_model(folder / "llama", "llama")
    write_nli(folder / "train.csv", nli_items(22, seed=1))
    write_nli(folder / "test.csv", nli_items(6, seed=2))
    (folder / "study.yaml").write_text(TINY)


One = TypeVar("One")


def for_ever(ones: Sequence[One]) -> Iterator[One]:
    """Yield all of them again and again."""
    while True:
        yield from ones


def made_with(command: str, seconds: float) -> str:
    """Return the line below a report: how it was made, when, and on what."""
    from importlib.metadata import version

    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    return (
        f"`{command}` ({datetime.now(UTC):%Y-%m-%d}, {seconds / 60:.0f} min; "
        f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"{platform.system()}; Python {platform.python_version()}, {libraries}).\n"
    )


def as_given(script: str, words: Sequence[str]) -> str:
    """Return the command of a report, without the report's own name."""
    given = list(words)
    if "--report" in given:
        del given[(at := given.index("--report")) : at + 2]
    return " ".join([f"python tests/faults/{script}", *given])
