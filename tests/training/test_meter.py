from __future__ import annotations

import time
from pathlib import Path

import pytest

from tarazu.training.meter import Meters, peak_resident


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


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peak memory can be reset on Linux only"
)
def test_t38_each_phase_shows_its_own_peak() -> None:
    meters = Meters()
    with meters.phase("large"):
        block = bytearray(b"x") * 200_000_000
        del block
    with meters.phase("small"):
        pass
    large, small = meters.phases["large"].rss, meters.phases["small"].rss
    assert large - small > 150_000_000
    assert peak_resident() < large
