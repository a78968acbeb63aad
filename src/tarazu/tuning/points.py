"""The settings of every trial, by its number: the same whatever ran before, and in which order.

Trial 0 is the method's default settings. Trial i > 0 is point i of a scrambled Sobol sequence over
the search space (Sobol 1967; scrambling: Owen 1998), which fills the space more evenly than
independent draws and may be cut off or continued at any number. Settings that came before are
skipped, so that a small space of choices is not tried twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from tarazu.methods._method import Choices, Space
from tarazu.record.key import canonical_json

_POINTS = 10
"""2^10 points are made at once, whatever the number of trials, so that it changes no point."""


def trial_settings(
    space: Space, default: Mapping[str, Any], *, trials: int, seed: int
) -> list[dict[str, Any]]:
    """Return the values of the searched settings of every trial.

    Args:
        space: What is searched. Its order belongs to the sequence.
        default: The method's own values; trial 0.
        trials: How many, at most 1,000.
        seed: Of the scrambling.

    Returns:
        Different settings, by number; fewer than `trials` when there are no more. The settings of a
        number do not depend on `trials`.
    """
    seen: set[str] = set()
    found: list[dict[str, Any]] = []
    first = {name: default[name] for name in space}
    for values in itertools.chain([first], _sequence(space, seed), _all(space)):
        if len(found) == trials or not space:
            break
        told = canonical_json(values)
        if told not in seen:
            seen.add(told)
            found.append(values)
    return found


def _sequence(space: Space, seed: int) -> Iterator[dict[str, Any]]:
    import numpy as np
    from scipy.stats import qmc

    points = qmc.Sobol(len(space), scramble=True, rng=np.random.default_rng(seed))
    for point in points.random_base2(_POINTS):
        yield {
            name: item.at(float(place))
            for (name, item), place in zip(space.items(), point, strict=True)
        }


def _all(space: Space) -> Iterator[dict[str, Any]]:
    """Yield what is left of a space of choices when the sequence has not come across all of it."""
    values = [item.values for item in space.values() if isinstance(item, Choices)]
    if len(values) == len(space):
        for chosen in itertools.product(*values):
            yield dict(zip(space, chosen, strict=True))
