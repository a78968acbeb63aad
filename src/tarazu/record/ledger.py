"""The ledger: every scoring of every test set, so that choices made after looking can be counted.

::

    <user's data folder>/tarazu/ledger.jsonl      all studies of this user; TARAZU_LEDGER moves it
    <output folder>/ledger.jsonl                  goes where the results go

Both are append-only JSON lines, and both know everything about the test sets of a study from the
moment at which it runs. A line is written before the record of its run appears: a result that
anybody can see has been counted, and a run that was killed on the way has shown nothing. Nothing in
a line names a machine, a user or a path.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, ValidationError

from tarazu.record.disk import make_folder, sync, told_plainly
from tarazu.record.record import RunRecord
from tarazu.scrub import scrub

FILE = "ledger.jsonl"


class Scoring(BaseModel):
    """One scoring of one test set; a line of the ledger."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    """Random: a line that was copied from ledger to ledger is counted once."""
    test: str
    """SHA-256 of the test items, as in the inputs of a record."""
    split: str
    """What the study calls the test set."""
    study: str
    entry: str
    key: str
    """Content key of the run."""
    seed: int
    when: str
    """Time stamp, UTC."""


def ledger_file() -> Path:
    """Return the user's ledger: ``TARAZU_LEDGER``, or a file in the user's data folder."""
    named = os.environ.get("TARAZU_LEDGER")
    return Path(named).expanduser() if named else user_data_path("tarazu") / FILE


def scorings(test: str, *files: Path) -> list[Scoring]:
    """Return every known scoring of a test set, the oldest first.

    Args:
        test: SHA-256 of the test items.
        *files: Ledgers to read; by default the user's. Absent ones are empty.
    """
    return read_ledgers(files or (ledger_file(),), {test})


def read_ledgers(files: Iterable[Path], tests: Collection[str] | None = None) -> list[Scoring]:
    """Return the scorings in some ledgers, each once, the oldest first.

    Args:
        files: The ledgers. Absent ones are empty.
        tests: SHA-256 of the test sets that are wanted; all by default.
    """
    found = {
        scoring.id: scoring
        for file in files
        for scoring in _read(file)
        if tests is None or scoring.test in tests
    }
    return sorted(found.values(), key=lambda scoring: (scoring.when, scoring.id))


class Ledger:
    """The ledgers that a study writes: of its output folder, and of the user.

    Args:
        folder: The output folder.
        note: Told when the user's ledger cannot be written to; the folder's counts on.
    """

    def __init__(self, folder: Path, note: Callable[[str], None]) -> None:
        self.own = folder / FILE
        self.user = ledger_file()
        self._note = note

    def bring_together(self, tests: Collection[str]) -> None:
        """Tell each ledger what the other knows of some test sets, before a study scores them.

        Afterwards the output folder says of itself how often its test sets had been scored, on
        whatever machine it is read.

        Args:
            tests: SHA-256 of the test sets.
        """
        here, there = (read_ledgers([file], tests) for file in (self.own, self.user))
        known = {scoring.id for scoring in here} & {scoring.id for scoring in there}
        self._write_own([scoring for scoring in there if scoring.id not in known])
        self._write_user([scoring for scoring in here if scoring.id not in known])

    def count(self, record: RunRecord, *, in_folder: bool = True) -> None:
        """Write down the test sets that a run has scored, before its record is stored.

        Args:
            record: The record, about to be stored.
            in_folder: Whether the output folder is written to, and not the user's ledger alone.

        Raises:
            BadInput: The output folder cannot be written to.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = [
            Scoring(
                id=uuid.uuid4().hex,
                test=record.inputs[split].sha256,
                split=split,
                study=record.spec.study,
                entry=record.entry,
                key=record.key,
                seed=record.seed,
                when=now,
            )
            for split in record.test_access
        ]
        if in_folder:
            self._write_own(lines)
        self._write_user(lines)

    def _write_own(self, lines: list[Scoring]) -> None:
        with told_plainly(self.own.parent):
            append(self.own, lines)

    def _write_user(self, lines: list[Scoring]) -> None:
        try:
            append(self.user, lines)
        except OSError as error:
            self._note(
                f"The ledger {self.user} cannot be written to ({error.strerror}): this study's "
                f"scorings are counted in {self.own} only. TARAZU_LEDGER names another file."
            )


def append(file: Path, lines: Iterable[Scoring]) -> None:
    """Append scorings to a ledger, safely beside other processes, and sync it to disk.

    Raises:
        OSError: The file cannot be written to.
    """
    text = scrub("".join(f"{line.model_dump_json()}\n" for line in lines))
    if not text:
        return
    make_folder(file.parent)
    new = not file.exists()
    with FileLock(file.parent / f".{file.name}.lock"), file.open("ab") as stream:
        if _is_torn(file):
            text = f"\n{text}"
        stream.write(text.encode())
        stream.flush()
        os.fsync(stream.fileno())
        if new:
            sync(file.parent)


def _is_torn(file: Path) -> bool:
    """Tell whether the last line has no end: a crash cut it short, and none may be glued to it."""
    with file.open("rb") as stream:
        if not stream.seek(0, os.SEEK_END):
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def _read(file: Path) -> Iterator[Scoring]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for line in text.split("\n"):
        try:
            yield Scoring.model_validate_json(line)
        except ValidationError:
            continue  # cut short by a crash: it was not yet counted, and its run showed nothing
