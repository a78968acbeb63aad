"""How an encoder reads an item's texts: one, or two with a separator between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tarazu.data.item import Item
from tarazu.errors import bad
from tarazu.readings._reading import Asking, Feature


def encode_texts(items: Sequence[Item], asking: Asking) -> list[Feature]:
    """Encode items whole; only the text that the task allows to be cut is cut.

    Raises:
        BadInput: The other text alone is longer than `asking.max_length`.
    """
    names = asking.task.texts
    columns = [[item.fields[name] for item in items] for name in names]
    encoded = asking.tokenizer(*columns)
    features = []
    for index, item in enumerate(items):
        ids = encoded["input_ids"][index]
        types = encoded["token_type_ids"][index] if "token_type_ids" in encoded else None
        over = len(ids) - asking.max_length
        if over > 0:
            ids, types = _cut(item, asking, over)
        features.append(Feature(index, ids, token_types=types, cut_tokens=max(over, 0)))
    return features


def _cut(item: Item, asking: Asking, over: int) -> tuple[Any, Any]:
    name = asking.task.cut
    texts = [item.fields[field] for field in asking.task.texts]
    length = len(asking.tokenizer(item.fields[name], add_special_tokens=False)["input_ids"])
    if length < over:
        raise bad(
            f"item {item.id}",
            f"everything but its {name} must fit into {asking.max_length} tokens",
            f"{asking.max_length + over - length} tokens",
            "Raise max_length.",
        )
    which = asking.task.texts.index(name)
    if length == over:  # tokenizers refuse to cut a text to nothing
        texts[which] = ""
    how = ("only_first", "only_second")[which]
    cut = asking.tokenizer(*texts, truncation=how, max_length=asking.max_length)
    return cut["input_ids"], cut.get("token_type_ids")
