"""Predictions and items as tables; equal content gives equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from tarazu.record.key import sha256_text

AT_ONCE = 1024  # rows that are Python values at a time


class PredictionRow(Protocol):
    """What a row of ``predictions.parquet`` is made from (`tarazu.data.item.Prediction`)."""

    @property
    def item_id(self) -> str:
        """The item."""

    @property
    def split(self) -> str:
        """The split it stands in."""

    @property
    def variant(self) -> str:
        """The form of the model that answered."""

    @property
    def predicted(self) -> str | None:
        """The answer; None when it was unparsable."""

    @property
    def raw(self) -> str:
        """The text as generated."""

    @property
    def scores(self) -> Sequence[float]:
        """Per label."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Per-item metrics."""

    @property
    def cut_tokens(self) -> int:
        """Tokens that were cut."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the input."""


class ItemRow(Protocol):
    """What a row of ``items.parquet`` is made from (`tarazu.data.item.Item`)."""

    @property
    def id(self) -> str:
        """Unique within the split."""

    @property
    def group(self) -> str:
        """Unit of splitting and resampling."""

    @property
    def fields(self) -> Mapping[str, str]:
        """Texts by name."""

    @property
    def gold(self) -> Sequence[str]:
        """Right answers."""

    @property
    def slices(self) -> Mapping[str, str]:
        """Values by which failures are grouped."""

    def content(self) -> list[Any]:
        """What identifies the item in a hash."""


def predictions_table(predictions: Iterable[PredictionRow]) -> pa.Table:
    """Return predictions as a table, in their order, one ``m_`` column per metric.

    They are gone through once, and only the table stays in memory.
    """
    parts = [_part([]), *map(_part, _parts(iter(predictions)))]
    table = pa.concat_tables(parts, promote_options="default").combine_chunks()
    *before, cut_tokens, prompt_tokens = parts[0].column_names
    metrics = sorted(set(table.column_names) - set(parts[0].column_names))
    return table.select([*before, *metrics, cut_tokens, prompt_tokens])


def _parts(rows: Iterator[PredictionRow]) -> Iterator[list[PredictionRow]]:
    while part := list(islice(rows, AT_ONCE)):
        yield part


def _part(predictions: Sequence[PredictionRow]) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "item_id": _texts(p.item_id for p in predictions),
        "split": _texts(p.split for p in predictions),
        "variant": _texts(p.variant for p in predictions),
        "predicted": _texts(p.predicted for p in predictions),
        "raw": _texts(p.raw for p in predictions),
        "scores": pa.array([list(p.scores) for p in predictions], pa.list_(pa.float32())),
        **{
            f"m_{name}": pa.array([p.metrics.get(name) for p in predictions], pa.float64())
            for name in {name for p in predictions for name in p.metrics}
        },
        "cut_tokens": pa.array([p.cut_tokens for p in predictions], pa.int64()),
        "prompt_tokens": pa.array([p.prompt_tokens for p in predictions], pa.int64()),
    }
    return pa.table(columns)


def items_table(splits: Mapping[str, Sequence[ItemRow]], *, redacted: bool) -> pa.Table:
    """Return the items of all splits as a table.

    Args:
        splits: Items by split.
        redacted: Leave the texts out. A group is often a text itself, so its hash stands for it.
    """
    rows = [(split, item) for split, items in splits.items() for item in items]
    slices = sorted({name for _, item in rows for name in item.slices})
    texts = [] if redacted else sorted({name for _, item in rows for name in item.fields})
    columns: dict[str, pa.Array] = {
        "item_id": _texts(item.id for _, item in rows),
        "split": _texts(split for split, _ in rows),
        "group_id": _texts(
            sha256_text(item.group)[:16] if redacted else item.group for _, item in rows
        ),
        "gold": pa.array([list(item.gold) for _, item in rows], pa.list_(pa.string())),
        **{f"slice_{n}": _texts(item.slices.get(n) for _, item in rows) for n in slices},
        **{f"text_{n}": _texts(item.fields.get(n) for _, item in rows) for n in texts},
    }
    return pa.table(columns)


def to_bytes(table: pa.Table) -> bytes:
    """Return a table as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _texts(values: Any) -> pa.Array:
    return pa.array(list(values), pa.string())
