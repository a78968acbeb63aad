"""How far a study is: what it asks for, and which run is being made, for whoever looks in later.

::

    plan.json         the runs that the study asks for, with their content keys as far as known
    .running.json     the run that has begun; it means nothing where no process has the folder

Both are conveniences: a study does not stop where they cannot be written.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tarazu.record.disk import write_synced
from tarazu.record.holder import at_work_elsewhere
from tarazu.record.progress import Listener, PlannedRun, Progress
from tarazu.record.record import RunRecord
from tarazu.scrub import scrub

PLAN, RUNNING = "plan.json", ".running.json"


@dataclass(frozen=True)
class Slot:
    """Room for one run of the plan.

    Attributes:
        label: Entry and seed, or which trial, for people.
        entry: Id of the entry.
        stage: ``trial`` or ``final``.
        key: Its content key; empty while tuning has not yet settled which run it will be.
    """

    label: str
    entry: str
    stage: str
    key: str


@dataclass(frozen=True)
class Running:
    """The run that is being made.

    Attributes:
        place: Its place in the plan.
        began: Time stamp, UTC.
    """

    place: int
    began: str


class Standing:
    """A listener that writes down what it hears, and hands it on.

    Args:
        listener: Hears everything, too.
        folder: The output folder; it exists.
        others: Entries of the study that are not run this time: what was planned of them stays.
    """

    def __init__(self, listener: Listener, folder: Path, others: Collection[str] = ()) -> None:
        self._listener = listener
        self._folder = folder
        self._others = [slot for slot in read_plan(folder) or [] if slot.entry in others]
        self._slots: dict[int, Slot] = {}
        with suppress(OSError):
            (folder / RUNNING).unlink(missing_ok=True)  # of a process that was killed

    def planned(self, runs: list[PlannedRun]) -> None:
        """Write the plan down."""
        self._slots = {
            place: Slot(run.label, run.entry, run.stage, run.key) for place, run in enumerate(runs)
        }
        self._write_plan()
        self._listener.planned(runs)

    def started(self, index: int) -> None:
        """Write down which run has begun."""
        began = datetime.now(UTC).isoformat(timespec="seconds")
        if index in self._slots:
            place = list(self._slots).index(index)
            self._write(RUNNING, asdict(Running(place, began)))
        self._listener.started(index)

    def progress(self, index: int, progress: Progress) -> None:
        """Hand on."""
        self._listener.progress(index, progress)

    def finished(self, index: int, record: RunRecord) -> None:
        """Write down which run it was, where the plan did not know."""
        with suppress(OSError):
            (self._folder / RUNNING).unlink(missing_ok=True)
        slot = self._slots.get(index)
        if slot is not None and slot.key != record.key:
            self._slots[index] = replace(slot, key=record.key)
            self._write_plan()
        self._listener.finished(index, record)

    def dropped(self, index: int) -> None:
        """Take a run out of the plan."""
        if self._slots.pop(index, None) is not None:
            self._write_plan()
        self._listener.dropped(index)

    def note(self, message: str) -> None:
        """Hand on."""
        self._listener.note(message)

    def _write_plan(self) -> None:
        runs = [asdict(slot) for slot in (*self._slots.values(), *self._others)]
        self._write(PLAN, {"runs": runs})

    def _write(self, name: str, values: Mapping[str, Any]) -> None:
        text = scrub(json.dumps(values, ensure_ascii=False, indent=1)) + "\n"
        with suppress(OSError):
            write_synced(self._folder / f".tmp-{uuid.uuid4().hex}", text, self._folder / name)


def read_plan(folder: Path) -> list[Slot] | None:
    """Return what the study asks for; None when it was not written, or cannot be read."""
    try:
        runs = json.loads((folder / PLAN).read_text(encoding="utf-8"))["runs"]
        return [Slot(**{name: str(value) for name, value in run.items()}) for run in runs]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_running(folder: Path) -> Running | None:
    """Return the run that began last and has not ended; ask `in_use` whether anybody makes it."""
    try:
        values = json.loads((folder / RUNNING).read_text(encoding="utf-8"))
        return Running(int(values["place"]), str(values["began"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def in_use(folder: Path, note: Callable[[str], None] = lambda message: None) -> bool:
    """Tell whether a process has an output folder, here or on another machine.

    Nothing is written. Where another machine left its word, it takes half a minute at most
    (`tarazu.record.holder`).

    Args:
        folder: The output folder.
        note: Hears that another machine is looked for.
    """
    return _locked(folder) or at_work_elsewhere(folder, note)


def _locked(folder: Path) -> bool:
    if not (folder / ".lock").is_file():
        return False
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # where we may not write, whether somebody else does cannot be seen
        return False
    lock.release()
    return False
