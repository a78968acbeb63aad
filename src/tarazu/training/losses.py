"""Losses of updates: on an accelerator they are read rarely, because reading waits for its work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

INTERVAL = 0.5  # seconds between two readings: progress is not shown more often


@dataclass(frozen=True)
class Update:
    """An update that was made.

    Attributes:
        done: Updates made, this one included.
        epoch: Its epoch.
        batch: Indices of its examples.
        terms: Terms of its loss.
        rates: Learning rates of its groups of parameters.
        loss: Summed over its terms, a scalar on the device.
    """

    done: int
    epoch: int
    batch: list[int]
    terms: int
    rates: Sequence[float]
    loss: Tensor


class Losses:
    """Updates whose losses are not read yet.

    Args:
        late: Whether the device works on its own while the host goes on. On a CPU nothing is won by
            waiting, and every loss is due at once.
    """

    def __init__(self, *, late: bool) -> None:
        self._late = late
        self._unread: list[Update] = []
        self._last = time.monotonic()

    def add(self, update: Update) -> None:
        """Remember an update."""
        self._unread.append(update)

    def due(self) -> bool:
        """Say whether it is time to read them."""
        return not self._late or time.monotonic() - self._last >= INTERVAL

    def read(self) -> Iterator[tuple[Update, float]]:
        """Yield the updates since the last reading in their order, each with its loss."""
        updates, self._unread = self._unread, []
        if not updates:
            return
        values = torch.stack([one.loss for one in updates]).tolist()  # one transfer for all
        self._last = time.monotonic()
        yield from zip(updates, values, strict=True)
