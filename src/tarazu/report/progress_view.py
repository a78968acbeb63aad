"""What a running study shows: live in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tarazu.comparison.entries import metric_order, primary_results
from tarazu.comparison.spread import Spread
from tarazu.record.progress import STOPPING, WARNING, PlannedRun, Progress
from tarazu.report.numbers import NOTHING, duration, percent
from tarazu.report.plain import one_line, shorten
from tarazu.report.remaining import Remaining
from tarazu.scrub import scrub

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord

LOG_EVERY = 15.0
"""Seconds between two lines about the same run in a log."""
_REASON_LENGTH = 200
Clock = Callable[[], float]


class ProgressView:
    """A listener that shows what runs, how far it is and how long it still takes.

    Use it as a context manager, so that the terminal is restored whatever happens.

    Args:
        console: Where to show it. Without a terminal behind it, plain lines are written.
        clock: Seconds that only ever grow.
    """

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._begun = clock()
        self._runs: list[PlannedRun] = []
        self._remaining = Remaining([])
        self._over = 0
        self._current: int | None = None
        self._progress = Progress("")
        self._last_line = self._begun
        self._run_begun = self._begun
        live = console.is_terminal and not console.is_dumb_terminal
        self._live = (
            Live(get_renderable=self._render, console=console, transient=True) if live else None
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the terminal."""
        if self._live is not None:
            self._live.stop()

    def planned(self, runs: list[PlannedRun]) -> None:
        """Note the plan."""
        self._runs, self._over = list(runs), 0
        self._remaining = Remaining(runs)
        done = sum(run.finished for run in runs)
        skipped = f", {done} already done" if done else ""
        trials = sum(run.stage == "trial" for run in runs)
        of_tuning = f", {trials} of them trials" if trials else ""
        self._say(f"{len(runs)} runs planned{of_tuning}{skipped}")

    def started(self, index: int) -> None:
        """Show the run that has begun."""
        self._current = index
        self._progress = Progress("start")
        self._run_begun = self._last_line = self._clock()
        self._remaining.start(index, self._run_begun)
        if self._live is None:
            self._say(f"▶ {self._label(index)} · run {index + 1} of {len(self._runs)}")

    def progress(self, index: int, progress: Progress) -> None:
        """Show how far the run is."""
        now = self._clock()
        self._progress = progress
        self._remaining.advance(progress, now)
        if self._live is None and progress == STOPPING:
            self._say(f"  {self._label(index)} · {progress.detail}")
        elif self._live is None and now - self._last_line >= LOG_EVERY:
            self._last_line = now
            self._say(f"  {self._label(index)} · {self._state(now)}")

    def finished(self, index: int, record: RunRecord) -> None:
        """Leave one line about the run."""
        now = self._clock()
        self._remaining.finish(index, now)
        self._over += 1
        # Nothing began where another entry, or a trial, has made the same run.
        skipped = index != self._current
        self._current = None
        self._say(self._outcome(index, record, now, skipped), _style(record, skipped))

    def dropped(self, index: int) -> None:
        """Count a run that will not be made."""
        self._remaining.finish(index, self._clock())
        self._over += 1

    def note(self, message: str) -> None:
        """Leave a line."""
        self._say(f"· {one_line(message)}", "yellow" if message.startswith(WARNING) else "dim")

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(scrub(line), style=style), soft_wrap=True)

    def _label(self, index: int) -> str:
        return one_line(self._runs[index].label) if index < len(self._runs) else f"run {index + 1}"

    def _outcome(self, index: int, record: RunRecord, now: float, skipped: bool) -> str:
        label = self._label(index)
        if record.status == "failed":
            reason = shorten(record.error or "no reason recorded", _REASON_LENGTH)
            return f"✗ {label} · {reason}"
        if skipped:
            return f"= {label} · {_score(record)} · already done"
        return f"✓ {label} · {_score(record)} · {duration(now - self._run_begun)}"

    def _state(self, now: float) -> str:
        """Return phase, share, detail and remaining time of the current run."""
        progress = self._progress
        share = f" {progress.done / progress.total:.0%}" if progress.total > 0 else ""
        parts = [f"{one_line(progress.phase)}{share}"]
        if progress.detail:
            parts.append(one_line(progress.detail))
        parts.append(f"phase {_left(self._remaining.of_phase(now))}")
        parts.append(f"study {_left(self._remaining.of_study(now))}")
        return " · ".join(parts)

    def _render(self) -> RenderableType:
        now = self._clock()
        grid = Table.grid(padding=(0, 1))
        # The words may wrap or be cut; bars and numbers keep their width.
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        grid.add_column(width=20)
        grid.add_column(no_wrap=True, justify="right")
        elapsed = duration(now - self._begun)
        whole = (
            f"{self._over}/{len(self._runs)} · {elapsed} · {_left(self._remaining.of_study(now))}"
        )
        bar = ProgressBar(total=max(len(self._runs), 1), completed=self._over)
        grid.add_row(Text("study", style="bold"), bar, Text(whole))
        if self._current is None:
            return Group(grid)
        progress = self._progress
        words = " · ".join(
            text for text in (self._label(self._current), one_line(progress.phase)) if text
        )
        known = progress.total > 0
        counted = f"{progress.done:,}/{progress.total:,} · " if known else ""
        bar = ProgressBar(
            total=progress.total if known else None,
            completed=progress.done,
            pulse=not known,
            animation_time=now,
        )
        left = _left(self._remaining.of_phase(now)) if known else duration(now - self._run_begun)
        grid.add_row(Text(words), bar, Text(f"{counted}{left}"))
        return Group(grid, Text(f"  {one_line(progress.detail)}", style="dim", no_wrap=True))


def _left(seconds: float | None) -> str:
    return "time left unknown" if seconds is None else f"about {duration(seconds)} left"


def _style(record: RunRecord, skipped: bool) -> str:
    if record.status == "failed":
        return "red"
    return "dim" if skipped else "green"


def _score(record: RunRecord) -> str:
    """Return the leading metric of a run on its first split."""
    results = primary_results(record)
    names = metric_order(results[0].metrics) if results else []
    if not names:
        return NOTHING
    score = f"{one_line(names[0])} {percent(Spread(results[0].metrics[names[0]], None))}"
    return f"validation {score}" if record.stage == "trial" else score
