"""From a model's ``config.json`` to what methods need to know of it, without its weights."""

from __future__ import annotations

from typing import Any, Literal

from tarazu.errors import bad
from tarazu.models.config_limits import check_sizes
from tarazu.models.info import Card, Kind, ModelInfo

UNBOUNDED = 1_000_000
"""Context length of models whose positions are relative, so that nothing but memory limits it."""

# These count positions from the padding token's id + 1, so the first rows of the table are unused.
_OFFSET_POSITIONS = frozenset(
    {
        "camembert",
        "data2vec-text",
        "longformer",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
_DECODER_HEADS = ("ForCausalLM", "LMHeadModel")


def info_from_config(
    name: str,
    config: dict[str, Any],
    *,
    kind: Kind | None = None,
    pooling: Literal["first", "mean"] = "first",
    origin: str | None = None,
    card: Card | None = None,
) -> ModelInfo:
    """Describe a model from its configuration.

    Args:
        name: Name in the study, or Hub id.
        config: The content of ``config.json``.
        kind: Overrides what the configuration says.
        pooling: What an encoder's classification head reads.
        origin: How the weights came to be when they are not the published ones.
        card: What is known of the published model.

    Raises:
        BadInput: When the architecture is unknown, is an encoder-decoder, needs code from its own
            repository, or has sizes that no model has.
    """
    parsed = _parse(name, config)
    text = parsed.get_text_config()
    return ModelInfo(
        name=name,
        kind=kind or _kind(name, config),
        architecture=config["model_type"],
        hidden_size=text.hidden_size,
        layers=text.num_hidden_layers,
        vocab_size=text.vocab_size,
        context_length=_context_length(text),
        tied_embeddings=bool(text.tie_word_embeddings),
        # Without `auto_map` nothing downstream can be led to the repository's own code.
        config={key: value for key, value in config.items() if key != "auto_map"},
        pooling=pooling,
        origin=origin,
        card=card,
    )


def _parse(name: str, config: dict[str, Any]) -> Any:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    where = f"models.{name}: config.json"
    check_sizes(config, where)
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        remedy = (
            "The model brings code of its own, which tarazu never runs; use a model whose "
            "architecture is part of transformers."
            if "auto_map" in config
            else "Check that the folder holds a language model, or update transformers."
        )
        raise bad(where, "must name a model_type that transformers knows", model_type, remedy)
    names = config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        rule = f"must be a valid {model_type} configuration"
        raise bad(where, rule, "'architectures' that are no list of names")
    try:
        parsed = CONFIG_MAPPING[model_type].from_dict(config)
    except Exception as error:  # transformers validates with errors of several kinds
        raise bad(where, f"must be a valid {model_type} configuration", error) from error
    if parsed.is_encoder_decoder:
        raise bad(
            where,
            "must be an encoder or a decoder",
            f"the encoder-decoder '{model_type}'",
            "Choose an encoder such as FacebookAI/roberta-base or a decoder such as "
            "openai-community/gpt2.",
        )
    return parsed


def _kind(name: str, config: dict[str, Any]) -> Kind:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    architectures = config.get("architectures") or []
    if any(architecture.endswith(_DECODER_HEADS) for architecture in architectures):
        return "decoder"
    # BERT and its kin also have a causal class there; what they were made for is masking.
    if config["model_type"] in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "encoder"
    if config["model_type"] in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return "decoder"
    raise bad(
        f"models.{name}.kind",
        f"must be stated for the architecture '{config['model_type']}'",
        remedy="Set `kind: encoder` (reads both ways) or `kind: decoder` (predicts the next "
        "token).",
    )


def _context_length(text: Any) -> int:
    positions = getattr(text, "max_position_embeddings", None)
    if positions is None:
        return UNBOUNDED
    if text.model_type in _OFFSET_POSITIONS:
        return int(positions) - (text.pad_token_id if text.pad_token_id is not None else 1) - 1
    return int(positions)
