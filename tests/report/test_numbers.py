from __future__ import annotations

import math

import pytest

from tarazu.comparison.spread import Spread
from tarazu.report.numbers import duration, loss, percent, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"),
        (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (3720, "1 h 02 min"), (None, "–"),
        (math.nan, "–"),
    ],
)  # fmt: skip
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1_184_268, "1.2 MB"), (999_600, "1.0 MB"), (16e9, "16.0 GB"),
     (2_500_000_000_000, "2.5 TB"), (None, "–")],
)  # fmt: skip
def test_size(count, text):
    assert size(count if count is None else int(count)) == text


def test_percent():
    assert percent(Spread.of([0.713])) == "71.3"
    assert percent(Spread.of([0.70, 0.74])) == "72.0 ± 2.8"
    assert percent(Spread.of([math.nan, 0.5])) == "–"
    assert percent(None) == "–"


def test_loss():
    assert (loss(0.5), loss(None), loss(math.nan), loss(1e12)) == ("0.5000", "–", "nan", "1e+12")
