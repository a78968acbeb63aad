"""What names the tokens of items, and features in the form in which they are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from tarazu.data.item import Item
from tarazu.data.split import fingerprint
from tarazu.readings._reading import Asking, Feature, Features
from tarazu.readings.tables import Row, Table

_ABOUT, _TOKENS, _TYPES, _OFFSETS = range(4)


def kept(
    asking: Asking,
    items: Sequence[Item],
    asked: Mapping[str, Any],
    rows: Callable[[], Iterable[Row]],
    columns: int,
) -> Table:
    """Return a table of what items are in tokens, made only if nobody has made it.

    Args:
        asking: How they are asked.
        items: Items, as the model may see them.
        asked: What is wanted of them; anything that JSON can hold.
        rows: Makes the rows.
        columns: Cells of each row.
    """
    if not asking.tables.keep:
        return Table.of(rows(), columns)
    name = {**identity(asking), "items": fingerprint(items), **asked}
    return asking.tables.get(name, rows, columns)


def identity(asking: Asking) -> dict[str, Any]:
    """Return everything of `asking` that decides about tokens.

    Tokenizer and demonstrations are in the identity of `asking.tables`; answers, and room that is
    left for them, are told by who encodes.
    """
    task = asking.task
    return {
        "max_length": asking.max_length,
        "template": asdict(asking.template),
        "chat": asking.chat,
        "task": {
            "kind": task.kind,
            "texts": task.texts,
            "cut": task.cut,
            "words": [task.word(label) for label in task.labels],  # in the instruction, too
        },
    }


def kept_features(
    asking: Asking, items: Sequence[Item], what: str, make: Callable[[], Iterable[Feature]]
) -> Features:
    """Return features without labels, made only if nobody has made them.

    Args:
        asking: How items are asked.
        items: Items, as the model may see them.
        what: Names the way in which they are made.
        make: Makes them.
    """
    table = kept(asking, items, {"what": what}, lambda: map(_cells, make()), 4)
    return Features(table.sizes(_TOKENS), lambda place: _feature(table.row(place)))


def _cells(feature: Feature) -> Row:
    types = feature.token_types
    about = (feature.item, feature.cut_tokens, int(types is not None))
    return about, feature.input_ids, types or (), tuple(chain.from_iterable(feature.offsets))


def _feature(cells: list[list[int]]) -> Feature:
    item, cut_tokens, typed = cells[_ABOUT]
    edges = cells[_OFFSETS]
    return Feature(
        item,
        cells[_TOKENS],
        token_types=cells[_TYPES] if typed else None,
        cut_tokens=cut_tokens,
        offsets=list(zip(edges[::2], edges[1::2], strict=True)),
    )
