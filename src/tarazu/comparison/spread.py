"""A mean over seeds and its spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and its spread.

    Attributes:
        mean: Mean over the seeds.
        sd: Sample standard deviation over the seeds; None with one seed, which shows no spread.
    """

    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Compute mean and sample standard deviation.

        Args:
            values: One value per seed, at least one.
        """
        # stdev works in exact fractions and cannot take NaN.
        finite = all(math.isfinite(value) for value in values)
        sd = (stdev(values) if finite else math.nan) if len(values) > 1 else None
        return cls(fmean(values), sd)
