"""One run, one process: results, progress, errors and deaths come back to the parent."""

from __future__ import annotations

import json
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
    assert {"torch", "transformers.modeling_utils", "accelerate", "torch._inductor"} <= found


def test_a_process_starts_without_what_asks_cuda_for_its_devices() -> None:
    """A library that asked in the fork server would keep every run from using a card."""
    found = in_own_process(loaded, tell=lambda progress: None)
    assert not {"bitsandbytes", "peft"} & found


FRESH_IMPORT = """
import json, sys, threading, types, torch

called = []

def recorded(name, function):
    def call(*arguments, **named):
        called.append(name)
        return function(*arguments, **named)
    return call

# Everything that a library may ask of a card; by C, too, in a build that has it.
for name, value in list(vars(torch.cuda).items()):
    if isinstance(value, types.FunctionType):
        setattr(torch.cuda, name, recorded(name, value))
for name in [name for name in dir(torch._C) if name.startswith(("_cuda_", "_accelerator_"))]:
    setattr(torch._C, name, recorded(name, getattr(torch._C, name)))
for name in sys.argv[1:]:
    __import__(name)
print(json.dumps({"called": called, "threads": threading.active_count()}))
"""


def fresh_import(*modules: str) -> dict[str, Any]:
    """Import modules in a new Python; return what was asked of a card, and running threads."""
    command = [sys.executable, "-c", FRESH_IMPORT, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_the_fork_server_imports_asks_no_card_and_starts_no_thread() -> None:
    found = fresh_import("tarazu.preload")
    # For what torch was built is known without a driver.
    assert set(found["called"]) <= {"_is_compiled", "_accelerator_getAccelerator"}
    assert found["threads"] == 1


def test_the_watch_on_imports_sees_bitsandbytes_ask() -> None:
    assert "is_available" in fresh_import("bitsandbytes")["called"]


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
