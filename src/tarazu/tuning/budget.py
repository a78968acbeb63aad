"""A budget in seconds as a number of trials, the same for all entries."""

from __future__ import annotations

import math
from collections.abc import Mapping

MOST = 1000
"""No more trials than this, however long the time and however cheap the entries."""


def trials_for(seconds: float, measured: Mapping[str, float]) -> int:
    """Return how many trials of every entry fit into a time, one at least.

    Args:
        seconds: Time for all trials of the study together.
        measured: Seconds that one whole trial of each entry took. Pruning saves some of it, which
            is not counted on.
    """
    one = sum(measured.values())
    return min(max(math.floor(seconds / one), 1), MOST) if one else MOST
