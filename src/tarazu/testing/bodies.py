"""Small bodies of architectures that no tiny model has, with random weights."""

from __future__ import annotations

from typing import Any

_SIZES = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
_SHARED = {"num_key_value_heads": 2, "head_dim": 8}
_OWN: dict[str, dict[str, Any]] = {
    "electra": {"embedding_size": 32},
    "mistral": {**_SHARED, "sliding_window": 4},
    "qwen2": {**_SHARED, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "qwen3": _SHARED,
}


def small_body(name: str, **changes: Any) -> Any:
    """Return a body of an architecture, from seed 0 and without dropout.

    Args:
        name: As `transformers` calls it: ``model_type`` in a ``config.json``.
        changes: Settings of its configuration that are to be others.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    config = AutoConfig.for_model(name, **_SIZES, **{**_OWN.get(name, {}), **changes})
    return AutoModel.from_config(config).eval()
