"""Records → JSON, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tarazu.comparison.costs import Price, costs, fronts
from tarazu.comparison.entries import EntryResult, entries
from tarazu.comparison.sizes import LearningCurve, break_even, learning_curves
from tarazu.report.plain import escaped
from tarazu.report.price import in_money

if TYPE_CHECKING:
    from tarazu.comparison.result import Comparison, Pair
    from tarazu.record.record import RunRecord
    from tarazu.text import Text


def json_report(
    records: Sequence[RunRecord],
    comparisons: Sequence[Comparison] = (),
    below: Sequence[Text] = (),
    price: Price | None = None,
    curves: Sequence[LearningCurve] | None = None,
) -> str:
    """Return results as JSON.

    The keys are ``study``, ``runs``, ``entries``, ``comparisons``, ``groups``, ``sizes`` (a
    learning curve per entry where there are several training sizes), ``break_even``, ``costs``,
    ``fronts`` (entries that no other one beats without costing more) and ``notes``. With a price
    there are also ``price`` (``per_hour``, ``currency``), and in each of the ``costs`` ``money`` by
    step and ``money_per_thousand`` items.

    Args:
        records: All records of a study.
        comparisons: Its entries held against each other.
        below: What stands below the table beside what the records say.
        price: Of the machine; without it costs are times.
        curves: Learning curves with intervals; by default those of the records, without.
    """
    curves = learning_curves(records) if curves is None else curves
    report = {
        "study": records[0].spec.study if records else None,
        "runs": [record.model_dump(mode="json", by_alias=True) for record in records],
        "entries": [
            {**entry.to_json(), "ci95": _intervals(entry, comparisons)}
            for entry in entries(records)
        ],
        "comparisons": [_pair(pair, one.split) for one in comparisons for pair in one.pairs],
        "groups": [_groups(one) for one in comparisons],
        "sizes": [asdict(curve) for curve in curves],
        "break_even": [asdict(one) for one in break_even(curves)],
        **({"price": asdict(price)} if price else {}),
        "costs": [
            {**asdict(one), **(in_money(one, price) if price else {})} for one in costs(records)
        ],
        "fronts": fronts(records),
        "notes": [line.en for line in below],
    }
    return to_json(report)


def _intervals(
    entry: EntryResult, comparisons: Sequence[Comparison]
) -> dict[str, list[float | None]]:
    """Return the ends of the 95 % interval by metric."""
    return {
        one.metric: [one.intervals[entry.id].low, one.intervals[entry.id].high]
        for one in comparisons
        if one.split == entry.split and entry.id in one.intervals
    }


def _pair(pair: Pair, split: str) -> dict[str, Any]:
    return {
        "a": pair.a,
        "b": pair.b,
        "split": split,
        "metric": pair.metric,
        "difference": pair.difference,
        "ci95": [pair.low, pair.high],
        "p_value": pair.p_value,
        "p_holm": pair.p_holm,
        "p_equivalent": pair.p_equivalent,
        "separable": pair.separable,
        "equivalent": pair.equivalent,
        "test": pair.test,
    }


def _groups(comparison: Comparison) -> dict[str, Any]:
    return {
        "split": comparison.split,
        "metric": comparison.metric,
        "items": comparison.items,
        "clusters": comparison.clusters,
        "margin": comparison.margin,
        "groups": comparison.groups(),
        "letters": dict(comparison.letters),
        "detectable": comparison.detectable,
        "detectable_holm": comparison.detectable_holm,
        "warnings": [warning.en for warning in comparison.warnings],
    }


def to_json(value: Any) -> str:
    """Return indented JSON. What is no finite number becomes null: JSON has no NaN."""
    return escaped(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
