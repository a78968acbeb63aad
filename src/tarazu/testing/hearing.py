"""A listener for tests: what a study said while it ran."""

from __future__ import annotations

from collections.abc import Sequence

from tarazu.record.progress import PlannedRun, Silent


class Heard(Silent):
    """Keeps what it hears.

    Attributes:
        runs: What was planned.
        began: The entries whose runs began, in order.
        notes: What was noted.
    """

    def __init__(self) -> None:
        self.runs: Sequence[PlannedRun] = []
        self.began: list[str] = []
        self.notes: list[str] = []

    def planned(self, runs: list[PlannedRun]) -> None:
        """Keep the plan."""
        self.runs = runs

    def started(self, index: int) -> None:
        """Keep which run began."""
        self.began.append(self.runs[index].entry)

    def note(self, message: str) -> None:
        """Keep a note."""
        self.notes.append(message)
