"""Records → JSON, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tarazu.comparison.entries import entries

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord


def json_report(records: Sequence[RunRecord]) -> str:
    """Return ``{"study", "runs", "entries"}`` as JSON.

    Args:
        records: All records of a study.
    """
    report = {
        "study": records[0].spec.study if records else None,
        "runs": [record.model_dump(mode="json", by_alias=True) for record in records],
        "entries": [entry.to_json() for entry in entries(records)],
    }
    return to_json(report)


def to_json(value: Any) -> str:
    """Return indented JSON. What is no finite number becomes null: JSON has no NaN."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
