"""A study that is killed and asked for again ends as if nothing had been: to the last byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tarazu.testing.folders import contents
from tarazu.testing.tiny import nli_items, tiny_model, write_nli

STUDY = """
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
# Runs the study and is killed, with all its processes, when so many updates were told of.
PROGRAM = """
import os, signal, sys
from tarazu.record.progress import Silent
from tarazu.study import run_study

left = int(sys.argv[2])

class Deadly(Silent):
    def progress(self, index, progress):
        global left
        if progress.phase == "train" and progress.done:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

overrides = sys.argv[4:]
run_study("study.yaml", out=sys.argv[1], only=sys.argv[3].split(","), listener=Deadly(),
          checkpoint_every=0, overrides=overrides)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    tiny_model(folder / "bert", "bert")
    tiny_model(folder / "llama", "llama")
    write_nli(folder / "train.csv", nli_items(22, seed=1))
    write_nli(folder / "test.csv", nli_items(6, seed=2))
    (folder / "study.yaml").write_text(STUDY)
    return folder


def run(place: Path, out: str, entries: str, *overrides: str, die_after: int = 0) -> int:
    """Run the study in a process that may die after some updates; return its exit code."""
    environment = {**os.environ, "TARAZU_CACHE": str(place / "cache")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, out, str(die_after), entries, *overrides],
        cwd=place,
        env=environment,
        check=False,
    ).returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "overrides", "deaths"),
    [
        ("full,last-k", (), (5, 9, 7)),
        ("lora,p-tuning,qlora-text", (), (11, 7, 10)),
        ("lora", ("tuning.trials=3",), (3, 8, 6)),  # in a rung, in a later one, in the final run
    ],
)
def test_killed_again_and_again_it_ends_with_the_same_bytes(
    place: Path, entries: str, overrides: tuple[str, ...], deaths: tuple[int, ...]
) -> None:
    # How far a study comes by its n-th update depends on the machine (a killed study's run goes on
    # for a moment): so it is killed until it has ended, however often that is.
    name = f"{entries.replace(',', '-')}{len(overrides)}"
    kills = 0
    while (code := run(place, name, entries, *overrides, die_after=deaths[kills % 3])) != 0:
        assert code == -signal.SIGKILL
        kills += 1
        assert any((place / name / "checkpoints").rglob("state.json")) or any(
            (place / "cache" / "trials").rglob("state.json")
        )
        assert kills < 40, "the study does not get on"
    assert kills >= 2
    assert run(place, f"{name}-whole", entries, *overrides) == 0
    killed, whole = contents(place / name), contents(place / f"{name}-whole")
    assert killed.keys() == whole.keys()
    for path, content in whole.items():
        assert killed[path] == content, path
    assert not (place / name / "checkpoints").exists()
    assert not any((place / "cache" / "trials").rglob("*.*"))
