"""A few hundred bent inputs at every test run; `make fuzz` reads a hundred thousand."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def feed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("feed", Path(__file__).with_name("feed.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["study", "csv", "tsv", "jsonl", "parquet", "gguf", "safetensors"])
def test_bent_inputs_are_accepted_or_refused_and_nothing_else(
    feed: ModuleType, kind: str, tmp_path: Path
) -> None:
    found = feed.feed(kind, 60, 1, tmp_path)
    assert found["examples"] == []
    assert found["broken"] == 0
    assert found["accepted"] + found["refused"] == 60
    # Deeper checks are reached by what gets past the first ones.
    assert found["accepted"] > 60 // 6
    assert found["refused"] > 60 // 6
    assert found["slowest"] < 5


def test_inputs_follow_from_the_seed(
    feed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fed(seed: int) -> list[bytes]:
        seen: list[bytes] = []
        monkeypatch.setattr(feed, "read", lambda kind, file: seen.append(file.read_bytes()))
        feed.feed("jsonl", 20, seed, tmp_path)
        return seen

    assert fed(1) == fed(1) != fed(50)


def hang(*_: object) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (hang, "Hang"),
        (lambda *_: bytearray(1 << 31), "MemoryError"),
        (lambda *_: {}["x"], "KeyError"),
    ],
    ids=["hang", "memory", "traceback"],
)
def test_what_breaks_the_rule_is_seen(
    feed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Any, found: str
) -> None:
    monkeypatch.setattr(feed, "SECONDS", 0.05)
    monkeypatch.setattr(feed, "read_sound", lambda *_: None)
    monkeypatch.setattr(feed, "read", broken)
    said = feed.feed("csv", 3, 1, tmp_path)
    assert said["broken"] == 3
    assert all(found in example["error"] for example in said["examples"])


def test_what_ends_the_process_is_seen(
    feed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "feed.py"
    program.write_text(
        "import os, sys\nfolder = sys.argv[sys.argv.index('--folder') + 1]\n"
        "open(f'{folder}/input.csv', 'wb').write(b'evil')\nos.abort()\n"
    )
    monkeypatch.setattr(feed, "__file__", str(program))
    said = feed.in_process("csv", 3, 1)
    assert said["broken"] == 1
    assert said["examples"][0]["input"] == "b'evil'"
    assert "exit code -6" in said["examples"][0]["error"]


def test_what_python_cannot_interrupt_ends_the_process(tmp_path: Path) -> None:
    code = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import feed; from pathlib import Path\n"
        "feed.STUCK, feed.read_sound = 0.2, lambda *_: None\n"
        "feed.read = lambda *_: time.sleep(60)\n"
        f"feed.feed('csv', 1, 1, Path({str(tmp_path)!r}), watched=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Timeout" in done.stderr
