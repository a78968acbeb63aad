"""How long still: estimates from what was done so far."""

from __future__ import annotations

from collections.abc import Sequence

from tarazu.record.progress import PlannedRun, Progress

# Loading and fetching say nothing about how fast a run computes.
_TELLING_PHASES = ("train", "evaluate")
_ENOUGH = 0.05


class Remaining:
    """Estimates the remaining time of a study and of the phase it is in.

    Work units of finished runs and the time they took give a rate. Until a run is finished, the
    rate comes from how far the current run's phase is, which is rough.

    Args:
        runs: All runs of the plan.
    """

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        self._work = [0.0 if run.finished else max(run.work, 0.0) for run in runs]
        self._begun = [run.begun for run in runs]
        self._open = dict.fromkeys(index for index, run in enumerate(runs) if not run.finished)
        self._done_work = 0.0
        self._done_seconds = 0.0
        self._current: int | None = None
        self._run_start = 0.0
        self._phase = ""
        self._phase_start = 0.0
        self._phase_first = 0
        self._progress = Progress("")
        self._trains = False

    def start(self, index: int, now: float) -> None:
        """Note that a run begins."""
        self._current, self._run_start = index, now
        self._phase, self._progress, self._trains = "", Progress(""), False

    def advance(self, progress: Progress, now: float) -> None:
        """Note how far the current run is."""
        unknown = self._progress.total == 0  # until now it was only said which phase it is
        if progress.phase != self._phase or progress.done < self._progress.done or unknown:
            self._phase, self._phase_start = progress.phase, now
            # A phase that is continued from a checkpoint begins in its middle.
            self._phase_first = progress.done
        if progress.phase == "train" and progress.total > 0 and not self._trains:
            self._trains = True
            self._leave_out(progress.done / progress.total)
        self._progress = progress

    def _leave_out(self, share: float) -> None:
        """Take from the current run's work what was done before it was taken up."""
        if self._current is not None:
            planned = 1.0 - self._begun[self._current]
            self._work[self._current] *= (1.0 - share) / planned

    def finish(self, index: int, now: float) -> None:
        """Note that a run is over."""
        if index == self._current:
            self._done_work += self._work[index]
            self._done_seconds += now - self._run_start
            self._current = None
        self._open.pop(index, None)

    def of_phase(self, now: float) -> float | None:
        """Return the seconds that the current phase still takes; None while unknown."""
        progress = self._progress
        made = progress.done - self._phase_first
        if made <= 0 or progress.total <= 0:
            return None
        return (now - self._phase_start) / made * max(progress.total - progress.done, 0)

    def of_study(self, now: float) -> float | None:
        """Return the seconds that the study still takes; None while unknown."""
        rate = self._rate(now)
        if rate is None:
            return None
        seconds = rate * sum(self._work[index] for index in self._open if index != self._current)
        if self._current is not None:
            expected = rate * self._work[self._current] - (now - self._run_start)
            seconds += max(expected, self.of_phase(now) or 0.0)
        return seconds

    def _rate(self, now: float) -> float | None:
        """Return seconds per unit of work."""
        if self._done_work > 0:
            return self._done_seconds / self._done_work
        work = self._work[self._current] if self._current is not None else 0.0
        left = self.of_phase(now)
        early = self._progress.done < _ENOUGH * self._progress.total
        if not work or left is None or early or self._phase not in _TELLING_PHASES:
            return None
        return (now - self._run_start + left) / work
