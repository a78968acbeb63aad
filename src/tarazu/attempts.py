"""Making a run again with less at a time where memory ran out.

Fewer rows first, activations computed again only when one row does not fit: see
`docs/design/accelerator.md`. The settings of the run stay what was asked for, and so does its
content key: the effective batch is the same, and an event tells what was used. Such a run need not
be equal to the last bit.

What was settled on holds for other seeds, trials and entries of the same shape, which would find
out the same. It is noted beside the checkpoints, too, so that a command that goes on begins with
it.

Where the system kills the whole command, nobody is left to ask for less; a command that has died
at the very same place again and again is taken for one without memory by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace

from tarazu.errors import BadInput
from tarazu.needs import needed
from tarazu.processes import OutOfMemory, RunFailed, Tell, in_own_process
from tarazu.record.attempted import Attempted, Notes
from tarazu.record.memory_limits import Fitted, MemoryLimits
from tarazu.record.progress import Progress
from tarazu.record.record import Event, Phase
from tarazu.work import Partial, Request, Work

MEMORY_EVENT = "memory"
LOST = "lost"
CUTS = 4
"""Deaths of the whole command at one place, in a row, that are taken for a lack of memory. Machines
that are taken away at any time hardly ever are at the same update each time."""
_GIB = 2**30


class Attempts:
    """The attempts at one run.

    Attributes:
        request: The run, as it is asked for now.
        events: What a reader of the record must know.
        partial: The result of the last attempt as far as it came, where that stands for itself.
    """

    def __init__(self, request: Request, tell: Tell, limits: MemoryLimits | None = None) -> None:
        self.request = request
        self._limits = limits if limits is not None else MemoryLimits()
        self.events: list[Event] = []
        self.partial: Work | None = None
        self._partial_at = 0.0  # when it came
        self._spent = 0.0  # seconds of attempts that came to nothing
        self._kept = 0.0  # of these, what checkpoints kept for the next one
        self._tell = tell
        checkpoints = request.checkpoints
        self._notes = (
            Notes(checkpoints.folder, checkpoints.made_by)
            if checkpoints is not None and request.info is not None
            else None
        )
        self._taken_up = False

    def measured(self, *, failed: bool) -> dict[str, Phase]:
        """Return the time of the attempts that came to nothing, as a phase; nothing without any.

        Not their memory: what a run takes is what it took when it fitted.

        Args:
            failed: Whether the run failed. Then nothing went on to an end from what checkpoints
                kept, and that time counts, too.
        """
        lost = self._spent if failed else self._spent - self._kept
        return {LOST: Phase(seconds=lost)} if self._spent else {}

    def make(self, work: Callable[[Request, Tell], Work], *, merged: bool = False) -> Work:
        """Do a part of the run in a process, with less and less at a time until it fits.

        Args:
            work: Does it.
            merged: Whether it is a merged model that answers.

        Raises:
            RunFailed: Not even the least fits, or it failed for another reason.
        """
        self._take_up(merged)
        self._begin_with_known_limits(merged)
        while True:
            phase = ""

            def heard(progress: Progress) -> None:
                nonlocal phase
                phase = progress.phase
                if isinstance(progress, Partial):
                    self.partial, self._partial_at = progress.work, time.perf_counter()
                    progress = Progress(phase, detail=progress.detail)
                if self._notes is not None:
                    self._notes.at(progress)
                self._tell(progress)

            self.partial = None
            start, kept = time.perf_counter(), self._in_checkpoints()
            try:
                with self._notes.traced() if self._notes is not None else nullcontext():
                    result = work(self.request, heard)
                self._note_limits(merged)
                return result
            except (RunFailed, BadInput) as error:
                # What stands in a result that is kept is not lost.
                lost_from = start if self.partial is None else self._partial_at
                seconds = time.perf_counter() - lost_from
                self._spent += seconds
                if self.partial is not None:
                    self._note_limits(merged)
                if not isinstance(error, OutOfMemory):
                    raise
                self._kept += min(max(self._in_checkpoints() - kept, 0.0), seconds)
                self._ask_for_less(phase, error, merged)

    def _take_up(self, merged: bool) -> None:
        """Begin with what attempts of earlier commands came to."""
        if self._notes is None:
            return
        self._notes.part += 1
        if self._taken_up:
            return
        self._taken_up = True
        before, where = self._notes.read(), self._notes.cut_off_at()
        self.request = replace(
            self.request,
            fewer_rows=before.rows,
            fewer_answers=before.answers,
            recompute=before.recompute,
        )
        self.events += [Event(kind=MEMORY_EVENT, message=message) for message in before.told]
        if not where:
            return
        cuts = before.cuts + 1 if where == before.cut_at else 1
        if cuts < CUTS:
            self._notes.write(replace(before, cut_at=where, cuts=cuts))
            return
        reason = f"so it seems: the whole command was killed {cuts} times at the same place"
        phase = where.partition(" ")[0]
        if phase == "merge":  # the run is complete without, and nothing smaller can be asked for
            self._notes.write(replace(before, cut_at=where, cuts=cuts))
            self.request = replace(self.request, variants_given_up=reason)
        else:
            self._ask_for_less(phase, OutOfMemory(reason), merged)

    def _begin_with_known_limits(self, merged: bool) -> None:
        """Ask for no more than fitted for an earlier run of this shape, and say so."""
        if self.request.info is None:
            return
        known = self._limits.of(self.request.spec, merged=merged)
        if known == Fitted():
            return
        before = self._fitted()
        self.request = replace(
            self.request,
            fewer_rows=_smaller(before.rows, known.rows),
            fewer_answers=_smaller(before.answers, known.answers),
            recompute=before.recompute or known.recompute,
        )
        if (now := self._fitted()) == before:
            return
        told = [f"micro-batches of {now.rows} rows"] if now.rows != before.rows else []
        if now.answers != before.answers:
            told.append(f"evaluation batches of {now.answers} rows")
        if now.recompute and not before.recompute:
            told.append("activations computed again")
        message = f"memory ran out for an earlier run of this shape: begun with {', '.join(told)}"
        self.events.append(Event(kind=MEMORY_EVENT, message=message))

    def _note_limits(self, merged: bool) -> None:
        if self.request.info is not None:
            self._limits.note(self.request.spec, self._fitted(), merged=merged)

    def _fitted(self) -> Fitted:
        request = self.request
        return Fitted(request.fewer_rows, request.fewer_answers, request.recompute)

    def _in_checkpoints(self) -> float:
        checkpoints = self.request.checkpoints
        return checkpoints.seconds() if checkpoints is not None else 0.0

    def _ask_for_less(self, phase: str, error: OutOfMemory, merged: bool) -> None:
        told = self._less(phase)
        if told is None:
            if self._notes is not None:
                self._notes.forget()  # another time there may be more
            raise RunFailed(self._too_much(phase, error, merged), error.details)
        message = f"memory ran out in phase '{phase}' ({error.reason}): made again with {told}"
        self.events.append(Event(kind=MEMORY_EVENT, message=message))
        if self._notes is not None:
            now, said = self.request, tuple(event.message for event in self.events)
            less = Attempted(now.fewer_rows, now.fewer_answers, now.recompute, said)
            self._notes.write(less)

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
        had = ""
        if error.peak:  # else the whole command was killed, and nobody looked
            peak, free = error.peak / _GIB, error.free / _GIB
            had = f"; it had {peak:.2f} GiB, and {free:.2f} GiB were free afterwards"
        # The need comes first: notes below a table are cut.
        return (
            f"memory ran out in phase '{phase}'{at_once}: it needs {self._needs(phase, merged)}"
            f"{had} ({error.reason})"
        )

    def _needs(self, phase: str, merged: bool) -> str:
        if self.request.info is not None:
            # In a process, since there may be no memory for this either: then it is left out.
            with suppress(RunFailed, BadInput):
                return str(in_own_process(needed, self.request, phase, merged, tell=self._tell))
        return "more than it had"


def _smaller(one: int | None, other: int | None) -> int | None:
    """Return the smaller of two sizes; None is no limit."""
    sizes = [size for size in (one, other) if size is not None]
    return min(sizes) if sizes else None
