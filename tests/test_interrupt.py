"""Ctrl-C and SIGTERM: exit code 130, a checkpoint, the command that continues, the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tarazu import cli, processes, runner, signals
from tarazu.processes import in_own_process
from tarazu.record.progress import Progress, Silent
from tarazu.record.store import Store
from tarazu.report.progress_view import ProgressView
from tarazu.signals import Stopped, breakable, deferred, interrupted, interruptible, shielded
from tarazu.study import run_study
from tarazu.testing.folders import contents
from tarazu.testing.tiny import nli_items, tiny_model, write_nli
from tarazu.training import checkpoint
from tarazu.work import Request, Work, perform

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
# A test may itself run in the background, where Ctrl-C is ignored.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from tarazu.cli import main
sys.argv[0] = "tarazu"
main()
"""
Begin = Callable[[], "subprocess.Popen[bytes]"]
LORA = 1  # its place in the plan
LIMIT = 10.0  # seconds from a signal to the end
BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupted")
    tiny_model(folder / "bert", "bert")
    write_nli(folder / "train.csv", nli_items(22, seed=1))
    write_nli(folder / "test.csv", nli_items(6, seed=2))
    (folder / "study.yaml").write_text(STUDY)
    run_study(folder / "study.yaml", out=folder / "whole")
    return folder


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """Hear signals as a program in a terminal does, and leave nothing behind."""
    before = {number: signal.getsignal(number) for number in BOTH}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    found = [signal.getsignal(number) for number in BOTH]
    for number, handler in before.items():
        signal.signal(number, handler)
    assert found == [signal.default_int_handler, signal.SIG_DFL]
    assert not interrupted()


def hesitant(request: Request, *, tell: Any, phase: str, at: int) -> Work:
    """Make a run that waits for a request to stop when it has told so much of a phase."""

    def heard(progress: Progress) -> None:
        tell(progress)
        if request.info is not None and (progress.phase, progress.done) == (phase, at):
            until = time.monotonic() + 60
            while not signals.stop_wanted() and time.monotonic() < until:
                time.sleep(0.01)

    return perform(request, tell=heard)


class Sends(Silent):
    """Sends this process a signal when a phase has come so far."""

    def __init__(self, number: int, phase: str, at: int, times: int = 1) -> None:
        self.number, self.where, self.times = number, (phase, at), times
        self.sent = 0.0

    def progress(self, index: int, progress: Progress) -> None:
        if index == LORA and (progress.phase, progress.done) == self.where:
            self.sent = self.sent or time.monotonic()
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


def checkpoints(folder: Path) -> list[int]:
    """Return the updates at which there are checkpoints."""
    return sorted(int(f.parent.name) for f in (folder / "checkpoints").glob("*/[0-9]*/state.json"))


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".tmp-*")]


@pytest.mark.parametrize(
    ("name", "phase", "at", "kept"),
    [
        ("SIGINT", "train", 7, [7]),
        ("SIGTERM", "train", 12, [12]),  # the last update, before anything is validated
        ("SIGTERM", "validate", 0, [4]),
        ("SIGINT", "evaluate", 0, []),  # it is made again, from the last checkpoint
    ],
)
def test_the_first_signal_leaves_a_checkpoint_and_the_result_is_the_same(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    phase: str,
    at: int,
    kept: list[int],
) -> None:
    sends = Sends(getattr(signal, name), phase, at)
    with monkeypatch.context() as patch:
        patch.setattr(runner, "perform", partial(hesitant, phase=phase, at=at))
        with pytest.raises(KeyboardInterrupt):
            run_study(place / "study.yaml", out=tmp_path, listener=sends, checkpoint_every=60)
    assert time.monotonic() - sends.sent < LIMIT
    assert checkpoints(tmp_path) == kept
    assert [(r.entry, r.status) for r in Store(tmp_path).records()] == [("majority", "done")]
    assert left_behind(tmp_path) == []
    run_study(place / "study.yaml", out=tmp_path, checkpoint_every=60)
    assert contents(tmp_path) == contents(place / "whole")
    assert not (tmp_path / "checkpoints").exists()


def command(*words: str, patch: pytest.MonkeyPatch) -> int:
    """Give a command in this process and return its exit code."""
    patch.setattr(sys, "argv", ["tarazu", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize("times", [1, 2])
def test_the_command_ends_with_130_and_says_what_continues(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    times: int,
) -> None:
    sends, shown, out = Sends(signal.SIGINT, "train", 8, times), ProgressView.progress, tmp_path

    def progress(self: ProgressView, index: int, told: Progress) -> None:
        shown(self, index, told)
        sends.progress(index, told)

    monkeypatch.chdir(place)
    monkeypatch.setattr(runner, "perform", partial(hesitant, phase="train", at=8))
    monkeypatch.setattr(ProgressView, "progress", progress)
    words = ["run", "study.yaml", "--out", f"{out}/a b", "--checkpoint-every", "60"]
    assert command(*words, patch=monkeypatch) == 130
    said = capsys.readouterr().err
    again = f"  tarazu run study.yaml --out '{out}/a b' --checkpoint-every 60\n"
    assert said.endswith(f"Interrupted. Finished runs are kept. This continues:\n{again}")
    assert "Traceback" not in said
    assert checkpoints(out / "a b") == ([8] if times == 1 else [])  # the second does not wait
    assert left_behind(out) == []


def test_who_is_impatient_still_gets_the_last_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tarazu import study
    from tarazu.report import complaints

    complain = complaints.complain

    def interrupted_too(message: str) -> None:
        for number in BOTH:
            os.kill(os.getpid(), number)
        complain(message)

    def run(*words: Any, **named: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(study, "run_study", run)
    monkeypatch.setattr(complaints, "complain", interrupted_too)
    assert command("run", "s.yaml", patch=monkeypatch) == 130
    assert "This continues:\n  tarazu run s.yaml\n" in capsys.readouterr().err


def slow_to_write(request: Request, *, tell: Any, note: str) -> Work:
    """Make a run whose sixth checkpoint never comes to its end."""
    whole, tensors = checkpoint.save_file, iter(range(1, 100))

    def save(*arguments: Any) -> None:
        whole(*arguments)
        if next(tensors) == 6:
            Path(note).touch()
            time.sleep(300)

    checkpoint.save_file = save
    return perform(request, tell=tell)


def test_a_second_signal_while_a_checkpoint_is_written_leaves_the_one_before(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, out = tmp_path / "note", tmp_path / "out"

    class Impatient(Silent):
        def progress(self, index: int, progress: Progress) -> None:
            if index == LORA and (progress.phase, progress.done) == ("train", 6):
                os.kill(os.getpid(), signal.SIGINT)
            if progress.phase == "stop":
                while not note.exists():
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGINT)

    start = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(runner, "perform", partial(slow_to_write, note=str(note)))
        patch.setattr(processes, "PATIENCE", 200.0)  # it is not patience that ends it
        with pytest.raises(KeyboardInterrupt):
            run_study(place / "study.yaml", out=out, listener=Impatient(), checkpoint_every=0)
    assert time.monotonic() - start < 100
    assert checkpoints(out) == [4, 5]
    run_study(place / "study.yaml", out=out, checkpoint_every=0)
    assert contents(out) == contents(place / "whole")
    assert left_behind(out) == []


def test_a_result_is_written_whatever_comes(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Store.write_record

    def interrupted_while_writing(self: Store, *arguments: Any) -> Any:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        return write(self, *arguments)

    monkeypatch.setattr(Store, "write_record", interrupted_while_writing)
    with pytest.raises(KeyboardInterrupt):
        run_study(place / "study.yaml", out=tmp_path)
    assert [(r.entry, r.status) for r in Store(tmp_path).records()] == [("majority", "done")]


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
    tell(Progress("evaluate", 0, 1, str(os.getpid())))
    time.sleep(60)


def result_all_the_same(note: str, *, tell: Any) -> str:
    """Come to an end although asked to stop."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    tell(Progress("evaluate", 0, 1))
    time.sleep(0.5)
    return "done"


def death_in_the_group(note: str, *, tell: Any) -> None:
    """Die of a signal that the study was sent, too."""
    tell(Progress("evaluate", 0, 1))
    os._exit(1)


def interrupt(progress: Progress) -> None:
    if progress.phase == "evaluate":
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_is_asked_before_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "note"
    sent: list[float] = []

    def at_evaluation(progress: Progress) -> None:
        sent.extend(time.monotonic() for _ in range(progress.phase == "evaluate"))
        interrupt(progress)

    with pytest.raises(KeyboardInterrupt), interruptible():
        in_own_process(work_that_can_stop, str(note), tell=at_evaluation)
    assert time.monotonic() - sent[0] < LIMIT
    assert note.read_text() == "stopped"
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    pids: list[int] = []

    def heard(progress: Progress) -> None:
        pids.extend(int(progress.detail) for _ in range(progress.phase == "evaluate"))
        at_evaluation(progress)

    with pytest.raises(KeyboardInterrupt), interruptible():
        in_own_process(work_that_cannot, str(note), tell=heard)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert time.monotonic() - sent[1] < LIMIT


def test_patience_leaves_time_for_the_rest_of_ten_seconds() -> None:
    assert signals.PATIENCE + processes._GLANCE < 8


def test_a_result_that_comes_all_the_same_is_kept(tmp_path: Path) -> None:
    kept: list[Any] = []

    def twice() -> None:
        with interruptible(), deferred():
            kept.append(in_own_process(result_all_the_same, "", tell=interrupt))
            kept.append(in_own_process(result_all_the_same, "", tell=interrupt))  # is not begun

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert kept == ["done"]


def test_a_death_by_the_same_signal_is_no_failure_of_the_run() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible(), deferred():
        in_own_process(death_in_the_group, "", tell=interrupt)


def test_a_signal_while_the_fork_server_loads_is_not_kept_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, passed = processes._start, []

    def slow(process: Any) -> None:
        start(process)
        os.kill(os.getpid(), signal.SIGINT)
        passed.append("started")

    monkeypatch.setattr(processes, "_start", slow)
    with pytest.raises(KeyboardInterrupt), interruptible(), deferred():
        in_own_process(result_all_the_same, "", tell=lambda told: passed.append(told.phase))
    assert passed == []


def blocked(*, tell: Any) -> int:
    """Return the signals that this process is not sent, as its fork server was not."""
    status = Path("/proc/self/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("SigBlk")).split()[1], 16)


def test_what_goes_to_the_whole_group_does_not_reach_the_fork_server() -> None:
    mask = in_own_process(blocked, tell=print)
    assert all(mask >> (number - 1) & 1 for number in BOTH)
    assert not mask >> (signal.SIGUSR1 - 1) & 1
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())  # here nothing is


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

        in_thread(elsewhere)
        assert seen == [signal.getsignal(signal.SIGINT)]
    finally:
        signal.signal(signal.SIGTERM, before)


def in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_study_in_another_thread_neither_hears_nor_defers() -> None:
    seen: list[Any] = []
    inside, over = threading.Event(), threading.Event()

    def elsewhere() -> None:
        with deferred():
            inside.set()
            over.wait(30)
            seen.append(interrupted())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    inside.wait(30)
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signal.SIGINT)
    over.set()
    thread.join()
    assert seen == [False]


def test_a_shield_holds_every_signal_until_it_is_left() -> None:
    passed: list[str] = []

    def twice() -> None:
        with interruptible(), deferred():
            with shielded():
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
                passed.append("held")
            passed.append("never")  # two have come: the outer block holds one only

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert passed == ["held"]


def test_a_request_to_stop_waits_for_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.fixture
def begin(place: Path) -> Iterator[Begin]:
    """Give the command in a group of its own; what is left of it is killed in the end."""
    begun: list[subprocess.Popen[bytes]] = []

    def given() -> subprocess.Popen[bytes]:
        words = ["run", "long.yaml", "--out", "out", "--checkpoint-every", "0"]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            cwd=place,
            env={**os.environ, "TARAZU_CACHE": str(place / "cache")},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=(place / f"said-{len(begun)}").open("wb"),
        )
        begun.append(process)
        return process

    yield given
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(what: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not what():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)


def ended(process: subprocess.Popen[bytes], place: Path, number: int) -> str:
    """Wait for the command to leave as an interrupted one; return what it said."""
    assert process.wait(timeout=LIMIT) == 130
    said = (place / f"said-{number}").read_text()
    assert "Traceback" not in said
    assert "This continues:\n  tarazu run long.yaml --out out --checkpoint-every 0\n" in said
    return said


def newest(folder: Path) -> int:
    found = (folder / "checkpoints").glob("*/[0-9]*/state.json")
    return max((int(file.parent.name) for file in found), default=0)


def loads(process: subprocess.Popen[bytes]) -> bool:
    """Say whether the fork server is on its way."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    lines = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    return any(b"multiprocessing.forkserver" in line for line in lines)


@pytest.mark.slow
def test_signals_to_the_whole_group_then_a_kill_then_the_same_bytes(
    place: Path, begin: Begin
) -> None:
    out = place / "out"
    (place / "long.yaml").write_text(STUDY.replace("epochs: 3", "epochs: 40"))
    first = begin()
    wait_for(lambda: loads(first), first)
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does
    ended(first, place, 0)
    second = begin()
    wait_for(lambda: newest(out) > 10, second)
    os.killpg(second.pid, signal.SIGTERM)  # as a batch system does
    assert "lora · seed 3 · stopping where it can go on" in ended(second, place, 1)
    before = newest(out)
    assert before > 10
    third = begin()
    wait_for(lambda: newest(out) > before + 10, third)
    third.kill()
    fourth = begin()  # at once: the run of the third may not have ended
    assert fourth.wait(timeout=120) == 0
    run_study(place / "long.yaml", out=place / "long")
    assert contents(out) == contents(place / "long")
    assert not list(out.rglob(".tmp-*"))
    assert not (out / "checkpoints").exists()
