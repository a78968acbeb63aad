"""Records and answers → an interval for every entry at every training size."""

from __future__ import annotations

from collections.abc import Sequence

from tarazu.comparison.compare import compare
from tarazu.comparison.entries import every_size, train_rows
from tarazu.comparison.outcomes import read_outcomes
from tarazu.comparison.result import Interval
from tarazu.comparison.sizes import Place
from tarazu.record.record import RunRecord
from tarazu.record.spec import ComparisonSpec
from tarazu.record.store import Store


def size_intervals(store: Store, records: Sequence[RunRecord]) -> dict[Place, Interval]:
    """Return 95 % intervals of the primary metric, over items and seeds.

    Args:
        store: The folder of the records.
        records: All records of the study.

    Returns:
        By id of the entry, test split and training rows; none when the study has one size.

    Raises:
        BadInput: A file of the folder cannot be read.
    """
    kept = every_size(records)
    if not any(record.spec.train_sizes for record in kept):
        return {}
    found: dict[Place, Interval] = {}
    margin = ComparisonSpec().margin  # intervals of means do not depend on it
    for rows in sorted({train_rows(record) for record in kept}):
        sized = [record for record in kept if train_rows(record) == rows]
        for outcomes in read_outcomes(store, sized):
            intervals = compare(outcomes, margin).intervals
            found |= {(name, outcomes.split, rows): one for name, one in intervals.items()}
    return found
