"""What a running study says while it runs; the command line and notebooks listen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from tarazu.record.record import RunRecord


@dataclass(frozen=True)
class PlannedRun:
    """A run that the study asks for.

    Attributes:
        label: Entry, model and seed for people, such as ``lora@minilm · seed 0``.
        entry: Id of the entry.
        finished: Already done with the same content key: it will be skipped.
        work: Rough cost in arbitrary units, for the remaining time of the whole study.
        stage: A trial of tuning, or a final run.
        key: Content key; empty while tuning has not yet settled which run it will be.
        begun: Share of its updates that a lower rung has made by then.
    """

    label: str
    entry: str
    finished: bool
    work: float
    stage: Literal["trial", "final"] = "final"
    key: str = ""
    begun: float = 0.0


@dataclass(frozen=True)
class Progress:
    """How far the current run is.

    Attributes:
        phase: ``fetch``, ``load``, ``train``, ``validate``, ``evaluate``, ``merge``, ``stop``.
        done: Units done in this phase.
        total: Units of this phase; 0 when unknown.
        detail: A few words, such as ``epoch 2/3 · loss 0.91``.
    """

    phase: str
    done: int = 0
    total: int = 0
    detail: str = ""


WARNING = "Warning: "
"""How a note begins that tells of a fault rather than of a fact."""
STOPPING = Progress("stop", detail="stopping where it can go on; a second Ctrl-C stops at once")


class Listener(Protocol):
    """Hears what happens. All calls come from the study's own thread."""

    def planned(self, runs: list[PlannedRun]) -> None:
        """All runs of the study, in the order in which they will be made.

        Called a second time when a budget in seconds has been turned into a number of trials.
        """

    def started(self, index: int) -> None:
        """Run number `index` of the plan has begun."""

    def progress(self, index: int, progress: Progress) -> None:
        """Run number `index` is at this point."""

    def finished(self, index: int, record: RunRecord) -> None:
        """Run number `index` is done or failed; skipped runs come here too."""

    def dropped(self, index: int) -> None:
        """Run number `index` of the plan will not be made: too few trials came so far."""

    def note(self, message: str) -> None:
        """Something worth a line, such as leakage between splits or a download."""


class Silent:
    """A listener that hears nothing."""

    def planned(self, runs: list[PlannedRun]) -> None:
        """Ignore."""

    def started(self, index: int) -> None:
        """Ignore."""

    def progress(self, index: int, progress: Progress) -> None:
        """Ignore."""

    def finished(self, index: int, record: RunRecord) -> None:
        """Ignore."""

    def dropped(self, index: int) -> None:
        """Ignore."""

    def note(self, message: str) -> None:
        """Ignore."""
