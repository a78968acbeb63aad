"""Meters for time, tokens and peak memory, per phase, of this process."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tarazu.record.record import Phase

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Forget the peak so far, so that the next phase shows its own (trap T38).

    A card that this process has not used has no peak, and is not asked: the question would take a
    context of some hundred MB on it, and fail where the card cannot be had.
    """
    with suppress(OSError):  # not Linux, or not allowed: the peak is then the process's so far
        _CLEAR.write_text("5")
    if (cuda := _cuda_in_use()) is not None:
        # What the allocator holds of the phase before is no need of the next one.
        cuda.empty_cache()
        cuda.reset_peak_memory_stats()


def _cuda_in_use() -> Any | None:
    """Return `torch.cuda` where this process has begun to use a card; to ask begins nothing."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def peak_resident() -> int:
    """Return the peak resident memory in bytes."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Meters:
    """Measurements by phase.

    A phase may stand within another (validation within training). The peak is the process's, so it
    is noted for the outer phase before it is reset for the inner one, and the other way round.
    """

    def __init__(self) -> None:
        self.phases: dict[str, Phase] = {}
        self._running: list[Phase] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Measure a phase; entered again, times and tokens add up and peaks are the larger ones.

        Args:
            name: Such as ``load``, ``train``, ``evaluate``.

        Yields:
            The phase, whose `tokens` the caller sets.
        """
        phase = self.phases.setdefault(name, Phase())
        self._note_peak()
        self._running.append(phase)
        start = time.perf_counter()
        try:
            yield phase
        finally:
            phase.seconds += time.perf_counter() - start
            self._note_peak()
            self._running.pop()

    def _note_peak(self) -> None:
        """Give the peak so far to the innermost phase, and forget it."""
        if self._running:
            phase = self._running[-1]
            phase.rss = max(phase.rss, peak_resident())
            if (cuda := _cuda_in_use()) is not None:
                phase.allocated = max(phase.allocated, cuda.max_memory_allocated())
                phase.reserved = max(phase.reserved, cuda.max_memory_reserved())
        reset_peak()
