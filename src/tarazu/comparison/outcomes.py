"""Records → per-item scores: what every comparison starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tarazu.comparison.entries import EntryResult, entries, leading_metric
from tarazu.record.record import RunRecord
from tarazu.record.store import Store

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What one entry answered, over its seeds.

    Attributes:
        id: The entry's id as the report shows it.
        seeds: Seeds of the runs, in order.
        seeded: Whether another seed could give another answer.
        predicted: Answers, seeds × items; None where a text could not be read as one.
        raw: Texts as generated, seeds × items.
        scores: Per-label scores (log-probabilities), seeds × items × labels; None without them.
        metrics: Per-item metrics by name, each seeds × items, in 0 … 1.
        primary: Whether this form of the model stands for the entry in the comparison.
    """

    id: str
    seeds: tuple[int, ...]
    seeded: bool
    predicted: NDArray[np.object_]
    raw: NDArray[np.object_]
    scores: Scores | None
    metrics: Mapping[str, Scores]
    primary: bool = True


@dataclass(frozen=True)
class Outcomes:
    """The answers of all entries to the items of one test split.

    Attributes:
        split: Name of the split.
        primary_metric: The per-item metric by which methods are compared.
        labels: The task's labels; empty when answers are spans.
        item_ids: Ids, one per item.
        groups: Number of each item's group (0 … groups − 1): the unit of resampling.
        gold: Right answers of each item.
        slices: Values by name, one per item; None where an item has none.
        texts: Texts by field name, one per item; empty in a redacted study.
        entries: Answers by entry; all have the same items in the same order.
        left_out: Ids of entries that were scored on other items.
    """

    split: str
    primary_metric: str
    labels: tuple[str, ...]
    item_ids: tuple[str, ...]
    groups: NDArray[np.int64]
    gold: tuple[tuple[str, ...], ...]
    slices: Mapping[str, tuple[str | None, ...]]
    texts: Mapping[str, tuple[str, ...]]
    entries: tuple[Answers, ...]
    left_out: tuple[str, ...] = ()

    def entry(self, name: str) -> Answers:
        """Return the answers of one entry.

        Raises:
            KeyError: There is no such entry.
        """
        for answers in self.entries:
            if answers.id == name:
                return answers
        raise KeyError(name)


def read_outcomes(store: Store, records: Sequence[RunRecord]) -> list[Outcomes]:
    """Read what all entries of a study answered.

    Args:
        store: The folder of the records.
        records: Its records.

    Returns:
        One value per test split whose items are kept, with every entry that was scored on the same
        items. Where entries were scored on different items of a split, the items of the most
        entries are taken. The other entries, and those without an answer to each item, are named
        in `Outcomes.left_out`.

    Raises:
        BadInput: A file of the folder cannot be read.
    """
    by_key = {(record.entry, record.key): record for record in records}
    reader = _Reader(store)
    shown = [row for row in entries(records) if row.seeds]
    found = [
        reader.split(name, [row for row in shown if row.split == name], by_key)
        for name in dict.fromkeys(row.split for row in shown)
        if name is not None
    ]
    return [outcomes for outcomes in found if outcomes is not None]


class _Reader:
    """Reads each file once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tables: dict[tuple[str, str], pa.Table] = {}

    def split(
        self,
        name: str,
        rows: Sequence[EntryResult],
        by_key: Mapping[tuple[str, str], RunRecord],
    ) -> Outcomes | None:
        runs = {row.id: [by_key[row.entry, key] for key in row.keys] for row in rows}
        hashes = Counter(_test_hash(found[0], name) for found in runs.values())
        chosen = hashes.most_common(1)[0][0]
        same = [row for row in rows if _test_hash(runs[row.id][0], name) == chosen]
        first = runs[same[0].id][0]
        if not self._store.has_items(first):
            return None
        items = _of_split(self._store.read_items(first), name)
        ids = items.column("item_id").to_pylist()
        kept = [row for row in same if self._complete(row, runs[row.id], name, ids)]
        _, groups = np.unique(np.array(items.column("group_id").to_pylist()), return_inverse=True)
        return Outcomes(
            split=name,
            primary_metric=leading_metric(first, same[0].metrics),
            labels=tuple(first.labels),
            item_ids=tuple(ids),
            groups=groups.astype(np.int64),
            gold=tuple(tuple(gold) for gold in items.column("gold").to_pylist()),
            slices=_columns(items, "slice_"),
            texts=_columns(items, "text_"),
            entries=tuple(self._answers(row, runs[row.id], name) for row in kept),
            left_out=tuple(row.id for row in rows if row not in kept),
        )

    def _complete(
        self, row: EntryResult, runs: Sequence[RunRecord], split: str, ids: Sequence[str]
    ) -> bool:
        return all(
            self._predictions(run, split, row.variant).column("item_id").to_pylist() == ids
            for run in runs
        )

    def _answers(self, row: EntryResult, runs: Sequence[RunRecord], split: str) -> Answers:
        tables = [self._predictions(run, split, row.variant) for run in runs]
        names = [name for name in tables[0].column_names if name.startswith("m_")]
        return Answers(
            id=row.id,
            seeds=row.seeds,
            seeded=any(run.seeded for run in runs),
            predicted=np.array([t.column("predicted").to_pylist() for t in tables], dtype=object),
            raw=np.array([t.column("raw").to_pylist() for t in tables], dtype=object),
            scores=_label_scores(tables),
            metrics={name.removeprefix("m_"): _matrix(tables, name) for name in names},
            primary=row.primary,
        )

    def _predictions(self, run: RunRecord, split: str, variant: str) -> pa.Table:
        place = (run.entry, run.key)
        if place not in self._tables:
            self._tables[place] = self._store.read_predictions(run)
        table = _of_split(self._tables[place], split)
        return table.filter(pc.equal(table.column("variant"), variant))


def _test_hash(record: RunRecord, split: str) -> str:
    return record.inputs[split].sha256


def _of_split(table: pa.Table, split: str) -> pa.Table:
    return table.filter(pc.equal(table.column("split"), split))


def _columns(items: pa.Table, prefix: str) -> dict[str, tuple[Any, ...]]:
    return {
        name.removeprefix(prefix): tuple(items.column(name).to_pylist())
        for name in items.column_names
        if name.startswith(prefix)
    }


def _matrix(tables: Sequence[pa.Table], name: str) -> Scores:
    return np.array([table.column(name).to_numpy() for table in tables], dtype=np.float64)


def _label_scores(tables: Sequence[pa.Table]) -> Scores | None:
    rows = [table.column("scores").to_pylist() for table in tables]
    widths = {len(scores) for table in rows for scores in table}
    if widths == {0} or len(widths) != 1:
        return None
    return np.array(rows, dtype=np.float64)
