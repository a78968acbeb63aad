"""Items whose answer changes when a model is merged or quantised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tarazu.comparison.correctness import Indices, right
from tarazu.comparison.net_change import net_change
from tarazu.comparison.outcomes import Answers, Outcomes
from tarazu.text import Text

Direction = Literal[
    "right-to-wrong", "wrong-to-right", "wrong-to-other-wrong", "right-to-other-right"
]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
DIRECTION_NAMES = {
    "right-to-wrong": Text("right → wrong", "درست ← نادرست"),
    "wrong-to-right": Text("wrong → right", "نادرست ← درست"),
    "wrong-to-other-wrong": Text("wrong → other wrong", "نادرست ← نادرستِ دیگر"),
    "right-to-other-right": Text("right → other right", "درست ← درستِ دیگر"),
}
# The form as it was trained, before anything was done to its weights.
_AS_TRAINED = ("adapter", "main")
_SAME = len(DIRECTIONS)


@dataclass(frozen=True)
class Flips:
    """One form of a model against the form as trained, on the same items.

    Attributes:
        form: Id of the form, such as ``qlora-text:merged-16bit``.
        against: Id of the form as trained.
        seeds: Seeds that both have.
        changes: Direction of every change as a place in `DIRECTIONS`, or their number where the
            answer is the same; seeds × items.
        p_value: Two-sided, of as many answers turned right as turned wrong over items and seeds;
            see `net_change`. Of one run over single items it is McNemar's exact test.
    """

    form: str
    against: str
    seeds: tuple[int, ...]
    changes: NDArray[np.int8]
    p_value: float

    def counts(self, direction: Direction) -> Indices:
        """Return the number of items changed in a direction, by seed."""
        found: Indices = (self.changes == DIRECTIONS.index(direction)).sum(axis=1)
        return found

    def changed(self) -> Indices:
        """Return the number of items with another answer, by seed."""
        found: Indices = (self.changes != _SAME).sum(axis=1)
        return found

    def items(self, direction: Direction) -> Indices:
        """Return the items that any seed changes in a direction, in their order."""
        return np.flatnonzero((self.changes == DIRECTIONS.index(direction)).any(axis=0))


def flips(outcomes: Outcomes) -> list[Flips]:
    """Hold every form of a model against the form as trained.

    An entry's forms share the part of the id before the colon. The form as trained is ``adapter``
    or ``main``; where there is neither, it is the form that stands for the entry.

    Args:
        outcomes: The answers of all forms.
    """
    families: dict[str, list[Answers]] = {}
    for answers in outcomes.entries:
        families.setdefault(answers.id.partition(":")[0], []).append(answers)
    found = []
    for forms in families.values():
        trained = _as_trained(forms)
        if trained is not None:
            compared = (_flips(form, trained, outcomes) for form in forms if form is not trained)
            found += [one for one in compared if one is not None]
    return found


def _as_trained(forms: list[Answers]) -> Answers | None:
    named = [form for form in forms if form.id.partition(":")[2] in _AS_TRAINED]
    return next(iter([*named, *(form for form in forms if form.primary)]), None)


def _flips(form: Answers, trained: Answers, outcomes: Outcomes) -> Flips | None:
    # A seed whose merge failed has no counterpart.
    seeds = tuple(seed for seed in form.seeds if seed in trained.seeds)
    if not seeds:
        return None
    after = [form.seeds.index(seed) for seed in seeds]
    before = [trained.seeds.index(seed) for seed in seeds]
    was, now = right(trained, outcomes)[before], right(form, outcomes)[after]
    same = trained.predicted[before] == form.predicted[after]
    kinds = [was & ~now, ~was & now, ~was & ~now & ~same, was & now & ~same]
    changes = np.select(kinds, range(_SAME), default=_SAME).astype(np.int8)
    seeded = trained.seeded or form.seeded
    p_value = net_change(now & ~was, was & ~now, outcomes.groups, seeded=seeded)
    return Flips(form.id, trained.id, seeds, changes, p_value)
