"""Sizes in a ``config.json`` that no model has, refused before anything is made of them.

A model is counted on meta tensors, in the study's own process, which takes no memory for weights
but time for every module (what these names do not bound, `tarazu.models.load` does). Widths cost
nothing there; they are bounded so that their products fit into 64 bits.
"""

from __future__ import annotations

import re
from typing import Any

from tarazu.errors import bad

# By what a name ends with; the first that fits. The largest that were published: 126 layers, 16,384
# experts, 20,000,000 n-grams, 10,485,760 positions, a width of 53,248.
_LIMITS = (
    (re.compile(r"vocab"), 1 << 28),
    (re.compile(r"experts?$|expert_num$|experts_per_tok$"), 1 << 15),
    (
        re.compile(r"layers?$|depths?$|blocks?$|hidden_groups$|inner_group_num$|stages?$|repeats$"),
        1_000,
    ),
    (
        re.compile(
            r"positions?$|position_embeddings$|seq_len(gth)?$|n_ctx$|context_(length|size)$"
        ),
        1 << 24,
    ),
    (
        re.compile(
            r"(hidden|intermediate|embedding|ffn|head|model|inner)_(size|dim)s?$|heads?$"
            r"|^(dim|d_model|d_ff|d_kv|n_embd|n_inner)$"
        ),
        1 << 20,
    ),
)
_LAYERS = re.compile(r"layer|block|depth")
_MOST_LAYERS = 1_000


def check_sizes(config: dict[str, Any], where: str) -> None:
    """Refuse a configuration with sizes that no model has.

    Args:
        config: The content of ``config.json``.
        where: Its place, for messages.

    Raises:
        BadInput: The first such size, by its name.
    """
    left: list[tuple[str, Any]] = [("", config)]
    while left:  # a loop: what is nested deep must not end the recursion
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            if _LAYERS.search(name.lower()) and len(value) > _MOST_LAYERS:
                raise bad(where, f"'{name}' must have at most {_MOST_LAYERS:,} values", len(value))
            left += [(name, inner) for inner in value]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            most = _limit(name)
            if most is not None and value > most:
                remedy = "No model has more: get the file from whoever made the model."
                raise bad(where, f"'{name}' must be at most {most:,}", value, remedy)


def _limit(name: str) -> int | None:
    return next((most for form, most in _LIMITS if form.search(name.lower())), None)
