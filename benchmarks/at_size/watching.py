"""The study in a process of its own, and the memory of that process and all below it, by phase.

What `tarazu run` calls, `run_study`, is called here with a listener that tells every change of
phase at once; the command itself would tell it every 15 seconds. The record of a run has the peak
of its process in each phase (VmHWM, mapped files included). What is sampled here adds the
anonymous part, which the system cannot drop as it can pages of a mapped file, and the sum over
the whole process tree, command and fork server included. Pages that forked processes share are
counted for each of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tarazu.record.progress import PlannedRun, Progress, Silent
from tarazu.record.record import RunRecord

EVERY = 0.2  # seconds between two samples
HEARTBEAT = 30.0  # seconds between two lines about the same phase in the log
MARK = "@"  # begins the lines that are meant for the watching process
_FIELDS = ("VmRSS", "RssAnon")
# What `multiprocessing` starts beside the runs' processes; those are forked from the server.
_HELPERS = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")
_GIB = 2**30


class Teller(Silent):
    """A listener in the process of the study: one JSON line for each change of phase."""

    def __init__(self) -> None:
        self._runs: list[PlannedRun] = []
        self._last: object = None

    def planned(self, runs: list[PlannedRun]) -> None:
        """Note the plan."""
        self._runs = list(runs)

    def started(self, index: int) -> None:
        """Tell which run has begun."""
        self._tell(entry=self._runs[index].entry, phase="start")

    def progress(self, index: int, progress: Progress) -> None:
        """Tell a new phase, and every update of training."""
        counted = progress.done if progress.phase == "train" else 0
        here = (index, progress.phase, counted)
        if here != self._last:
            self._last = here
            self._tell(entry=self._runs[index].entry, phase=progress.phase, done=counted)

    def finished(self, index: int, record: RunRecord) -> None:
        """Tell that a run is over; runs of earlier calls come here, too."""
        self._tell(entry=record.entry, finished=record.status, key=record.key)

    def note(self, message: str) -> None:
        """Tell a line."""
        self._tell(note=message)

    def _tell(self, **words: object) -> None:
        print(MARK + json.dumps(words), flush=True)


@dataclass(frozen=True)
class Memory:
    """What a process has in memory now.

    Attributes:
        resident: Bytes, pages of mapped files included.
        anonymous: Bytes without them.
        of_run: Whether it is the process of a run, not the command's or a helper's.
    """

    resident: int
    anonymous: int
    of_run: bool


@dataclass
class Peaks:
    """Largest samples of one phase, in bytes.

    Attributes:
        resident: Of the largest process of the run, pages of mapped files included.
        anonymous: Of the process of the run that has most of it.
        tree_resident: Summed over the command and all processes below it.
        tree_anonymous: The same of the anonymous part.
        samples: How many there were. A phase of less than `EVERY` seconds may have none.
    """

    resident: int = 0
    anonymous: int = 0
    tree_resident: int = 0
    tree_anonymous: int = 0
    samples: int = 0

    def take(self, processes: Sequence[Memory]) -> None:
        """Take a sample into account; one in which no run has a process counts for nothing.

        Args:
            processes: All of the tree.
        """
        runs = [one for one in processes if one.of_run]
        if not runs:
            return
        self.resident = max(self.resident, *(one.resident for one in runs))
        self.anonymous = max(self.anonymous, *(one.anonymous for one in runs))
        self.tree_resident = max(self.tree_resident, sum(one.resident for one in processes))
        self.tree_anonymous = max(self.tree_anonymous, sum(one.anonymous for one in processes))
        self.samples += 1


@dataclass
class Watched:
    """What was seen of one run.

    Attributes:
        phases: Peaks by phase, in order. Those of a merged form have its number behind them, such
            as ``load 1``: what is loaded after merging has begun.
        updates: Updates of training.
        key: Content key of the run, once it is over.
    """

    phases: dict[str, Peaks] = field(default_factory=dict)
    updates: int = 0
    key: str = ""
    _merging: bool = False
    _form: int = 0

    def enter(self, phase: str, done: int = 0) -> str:
        """Note that a phase has begun, or an update of training was made.

        Args:
            phase: As `Progress` calls it.
            done: Updates so far.

        Returns:
            The name under which its peaks are noted.
        """
        self.updates = max(self.updates, done)
        if phase == "merge":
            self._merging = True
        elif phase == "load" and self._merging:
            self._form += 1
        name = f"{phase} {self._form}" if self._form and phase != "merge" else phase
        self.phases.setdefault(name, Peaks())
        return name

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        phases = {name: asdict(peaks) for name, peaks in self.phases.items()}
        return {"key": self.key, "updates": self.updates, "phases": phases}


def memory_below(command: psutil.Process) -> list[Memory]:
    """Return what a command and all processes below it have in memory.

    Args:
        command: The process of the study.
    """
    try:
        below = command.children(recursive=True)
    except psutil.Error:
        return []
    found = []
    for process in (command, *below):
        try:
            text = Path(f"/proc/{process.pid}/status").read_text("ascii", errors="replace")
            line = Path(f"/proc/{process.pid}/cmdline").read_text("utf-8", errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        if not all(name in lines for name in _FIELDS):  # it has ended, and nobody looked yet
            continue
        helps = int(lines["PPid"]) == command.pid and any(name in line for name in _HELPERS)
        resident, anonymous = (int(lines[name].split()[0]) * 1024 for name in _FIELDS)
        found.append(Memory(resident, anonymous, process is not command and not helps))
    return found


class Log:
    """Lines with time stamps, in a file that can be watched, and on standard output.

    Args:
        file: Lines are appended.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        """Write a line."""
        text = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z {line}"
        with self._lock, self._file.open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")
            print(text, flush=True)


class Watch:
    """The runs of one call of the study, seen from outside.

    Args:
        log: Hears what happens.
        over: Called with the entry and what was seen of it when a run that began here is over.
    """

    def __init__(self, log: Callable[[str], None], over: Callable[[str, Watched], None]) -> None:
        self._log = log
        self._over = over
        self._entry = ""
        self._phase = ""
        self._watched: Watched | None = None
        self._done = threading.Event()
        self._lock = threading.Lock()

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a command that tells its phases (`Teller`), and return its exit status.

        Args:
            command: The command.
            environment: Set for it beside what is set here.
        """
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **environment},
        )
        sampler = threading.Thread(target=self._sample, args=(process.pid,), daemon=True)
        sampler.start()
        # Ctrl-C goes to both. Either way the study stops where it can go on.
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            assert process.stdout is not None
            for line in process.stdout:
                self.hear(line.rstrip("\n"))
            return process.wait()
        finally:
            process.wait()
            self._done.set()
            sampler.join()
            signal.signal(signal.SIGTERM, before)

    def hear(self, line: str) -> None:
        """Take a line of the study's process."""
        if not line.startswith(MARK):
            self._log(f"| {line}")
            return
        words = json.loads(line.removeprefix(MARK))
        if "note" in words:
            self._log(f"· {words['note']}")
        elif "finished" in words:
            self._finish(words)
        else:
            self._enter(words["entry"], words["phase"], words.get("done", 0))

    def _enter(self, entry: str, phase: str, done: int) -> None:
        with self._lock:
            if phase == "start" or self._watched is None:
                self._watched = Watched()
            self._entry, before = entry, (self._entry, self._phase)
            self._phase = self._watched.enter(phase, done)
        if before != (entry, self._phase) or done:
            self._log(f"{entry} · {self._phase}" + (f" · update {done}" if done else ""))

    def _finish(self, words: Mapping[str, str]) -> None:
        entry = words["entry"]
        with self._lock:
            seen, self._watched = self._watched, None
        if seen is None or entry != self._entry:
            self._log(f"{entry} · {words['finished']} already")
            return
        seen.key = words["key"]
        self._log(f"{entry} · {words['finished']}")
        self._over(entry, seen)

    def _sample(self, pid: int) -> None:
        last = time.monotonic()
        try:
            process = psutil.Process(pid)
        except psutil.Error:
            return
        while not self._done.wait(EVERY):
            processes = memory_below(process)
            with self._lock:
                if self._watched is not None:
                    self._watched.phases[self._phase].take(processes)
                where = f"{self._entry} · {self._phase}"
            if processes and time.monotonic() - last >= HEARTBEAT:
                last = time.monotonic()
                resident = max(one.resident for one in processes) / _GIB
                anonymous = max(one.anonymous for one in processes) / _GIB
                self._log(f"{where} · {resident:.2f} GiB resident, {anonymous:.2f} anonymous now")


def run_watched_study(study: Path, out: Path, only: Sequence[str]) -> int:
    """Run the study in this process, as `tarazu run` does, and tell its phases.

    Args:
        study: The study file.
        out: The output folder.
        only: Entries; all when empty.

    Returns:
        The exit status: 1 when a run failed.
    """
    from tarazu.study import run_study

    result = run_study(study, out=out, only=only, listener=Teller())
    return 1 if result.failed else 0


def worker_command(script: str, study: Path, out: Path, only: Sequence[str]) -> list[str]:
    """Return the command of the process that runs the study.

    Args:
        script: `real_size.py`.
        study: The study file.
        out: The output folder.
        only: Entries; all when empty.
    """
    chosen = ["--only", *only] if only else []
    return [sys.executable, script, "--worker", str(study), str(out), *chosen]
