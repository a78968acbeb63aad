"""Answers made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tarazu.comparison.outcomes import Answers, Outcomes


@pytest.fixture
def answered() -> Callable[..., Outcomes]:
    """Return a way to make outcomes: `answered({"lora": seeds × items}, groups=[0, 0, 1])`."""

    def make(
        scores: dict[str, Any],
        groups: Sequence[int] | None = None,
        *,
        metric: str = "accuracy",
        unseeded: Sequence[str] = (),
        secondary: Sequence[str] = (),
    ) -> Outcomes:
        tables = {name: np.atleast_2d(np.asarray(rows, float)) for name, rows in scores.items()}
        count = next(iter(tables.values())).shape[1]
        return Outcomes(
            split="test",
            primary_metric=metric,
            labels=(),
            item_ids=tuple(map(str, range(count))),
            groups=np.arange(count) if groups is None else np.asarray(groups),
            gold=(("",),) * count,
            slices={},
            texts={},
            entries=tuple(
                Answers(
                    id=name,
                    seeds=tuple(range(len(table))),
                    seeded=name not in unseeded,
                    predicted=np.full(table.shape, None),
                    raw=np.full(table.shape, ""),
                    scores=None,
                    metrics={metric: table},
                    primary=name not in secondary,
                )
                for name, table in tables.items()
            ),
        )

    return make
