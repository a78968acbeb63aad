"""What is known of a model before its weights are read: its configuration and its card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["encoder", "decoder"]


@dataclass(frozen=True)
class Card:
    """What is known of a published model, for attribution and for planning.

    Attributes:
        id: Hub id.
        title: Name for people.
        licence: As the publisher states it.
        notice: Text that the licence wants shown, such as Llama 3's.
        trained_on: Data sets that the publisher lists as training data (see `Task.known_as`).
        access: How to get access when the model is gated.
        source: Where these facts stand.
        config: The architecture's configuration, facts only.
    """

    id: str
    title: str
    licence: str
    source: str
    config: dict[str, Any]
    notice: str | None = None
    trained_on: tuple[str, ...] = ()
    access: str | None = None


@dataclass(frozen=True)
class ModelInfo:
    """A model as methods see it: shapes, kind and origin, no weights.

    Attributes:
        name: Name in the study, or Hub id.
        kind: ``encoder`` (reads both ways) or ``decoder`` (predicts the next token).
        architecture: `model_type` of the configuration, such as ``llama``.
        hidden_size: Width d.
        layers: Number of transformer layers.
        vocab_size: Tokens in the vocabulary.
        context_length: Longest input in tokens.
        tied_embeddings: Whether the output projection is the input embedding.
        pooling: What an encoder's classification head reads.
        config: The configuration as a dictionary that `transformers` understands.
        origin: How the weights came to be when they are not the published ones.
        card: What is known of the published model.
    """

    name: str
    kind: Kind
    architecture: str
    hidden_size: int
    layers: int
    vocab_size: int
    context_length: int
    tied_embeddings: bool
    config: dict[str, Any]
    pooling: Literal["first", "mean"] = "first"
    origin: str | None = None
    card: Card | None = None
