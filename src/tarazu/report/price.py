"""What the machine costs: times become money where the study states a price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tarazu.comparison.costs import Costs, Price
from tarazu.record.spec import ReportSpec

_PRICED = ("tune", "train")


def priced_steps(found: Iterable[Costs]) -> list[str]:
    """Return the steps that tables give in money beside answering: those that some entry takes."""
    taken = {step for one in found for step in one.seconds}
    return [step for step in _PRICED if step in taken]


def price_of(study: Mapping[str, Any]) -> Price | None:
    """Return the price of the machine as the study states it; None without one.

    It says nothing about results, so it is no part of what identifies a run.

    Args:
        study: The resolved study; may be empty.
    """
    report = ReportSpec.model_validate(study.get("report", {}))
    if report.price_per_hour is None or report.currency is None:
        return None
    return Price(report.price_per_hour, report.currency)


def in_money(one: Costs, price: Price) -> dict[str, Any]:
    """Return what an entry costs in money, by the names of its times.

    Args:
        one: What it costs.
        price: Of the machine.

    Returns:
        ``money`` by step (as `Costs.seconds`), ``money_per_thousand`` answers (as
        `Costs.seconds_per_thousand`) and the ``currency``.
    """
    return {
        "money": {step: price.of(seconds) for step, seconds in one.seconds.items()},
        "money_per_thousand": price.of(one.seconds_per_thousand),
        "currency": price.currency,
    }
