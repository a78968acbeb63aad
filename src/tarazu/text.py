"""Text for people, in every language that reports are written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Language = Literal["en", "fa"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


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
    name neither moves the Persian words around it nor is moved by them.

    Args:
        name: The name.
    """
    return f"\u2068{name}\u2069"
