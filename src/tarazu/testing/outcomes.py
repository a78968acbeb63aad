"""Answers made by hand: what views of failures read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tarazu.comparison.outcomes import Answers, Outcomes
from tarazu.evaluation.squad import best_over_golds, exact_match, token_f1

Said = Mapping[str, Sequence[Sequence[str | None]]]


def make_classes(
    gold: Sequence[str],
    said: Said,
    *,
    labels: Sequence[str] | None = None,
    scores: Mapping[str, Any] | None = None,
    unseeded: Sequence[str] = (),
    **fields: Any,
) -> Outcomes:
    """Return answers that are labels; keyword arguments of `Outcomes` override its fields.

    Args:
        gold: The right label of each item.
        said: Answers by entry, seeds × items; an id with a colon is another form of an entry.
        labels: The task's labels; by default those among the right ones, sorted.
        scores: Scores of the labels by entry, seeds × items × labels.
        unseeded: Entries that no seed changes.
        fields: Such as ``groups``, ``slices`` or ``texts``.
    """
    right = np.array(gold, dtype=object)
    entries = []
    for name, rows in said.items():
        predicted = _table(rows)
        given = (scores or {}).get(name)
        entries.append(
            Answers(
                id=name,
                seeds=tuple(range(len(predicted))),
                seeded=name not in unseeded,
                predicted=predicted,
                raw=_table([["" if one is None else one for one in row] for row in rows]),
                scores=None if given is None else np.asarray(given, dtype=np.float64),
                metrics={"accuracy": (predicted == right).astype(np.float64)},
                primary=":" not in name,
            )
        )
    chosen = tuple(sorted(set(gold))) if labels is None else tuple(labels)
    return _outcomes("accuracy", chosen, [(one,) for one in gold], entries, fields)


def make_spans(
    gold: Sequence[Sequence[str]],
    said: Said,
    *,
    raw: Mapping[str, Sequence[Sequence[str | None]]] | None = None,
    language: str = "en",
    **fields: Any,
) -> Outcomes:
    """Return answers that are spans; keyword arguments of `Outcomes` override its fields.

    Args:
        gold: The accepted answers of each item.
        said: Answers by entry, seeds × items.
        raw: Texts as generated, by entry; by default the answers, empty where there is none.
        language: ISO code of the answers' language.
        fields: Such as ``groups``, ``slices`` or ``texts``.
    """
    entries = []
    for name, rows in said.items():
        blank = [["" if one is None else one for one in row] for row in rows]
        metrics = {
            metric: np.array(
                [
                    [
                        best_over_golds(by, one, g, language)
                        for one, g in zip(row, gold, strict=True)
                    ]
                    for row in rows
                ]
            )
            for metric, by in (("exact_match", exact_match), ("f1", token_f1))
        }
        entries.append(
            Answers(
                id=name,
                seeds=tuple(range(len(rows))),
                seeded=True,
                predicted=_table(rows),
                raw=_table((raw or {}).get(name, blank)),
                scores=None,
                metrics=metrics,
                primary=":" not in name,
            )
        )
    return _outcomes("f1", (), [tuple(one) for one in gold], entries, fields)


def _outcomes(
    metric: str,
    labels: tuple[str, ...],
    gold: list[tuple[str, ...]],
    entries: list[Answers],
    fields: Mapping[str, Any],
) -> Outcomes:
    known: dict[str, Any] = {
        "split": "test",
        "primary_metric": metric,
        "labels": labels,
        "item_ids": tuple(f"i{number}" for number in range(len(gold))),
        "groups": np.arange(len(gold)),
        "gold": tuple(gold),
        "slices": {},
        "texts": {},
        "entries": tuple(entries),
    }
    return Outcomes(**{**known, **fields})


def _table(rows: Sequence[Sequence[str | None]]) -> np.ndarray[Any, np.dtype[np.object_]]:
    found = np.empty((len(rows), len(rows[0])), dtype=object)
    for number, row in enumerate(rows):
        found[number] = list(row)
    return found
