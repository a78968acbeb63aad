"""The attention implementations that compute a softmax over the keys that a mask allows.

Whatever replaces or leaves out a part of a forward pass asks here whether it knows the attention
that is active. An implementation that is registered with `transformers` and not listed here would
silently switch such parts off.
"""

from __future__ import annotations

from tarazu.models.fast import attention, sequences

LIBRARY = "sdpa"
OURS = frozenset((attention.NAME, sequences.NAME))
KNOWN = OURS | {LIBRARY}
"""All take a mask [b or 1, 1, s, t] of the caller's own, positions and a filled cache."""


def attends_by_mask(config: object) -> bool:
    """Say whether the active attention of a model reads nothing but states and a mask.

    Args:
        config: Of a `transformers` model.
    """
    return getattr(config, "_attn_implementation", None) in KNOWN
