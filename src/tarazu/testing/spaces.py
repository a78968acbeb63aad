"""Checks of what a method searches: usable settings, around its defaults, on the right scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tarazu.methods._method import Choices, Space
from tarazu.record.spec import TrainingSpec
from tarazu.testing.cases import Case


def check_search_fits(case: Case) -> None:
    """What is searched are settings of the method, around its defaults, all of them usable."""
    space = case.method.search(case.info, case.task, case.knobs)
    settings = case.knobs.model_dump(mode="json")
    if case.method.trains:
        settings |= {n: d.value for n, d in case.method.defaults(case.info, case.task).items()}
    check_space(space, settings)
    for values in _corners(space, settings):
        knobs = {n: v for n, v in values.items() if n in case.method.knobs.model_fields}
        reason = case.method.supports(case.info, case.task, case.method.knobs(**knobs))
        assert reason is None, f"search: {values} cannot be used: {reason}"
        TrainingSpec.model_validate({n: v for n, v in values.items() if n not in knobs})
    if case.method.trains:
        rate = space["learning_rate"]
        assert not isinstance(rate, Choices), "learning_rate must be searched over a range"
        assert rate.log, "learning_rate must be searched on a logarithmic scale"


def check_space(space: Space, settings: Mapping[str, Any]) -> None:
    """Each part of a space has reason and source, is not empty, and holds the default.

    Args:
        space: What is searched.
        settings: The settings of the method with their default values.
    """
    for name, item in space.items():
        assert name in settings, f"search: '{name}' is no setting of the method"
        assert item.reason.strip(), f"search: {name} has no reason"
        assert item.source.strip(), f"search: {name} has no source"
        default = settings[name]
        if isinstance(item, Choices):
            assert len(item.values) > 1, f"search: {name} leaves no choice"
            assert len(set(item.values)) == len(item.values), f"search: {name} repeats a value"
            assert default in item.values, f"search: {name} lacks the default {default}"
        else:
            assert item.low < item.high, f"search: {name} is empty"
            assert not item.log or item.low > 0, f"search: {name} has no logarithm"
            inside = default is None or item.low <= default <= item.high
            assert inside, f"search: {name} lacks the default {default}"


def _corners(space: Space, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield settings with one of them changed, to every value or to both ends."""
    for name, item in space.items():
        ends = item.values if isinstance(item, Choices) else (item.at(0.0), item.at(1.0))
        for value in ends:
            yield {**settings, name: value}
