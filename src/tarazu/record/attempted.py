"""What the attempts at a run leave for the next command, when all of them are killed.

::

    <checkpoints of the run>/attempts.json    smaller batches that were settled on, and why
    <checkpoints of the run>/at               where the attempt at hand is; gone when it has ended

Both are conveniences: a run does not fail where they cannot be written.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tarazu.record.disk import make_folder, write_synced
from tarazu.record.progress import Progress

_NOTES, _AT = "attempts.json", "at"
_TRACED = ("train", "validate", "evaluate", "merge")
_WIDTH, _FIELDS = 64, 4


@dataclass(frozen=True)
class Attempted:
    """What is known of earlier attempts.

    Attributes:
        rows: Training rows at a time; None for what was asked for.
        answers: Items answered at a time; None for what was asked for.
        recompute: Whether activations were computed again instead of kept.
        told: What was said of it.
        cut_at: Where the last attempt was that did not end.
        cuts: How many in a row did not end there.
    """

    rows: int | None = None
    answers: int | None = None
    recompute: bool = False
    told: tuple[str, ...] = ()
    cut_at: str = ""
    cuts: int = 0


@dataclass
class Notes:
    """The notes on the attempts at one run.

    Attributes:
        folder: Of this run alone; made when it is needed.
        made_by: What must be the same for the notes to count, as for its checkpoints.
        part: Which part of the run is being made.
    """

    folder: Path
    made_by: str
    part: int = 0
    _file: int | None = None
    _trained: int = 0

    def read(self) -> Attempted:
        """Return what was noted."""
        try:
            values = json.loads((self.folder / _NOTES).read_text(encoding="utf-8"))
            if values.pop("made_by") != self.made_by:
                return Attempted()
            found = Attempted(**{**values, "told": tuple(values["told"])})
            numbers = (found.rows, found.answers, found.cuts)
            return found if all(isinstance(n, int | None) for n in numbers) else Attempted()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Attempted()

    def write(self, attempted: Attempted) -> None:
        """Note something for the next command."""
        text = json.dumps({**asdict(attempted), "made_by": self.made_by}) + "\n"
        with suppress(OSError):
            make_folder(self.folder)
            write_synced(self.folder / f".tmp-{uuid.uuid4().hex}", text, self.folder / _NOTES)

    def forget(self) -> None:
        """Let the next command know nothing."""
        with suppress(OSError):
            (self.folder / _NOTES).unlink(missing_ok=True)
        self._leave()

    def cut_off_at(self) -> str:
        """Return where an attempt was that has not ended, as `at` put it, and forget it."""
        try:
            where = (self.folder / _AT).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            return ""
        with suppress(OSError):
            (self.folder / _AT).unlink()
        fields = where.split()
        return where if len(fields) == _FIELDS and fields[0] in _TRACED else ""

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Keep a trace of an attempt as long as it has not ended, in whatever way."""
        try:
            yield
        finally:
            if self._file is not None:
                os.close(self._file)
                self._file = None
                with suppress(OSError):
                    (self.folder / _AT).unlink(missing_ok=True)
                self._leave()

    def at(self, progress: Progress) -> None:
        """Note how far an attempt is; the trace of a process that is killed stays.

        It is not synced: a power failure may take it, and says nothing of memory.
        """
        if progress.phase not in _TRACED:
            return
        if progress.phase == "train":
            self._trained = progress.done
        where = f"{progress.phase} {progress.done} {self._trained} {self.part}"
        with suppress(OSError):
            if self._file is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._file = os.open(self.folder / _AT, flags, 0o644)
            os.pwrite(self._file, where.ljust(_WIDTH).encode(), 0)

    def _leave(self) -> None:
        with suppress(OSError):  # there are checkpoints
            self.folder.rmdir()
            self.folder.parent.rmdir()
