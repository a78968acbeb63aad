"""How an encoder reads an item's texts: one, or two with a separator between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tarazu.data.item import Item
from tarazu.errors import bad
from tarazu.readings._kept import kept_features
from tarazu.readings._reading import AT_ONCE, Asking, Feature, Features


def encode_texts(items: Sequence[Item], asking: Asking) -> Features:
    """Encode items whole; only the text that the task allows to be cut is cut.

    Raises:
        BadInput: The other text alone is longer than `asking.max_length`.
    """
    return kept_features(asking, items, "texts", lambda: _encoded(items, asking))


def _encoded(items: Sequence[Item], asking: Asking) -> Iterator[Feature]:
    for start in range(0, len(items), AT_ONCE):
        some = items[start : start + AT_ONCE]
        encoded = asking.tokenizer(*([i.fields[name] for i in some] for name in asking.task.texts))
        for index, item in enumerate(some):
            ids = encoded["input_ids"][index]
            types = encoded["token_type_ids"][index] if "token_type_ids" in encoded else None
            over = len(ids) - asking.max_length
            if over > 0:
                ids, types = _cut(item, asking, over)
            yield Feature(start + index, ids, token_types=types, cut_tokens=max(over, 0))


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
