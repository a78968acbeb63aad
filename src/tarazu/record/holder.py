"""Who has an output folder that several machines can write to, where locks may be seen by one only.

::

    .holder.json     which machine has the folder, and a count that goes up as long as it lives

Nobody's clock is trusted: another machine is alive if the count changes while it is watched. What a
drive hands on late, or never, this cannot see either; so the count is also looked at before
every write, and whoever finds the folder taken stops.
"""

from __future__ import annotations

import json
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from tarazu.errors import BadInput, bad
from tarazu.record.disk import write_synced
from tarazu.record.key import sha256_text

FILE = ".holder.json"
BEAT = 10.0
"""Seconds between two changes of the count."""
WATCH = 60.0
"""Seconds in which a count that does not change belongs to a machine that is gone."""
LOOK = 2.5 * BEAT
"""Seconds for which somebody waits who only wants to know."""
SETTLE = 2.0
"""Seconds after which one of two machines that came at once sees the other."""
_GONE = 3  # looks: a drive may show no file while it is replaced
_REMEDY = "Wait until it has finished, or choose another folder with --out."


@dataclass(frozen=True)
class _Held:
    """What stands in the file.

    Attributes:
        machine: Hash of the machine's name and of its start: no name is written.
        token: Random, of one study.
        count: Goes up.
    """

    machine: str
    token: str
    count: int


class Holder:
    """This machine's hold on a folder.

    Args:
        folder: The output folder; its locks are held.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine = _Held(_machine(), uuid.uuid4().hex, 0)
        self._taken = False
        self._over = threading.Event()

    def check(self) -> None:
        """Make sure that no other machine has taken the folder.

        Raises:
            BadInput: One has.
        """
        if self._taken or self._is_taken():
            raise _in_use(self._folder)

    def _is_taken(self) -> bool:
        found = _read(self._folder)
        return found is not None and found.token != self._mine.token

    def _take(self, note: Callable[[str], None]) -> None:
        before = _read(self._folder)
        if before is not None and before.machine != self._mine.machine:
            note(_looking(WATCH))
            if _beats(self._folder, before, WATCH):
                raise _in_use(self._folder)
        self._write()
        time.sleep(SETTLE)
        self.check()

    def _write(self) -> None:
        text = json.dumps(asdict(self._mine)) + "\n"
        write_synced(self._folder / f".tmp-{uuid.uuid4().hex}", text, self._folder / FILE)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            if self._is_taken():
                self._taken = True
                return
            self._mine = replace(self._mine, count=self._mine.count + 1)
            with suppress(OSError):  # the next one may be taken again; a write will tell
                self._write()

    def _let_go(self) -> None:
        with suppress(OSError):
            if not self._is_taken():
                (self._folder / FILE).unlink(missing_ok=True)


@contextmanager
def held(folder: Path, note: Callable[[str], None]) -> Iterator[Holder]:
    """Hold a folder against other machines.

    Args:
        folder: The output folder; its locks are held, so nobody else on this machine is here.
        note: Hears that another machine is looked for.

    Raises:
        BadInput: Another machine has it.
        OSError: It cannot be written to.
    """
    holder = Holder(folder)
    try:
        holder._take(note)
        thread = threading.Thread(target=holder._beat, daemon=True)
        thread.start()
        try:
            yield holder
        finally:
            holder._over.set()
            thread.join()
    finally:
        holder._let_go()


def at_work_elsewhere(folder: Path, note: Callable[[str], None]) -> bool:
    """Tell whether a study on another machine has a folder; nothing is written.

    It takes `LOOK` seconds at most, and none where no other machine left its word.

    Args:
        folder: The output folder.
        note: Hears that another machine is looked for.
    """
    before = _read(folder)
    if before is None or before.machine == _machine():
        return False
    note(_looking(LOOK))
    return _beats(folder, before, LOOK)


def leased_by(folder: Path) -> Literal["this machine", "another machine"] | None:
    """Tell which machine's lease is on a folder, alive or not; None without one.

    Args:
        folder: The output folder; nothing is written.
    """
    found = _read(folder)
    if found is None:
        return None
    return "this machine" if found.machine == _machine() else "another machine"


def _looking(seconds: float) -> str:
    return (
        f"Another machine had this folder: looking for {seconds:.0f} s whether it is still at work."
    )


def _beats(folder: Path, before: _Held, seconds: float) -> bool:
    """Tell whether a count changes; it does not once its file is gone for good."""
    until, missing = time.monotonic() + seconds, 0
    while time.monotonic() < until and missing < _GONE:
        time.sleep(min(1.0, seconds / 10))
        now = _read(folder)
        missing = missing + 1 if now is None else 0
        if now is not None and now != before:
            return True
    return False


def _in_use(folder: Path) -> BadInput:
    rule = "only one process may write to an output folder at a time"
    return bad(str(folder), rule, "a study on another machine", _REMEDY)


def _read(folder: Path) -> _Held | None:
    try:
        return _Held(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _machine() -> str:
    started = ""
    with suppress(OSError):
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    return sha256_text(f"{platform.node()} {started}")[:16]
