"""What the page is made from: records and what was computed from them, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tarazu.comparison.entries import EntryResult, current, entries, metric_order

if TYPE_CHECKING:
    import pyarrow as pa

    from tarazu.comparison.costs import Price
    from tarazu.comparison.outcomes import Outcomes
    from tarazu.comparison.result import Comparison
    from tarazu.comparison.sensitivity import EntryTuning
    from tarazu.comparison.sizes import LearningCurve
    from tarazu.record.record import RunRecord
    from tarazu.text import Text


@dataclass(frozen=True)
class Source:
    """Everything that the sections read.

    Attributes:
        records: All records of the folder, in the order of the study.
        study: The resolved study; empty when the folder has none.
        redacted: Whether the text of the data set is left out.
        items: The items of all splits; None when the folder has none.
        outcomes: Answers to the items of each test split.
        comparisons: The entries held against each other, for each split by its primary metric
            first.
        below: What stands below the table beside what the records say of themselves.
        analyses: What analyses of the failures say, as Markdown in the language of the page, by
            test split.
        curves: The entries at every training size; empty where there is one.
        price: Of the machine; None where the study states none.
        used: The final records that belong together.
        rows: The entries.
    """

    records: Sequence[RunRecord]
    study: Mapping[str, Any] = field(default_factory=dict)
    redacted: bool = False
    items: pa.Table | None = None
    outcomes: Sequence[Outcomes] = ()
    comparisons: Sequence[Comparison] = ()
    below: Sequence[Text] = ()
    analyses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    curves: Sequence[LearningCurve] = ()
    price: Price | None = None
    used: Sequence[RunRecord] = field(init=False)
    rows: Sequence[EntryResult] = field(init=False)

    def __post_init__(self) -> None:
        """Derive what every section needs."""
        object.__setattr__(self, "used", current(self.records))
        object.__setattr__(self, "rows", entries(self.records))

    def splits(self) -> list[str]:
        """Return the test splits, in order."""
        return list(dict.fromkeys(row.split for row in self.rows if row.split is not None))

    def finished(self, split: str) -> list[EntryResult]:
        """Return the entries with results on a split, each in the form that stands for it."""
        return [row for row in self.rows if row.split == split and row.primary and row.metrics]

    def metric(self, split: str) -> str | None:
        """Return the metric by which the entries of a split are compared."""
        names = {name for row in self.finished(split) for name in row.metrics}
        primary = self.used[0].primary_metric if self.used else ""
        return primary if primary in names else next(iter(metric_order(names)), None)

    def comparison(self, split: str) -> Comparison | None:
        """Return the comparison of a split's entries by the metric that `metric` names."""
        metric = self.metric(split)
        return next((c for c in self.comparisons if (c.split, c.metric) == (split, metric)), None)

    def named(self) -> dict[str, RunRecord]:
        """Return one record per entry, by the entry's name: its first finished run, or a failed."""
        found: dict[str, RunRecord] = {}
        for record in self.used:
            name = entry_name(record)
            if name not in found or (found[name].status == "failed" and record.status == "done"):
                found[name] = record
        return found


def entry_name(record: RunRecord | EntryTuning) -> str:
    """Return the name of an entry, with its model where the name does not say it."""
    known = record.model is None or record.entry.endswith(f"@{record.model}")
    return record.entry if known else f"{record.entry} ({record.model})"
