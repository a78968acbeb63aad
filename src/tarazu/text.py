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
