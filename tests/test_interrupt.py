"""Ctrl-C and SIGTERM: exit code 130, a checkpoint, the command that continues, the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tarazu.processes import in_own_process
from tarazu.record.progress import Progress, Silent
from tarazu.record.store import Store
from tarazu.signals import Stopped, breakable, deferred, interrupted, interruptible
from tarazu.study import run_study
from tarazu.testing.tiny import nli_items, tiny_model, write_nli

STUDY = """
version: 1
study: interrupted
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: test.csv, validation: {rows: 6}}
models: {bert: {source: ./bert}}
training: {epochs: 3, batch_size: 4, max_length: 100}
methods:
  majority: {}
  lora: {model: bert, r: 4}
seeds: [3]
compute: {device: cpu, dtype: float32, threads: 1}
"""
# The command, which signals itself when it hears a phase for the so-manieth time.
PROGRAM = """
import os, signal, sys
from tarazu.cli import main
from tarazu.report.progress_view import ProgressView

name, phase, at, times = sys.argv.pop(1).split()
left, heard = int(at), ProgressView.progress
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test may run in the background

def progress(self, index, told):
    global left
    heard(self, index, told)
    if told.phase == phase and (told.done or phase != "train"):
        left -= 1
        if left == 0:
            for _ in range(int(times)):
                os.kill(os.getpid(), getattr(signal, name))

ProgressView.progress = progress
sys.argv[0] = "tarazu"
main()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupted")
    tiny_model(folder / "bert", "bert")
    write_nli(folder / "train.csv", nli_items(22, seed=1))
    write_nli(folder / "test.csv", nli_items(6, seed=2))
    (folder / "study.yaml").write_text(STUDY)
    run_study(folder / "study.yaml", out=folder / "whole")
    return folder


def command(place: Path, out: str, signals: str) -> subprocess.CompletedProcess[str]:
    words = ["run", "study.yaml", "--out", out, "--checkpoint-every", "60"]
    temporary = place / f"{out}-tmp"
    temporary.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, signals, *words],
        cwd=place,
        env={**os.environ, "TARAZU_CACHE": str(place / "cache"), "TMPDIR": str(temporary)},
        check=False,
        capture_output=True,
        text=True,
    )


def contents(folder: Path) -> dict[str, Any]:
    """Return everything that a study came to but times."""
    found: dict[str, Any] = {}
    for file in sorted((folder / "runs").rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.name == "record.json":
            record = json.loads(file.read_text())
            found[name] = {k: v for k, v in record.items() if k not in ("measured", "finished")}
        elif file.is_file():
            found[name] = file.read_bytes()
    return found


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".tmp-*")]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_leaves_a_checkpoint_and_the_command_that_continues(
    place: Path, name: str
) -> None:
    found = command(place, name, f"{name} train 8 1")
    assert found.returncode == 130, found.stderr
    assert f"tarazu run study.yaml --out {name} --checkpoint-every 60" in found.stderr
    assert "Traceback" not in found.stderr
    checkpoints = list((place / name / "checkpoints").glob("*/*/state.json"))
    (update,) = {int(file.parent.name) for file in checkpoints}
    assert 8 <= update < 12
    assert [r.entry for r in Store(place / name).records()] == ["majority"]
    assert left_behind(place / name) == []
    assert command(place, name, f"{name} none 1 1").returncode == 0
    killed, whole = contents(place / name), contents(place / "whole")
    assert killed == whole
    assert not (place / name / "checkpoints").exists()


def test_evaluation_simply_stops(place: Path) -> None:
    found = command(place, "evaluation", "SIGINT evaluate 2 1")
    assert found.returncode == 130, found.stderr
    assert [r.entry for r in Store(place / "evaluation").records()] == ["majority"]
    assert left_behind(place / "evaluation") == []
    assert command(place, "evaluation", "SIGINT none 1 1").returncode == 0
    assert contents(place / "evaluation") == contents(place / "whole")


def test_a_second_signal_stops_at_once_and_loses_nothing_finished(place: Path) -> None:
    found = command(place, "twice", "SIGINT train 8 2")
    assert found.returncode == 130, found.stderr
    assert not (place / "twice" / "checkpoints").exists()  # it was not waited for
    assert [r.status for r in Store(place / "twice").records()] == ["done"]
    assert left_behind(place / "twice") == []


def work_that_can_stop(note: str, *, tell: Any) -> None:
    """Tell when work has begun, and write down that it was stopped."""
    try:
        tell(Progress("evaluate", 0, 1))
        time.sleep(60)
    except Stopped:
        Path(note).write_text("stopped")
        raise


def work_that_cannot(note: str, *, tell: Any) -> None:
    """Do not answer a request to stop."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    tell(Progress("evaluate", 0, 1))
    time.sleep(60)


def result_all_the_same(note: str, *, tell: Any) -> str:
    """Come to an end although asked to stop."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    tell(Progress("evaluate", 0, 1))
    time.sleep(1)
    return "done"


def interrupt(progress: Progress) -> None:
    if progress.phase == "evaluate":
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_is_asked_before_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "note"
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interruptible():
        in_own_process(work_that_can_stop, str(note), tell=interrupt)
    assert note.read_text() == "stopped"
    monkeypatch.setattr("tarazu.processes.PATIENCE", 0.5)
    with pytest.raises(KeyboardInterrupt), interruptible():
        in_own_process(work_that_cannot, str(note), tell=interrupt)
    assert time.monotonic() - start < 30


def test_a_result_that_comes_all_the_same_is_kept(tmp_path: Path) -> None:
    kept: list[Any] = []

    def twice() -> None:
        with interruptible(), deferred():
            kept.append(in_own_process(result_all_the_same, "", tell=interrupt))
            kept.append(in_own_process(result_all_the_same, "", tell=interrupt))  # is not begun

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert kept == ["done"]


def test_in_python_the_interruption_reaches_the_caller_and_no_handler_stays(place: Path) -> None:
    class Impatient(Silent):
        def progress(self, index: int, progress: Progress) -> None:
            if progress.phase == "train" and progress.done == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        run_study(place / "study.yaml", out=place / "python", listener=Impatient())
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert not interrupted()
    assert list((place / "python" / "checkpoints").glob("*/*/state.json"))


def test_handlers_of_others_and_other_threads_are_left_alone() -> None:
    def own(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, own)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGTERM) is own
        seen: list[Any] = []

        def elsewhere() -> None:
            with interruptible():
                seen.append(signal.getsignal(signal.SIGINT))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert seen == [signal.getsignal(signal.SIGINT)]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_request_to_stop_waits_for_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    from tarazu import signals

    monkeypatch.setattr(signals, "_run", signals._Ear())
    passed = []

    def asked() -> None:
        with signals.unbroken():
            signals._stop(signal.SIGUSR1, None)
            passed.append("held")
            with pytest.raises(Stopped), breakable():
                passed.append("never")
            passed.append("after")

    with pytest.raises(Stopped):
        asked()
    assert passed == ["held", "after"]
