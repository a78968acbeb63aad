"""One run, one process: results, progress, errors and deaths come back to the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tarazu.errors import BadInput, Problem, bad
from tarazu.processes import RunFailed, in_own_process
from tarazu.record.progress import Progress


def perform(what: str, *, tell: Any) -> Any:
    """Do what a run might do to its process."""
    tell(Progress("train", 1, 2))
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "gone":
        os._exit(7)
    if what == "bad":
        raise BadInput(Problem("here", "must be good", "bad", "Mend it."), Problem("there", "too"))
    if what == "broken":
        raise ZeroDivisionError("nothing to divide by")
    return os.getpid(), "x" * 3_000_000


def call(what: str) -> tuple[Any, list[Progress]]:
    heard: list[Progress] = []
    return in_own_process(perform, what, tell=heard.append), heard


def test_the_result_comes_from_another_process() -> None:
    (pid, text), heard = call("fine")
    assert pid != os.getpid()
    assert len(text) == 3_000_000
    assert heard == [Progress("train", 1, 2)]


def loaded(*, tell: Any) -> set[str]:
    """Return what is imported before a run has asked for anything."""
    return set(sys.modules)


def test_a_process_starts_with_the_imports_that_runs_need() -> None:
    found = in_own_process(loaded, tell=lambda progress: None)
    assert {"torch", "transformers", "peft", "bitsandbytes", "accelerate"} <= found


def test_a_killed_process_is_reported_as_such() -> None:
    with pytest.raises(RunFailed) as error:
        call("killed")
    assert error.value.reason == "its process was killed by SIGKILL, perhaps because memory ran out"


def test_a_process_without_a_result_is_reported() -> None:
    with pytest.raises(RunFailed, match=r"ended without a result \(exit code 7\)"):
        call("gone")


def test_bad_input_keeps_all_its_problems() -> None:
    with pytest.raises(BadInput) as error:
        call("bad")
    assert [p.where for p in error.value.problems] == ["here", "there"]
    assert str(bad("here", "must be good", "bad", "Mend it.")) in str(error.value)


def test_an_unexpected_error_brings_its_traceback_along() -> None:
    with pytest.raises(RunFailed) as error:
        call("broken")
    assert error.value.reason == "ZeroDivisionError: nothing to divide by"
    assert "Traceback" in error.value.details
    assert "perform" in error.value.details


def say_much(*, tell: Any) -> bytes:
    """Tell this process's id, then send more than a pipe holds."""
    tell(Progress("evaluate", 0, 1, str(os.getpid())))
    return b"x" * 50_000_000


def test_a_death_in_the_middle_of_a_message_is_reported_as_one() -> None:
    def kill(progress: Progress) -> None:
        time.sleep(0.5)  # until the pipe is full
        os.kill(int(progress.detail), signal.SIGKILL)

    with pytest.raises(RunFailed, match="its process was killed by SIGKILL"):
        in_own_process(say_much, tell=kill)


def sleep_long(note: str, *, tell: Any) -> None:
    """Write down this process's id, then work without saying anything for a long time."""
    with open(note, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(120)


def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "import test_processes as t\n"
        "from tarazu.processes import in_own_process\n"
        "in_own_process(t.sleep_long, sys.argv[1], tell=print)\n"
    )
    here = str(Path(__file__).parent)
    parent = subprocess.Popen([sys.executable, "-c", script, str(note), here])
    wait_for(lambda: note.exists() and note.read_text() != "", "the run did not start")
    child = int(note.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), "the run outlived its parent")


def wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until a condition holds, for a minute at most."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(otherwise)
