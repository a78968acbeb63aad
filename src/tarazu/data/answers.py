"""The answers of a run, packed: some dozens of bytes an item, however many items there are.

Batches are made by length, so answers do not come in the order of the items in which they are
written, and their file cannot grow with them. They stay packed from the process of a run until the
study writes them; only some are objects at a time.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import groupby, islice
from typing import Any, overload

from tarazu.data.item import Prediction

AT_ONCE = 512  # answers that are packed together
_FIELDS = [field.name for field in fields(Prediction)]


class Answers(Sequence[Prediction]):
    """Answers to items, in their order.

    Args:
        parts: Some answers each, as `of` packs them, with their number.
    """

    def __init__(self, parts: Sequence[tuple[int, bytes]]) -> None:
        self._parts = list(parts)

    @classmethod
    def of(cls, predictions: Iterable[Prediction]) -> Answers:
        """Pack predictions; they are gone through once, and none of them is kept."""
        rows = iter(predictions)
        parts = []
        while some := list(islice(rows, AT_ONCE)):
            parts.append((len(some), _packed(some)))
        return cls(parts)

    def __len__(self) -> int:
        return sum(count for count, _ in self._parts)

    def __iter__(self) -> Iterator[Prediction]:
        for _, packed in self._parts:
            yield from _unpacked(packed)

    @overload
    def __getitem__(self, place: int) -> Prediction: ...

    @overload
    def __getitem__(self, place: slice) -> list[Prediction]: ...

    def __getitem__(self, place: int | slice) -> Prediction | list[Prediction]:
        if isinstance(place, slice):
            return list(self)[place]
        wanted = range(len(self))[place]
        return next(islice(self, wanted, None))

    def __add__(self, other: Answers) -> Answers:
        return Answers([*self._parts, *other._parts])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def groups(self) -> dict[tuple[str, str], Answers]:
        """Return the answers of each split and variant, in the order in which they first occur."""
        found: dict[tuple[str, str], Answers] = {}
        for kind, answers in groupby(self, lambda answer: (answer.split, answer.variant)):
            found[kind] = found.get(kind, Answers([])) + Answers.of(answers)
        return found


def mean_metrics(metrics: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the items that have it, as they first occur.

    Args:
        metrics: Values by metric of every item; only the numbers are kept, 8 bytes each.
    """
    values: dict[str, array[float]] = defaultdict(lambda: array("d"))
    for several in metrics:
        for name, value in several.items():
            values[name].append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}


def _packed(predictions: Sequence[Prediction]) -> bytes:
    """Return predictions as compressed JSON, which gives every number and text back as it was."""
    rows = [_row(prediction) for prediction in predictions]
    return zlib.compress(json.dumps(rows, default=float).encode(), level=1)


def _unpacked(packed: bytes) -> Iterator[Prediction]:
    for row in json.loads(zlib.decompress(packed)):
        values = dict(zip(_FIELDS, row, strict=True))
        yield Prediction(**{**values, "scores": tuple(values["scores"])})


def _row(prediction: Prediction) -> list[Any]:
    return [getattr(prediction, name) for name in _FIELDS]
