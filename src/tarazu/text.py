"""Text for people, in every language that reports are written in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Language = Literal["en", "fa"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

# Signs that begin or end a stretch of its own direction.
_STEERING = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Text:
    """The same text in English and Persian.

    Attributes:
        en: English.
        fa: Persian.
    """

    en: str
    fa: str

    def in_(self, language: Language) -> str:
        """Return the text in a language."""
        return self.fa if language == "fa" else self.en


def isolated(name: object) -> str:
    """Return a name for use in a sentence of the other direction.

    Between a first-strong isolate and its end (Unicode annex 9) it is laid out on its own: a Latin
    name neither moves the Persian words around it nor is moved by them. Signs in the name that
    steer the direction are left out, so that it cannot end its stretch early.

    Args:
        name: The name.
    """
    return f"\u2068{_STEERING.sub('', str(name))}\u2069"
