from __future__ import annotations

import mmap
import time
from pathlib import Path

import pytest
import torch

from tarazu.training.meter import Meters, peak_resident

linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peak memory can be reset on Linux only"
)


def touch(size: int) -> None:
    """Have so many bytes of memory for a moment, which the allocator cannot keep."""
    with mmap.mmap(-1, size) as block:
        for place in range(0, size, mmap.PAGESIZE):
            block[place] = 1


def test_a_phase_entered_again_adds_up() -> None:
    meters = Meters()
    for _ in range(2):
        with meters.phase("train") as phase:
            phase.tokens += 5
            time.sleep(0.01)
    found = meters.phases["train"]
    assert found.tokens == 10
    assert 0.02 <= found.seconds < 2
    assert found.rss > 10_000_000


def test_a_failing_phase_is_measured_all_the_same() -> None:
    meters = Meters()
    with pytest.raises(KeyError), meters.phase("load"):
        raise KeyError("broken")
    assert meters.phases["load"].seconds > 0


@linux
def test_t38_each_phase_shows_its_own_peak() -> None:
    meters = Meters()
    with meters.phase("large"):
        touch(200_000_000)
    with meters.phase("small"):
        pass
    large, small = meters.phases["large"].rss, meters.phases["small"].rss
    assert large - small > 150_000_000
    assert peak_resident() < large


@linux
@pytest.mark.parametrize("where", ["before", "within", "after"])
def test_t38_a_phase_within_another_neither_hides_nor_adds_to_its_peak(where: str) -> None:
    """Validation stands within training: its reset must not forget what training took."""
    meters = Meters()

    def here(place: str) -> None:
        if place == where:
            touch(200_000_000)

    with meters.phase("train"):
        here("before")
        with meters.phase("validate"):
            here("within")
        here("after")
    train, validate = meters.phases["train"].rss, meters.phases["validate"].rss
    larger, smaller = (validate, train) if where == "within" else (train, validate)
    assert larger - smaller > 150_000_000


class Card:
    """A card that remembers its peak, as CUDA's allocator does."""

    now, peak = 100, 900

    def take(self, size: int) -> None:
        self.peak = max(self.peak, self.now + size)

    def reset(self) -> None:
        self.peak = self.now


def test_t38_peaks_of_a_card_are_reset_too(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", card.reset)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: card.peak)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 2 * card.peak)
    meters = Meters()
    with meters.phase("train"):
        card.take(50)
        with meters.phase("validate"):
            card.take(7)
        card.take(30)
    with meters.phase("evaluate"):
        card.take(5)
    found = {name: (phase.allocated, phase.reserved) for name, phase in meters.phases.items()}
    assert found == {"train": (150, 300), "validate": (107, 214), "evaluate": (105, 210)}


def test_a_card_that_is_not_used_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a run on the CPU would take memory of the card, and fail where the card does."""

    def ask() -> int:
        raise AssertionError("the card was asked")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    for name in ("reset_peak_memory_stats", "max_memory_allocated", "max_memory_reserved"):
        monkeypatch.setattr(torch.cuda, name, ask)
    meters = Meters()
    with meters.phase("train"):
        pass
    assert (meters.phases["train"].allocated, meters.phases["train"].reserved) == (0, 0)
