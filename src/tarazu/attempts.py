"""Making a run again with less at a time where memory ran out.

Fewer rows first, activations computed again only when one row does not fit: see
`docs/design/accelerator.md`. The settings of the run stay what was asked for, and so does its
content key: the effective batch is the same, and an event tells what was used. Such a run need not
be equal to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tarazu.errors import BadInput
from tarazu.needs import needed
from tarazu.processes import OutOfMemory, RunFailed, Tell, in_own_process
from tarazu.record.progress import Progress
from tarazu.record.record import Event, Phase
from tarazu.work import Request, Work

MEMORY_EVENT = "memory"
LOST = "lost"
_GIB = 2**30


class Attempts:
    """The attempts at one run.

    Attributes:
        request: The run, as it is asked for now.
        events: What a reader of the record must know.
        lost: Time of the attempts that came to nothing, less what their checkpoints kept of it.
    """

    def __init__(self, request: Request, tell: Tell) -> None:
        self.request = request
        self.events: list[Event] = []
        self.lost: Phase | None = None
        self._tell = tell

    @property
    def measured(self) -> dict[str, Phase]:
        """What the lost attempts took; empty when there were none."""
        return {LOST: self.lost} if self.lost is not None else {}

    def make(self, work: Callable[[Request, Tell], Work], *, merged: bool = False) -> Work:
        """Do a part of the run in a process, with less and less at a time until it fits.

        Args:
            work: Does it.
            merged: Whether it is a merged model that answers.

        Raises:
            RunFailed: Not even the least fits, or it failed for another reason.
        """
        while True:
            phase = ""

            def heard(progress: Progress) -> None:
                nonlocal phase
                phase = progress.phase
                self._tell(progress)

            start, kept = time.perf_counter(), self._kept()
            try:
                return work(self.request, heard)
            except OutOfMemory as error:
                seconds = time.perf_counter() - start - (self._kept() - kept)
                self._lose(max(seconds, 0.0))
                self._ask_for_less(phase, error, merged)

    def _kept(self) -> float:
        checkpoints = self.request.checkpoints
        return checkpoints.seconds() if checkpoints is not None else 0.0

    def _lose(self, seconds: float) -> None:
        # Not their memory: what a run takes is what it took when it fitted.
        self.lost = self.lost or Phase()
        self.lost.seconds += seconds

    def _ask_for_less(self, phase: str, error: OutOfMemory, merged: bool) -> None:
        told = self._less(phase)
        if told is None:
            raise RunFailed(self._too_much(phase, error, merged), error.details)
        message = f"memory ran out in phase '{phase}' ({error.reason}): made again with {told}"
        self.events.append(Event(kind=MEMORY_EVENT, message=message))

    def _less(self, phase: str) -> str | None:
        """Ask for less than before and say for what; None where there is nothing less."""
        request = self.request
        if request.info is None:
            return None
        if phase == "train":
            rows = request.micro_batch_size
            if rows > 1:
                self.request = replace(request, fewer_rows=rows // 2)
                return (
                    f"micro-batches of {rows // 2} rows, not {rows}; every update has the same "
                    "batch"
                )
            if not request.recompute:
                self.request = replace(request, recompute=True)
                return (
                    "activations computed again in the backward pass, not kept; the gradients are "
                    "the same, and an update takes longer"
                )
        elif phase in ("validate", "evaluate") and (rows := request.eval_batch_size) > 1:
            self.request = replace(request, fewer_answers=rows // 2)
            return (
                f"evaluation batches of {rows // 2} rows, not {rows}; items stand in other batches "
                "than they would, so scores may differ by rounding"
            )
        return None

    def _too_much(self, phase: str, error: OutOfMemory, merged: bool) -> str:
        at_once = ""
        if self.request.info is not None and phase in ("train", "validate", "evaluate"):
            at_once = " with 1 row at a time"
            if phase == "train":
                at_once += " and recomputed activations"
        # The need comes first: notes below a table are cut.
        return (
            f"memory ran out in phase '{phase}'{at_once}: it needs {self._needs(phase, merged)}; "
            f"it had {error.peak / _GIB:.2f} GiB, and {error.free / _GIB:.2f} GiB were free "
            f"afterwards ({error.reason})"
        )

    def _needs(self, phase: str, merged: bool) -> str:
        if self.request.info is not None:
            # In a process, since there may be no memory for this either: then it is left out.
            with suppress(RunFailed, BadInput):
                return str(in_own_process(needed, self.request, phase, merged, tell=self._tell))
        return "more than it had"
