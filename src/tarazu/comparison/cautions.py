"""What makes the figures of a comparison weak, in words."""

from __future__ import annotations

from collections.abc import Mapping

from tarazu.comparison.crossed import Clusters, Sample
from tarazu.text import Text, isolated

# With no more groups than this an interval is wide, and simulation shows its level to be rough: a
# little above 97 % instead of 95 % with three seeds (docs/results/calibration.md).
_FEW_GROUPS = 30


def cautions(clusters: Clusters, samples: Mapping[str, Sample], *, fewest: int) -> tuple[Text, ...]:
    """Return what a reader must know before trusting the intervals.

    Args:
        clusters: The groups of the test items.
        samples: The entries that are compared.
        fewest: Below so many groups there are no intervals.
    """
    found = []
    if clusters.count < fewest:
        found.append(
            Text(
                f"No intervals and no tests: the test items come from {clusters.count} groups, "
                f"and fewer than {fewest} say nothing about others.",
                f"بازه و آزمونی در کار نیست: نمونه‌های آزمون از {clusters.count} گروه می‌آیند و "
                f"کمتر از {fewest} گروه دربارهٔ بقیه چیزی نمی‌گوید.",
            )
        )
    elif clusters.count <= _FEW_GROUPS:
        found.append(
            Text(
                f"The test items come from {clusters.count} groups only (no more than "
                f"{_FEW_GROUPS}): the intervals are wide and their level is rough.",
                f"نمونه‌های آزمون تنها از {clusters.count} گروه می‌آیند (نه بیش از {_FEW_GROUPS}): "
                "بازه‌ها پهن‌اند و سطحشان تقریبی است.",
            )
        )
    single = [name for name, sample in samples.items() if not sample.seeds_known]
    if single:
        every = len(single) == len(samples)
        names = (
            Text("all entries", "همهٔ روش‌ها")
            if every
            else Text(", ".join(single), "، ".join(map(isolated, single)))
        )
        found.append(
            Text(
                f"One seed only: {names.en}. Intervals and tests cover the choice of test items, "
                "not the luck of the seed.",
                f"تنها یک بذر: {names.fa}. بازه‌ها و آزمون‌ها فقط انتخاب نمونه‌های آزمون را "
                "در بر می‌گیرند، نه بخت بذر را.",
            )
        )
    return tuple(found)
