"""Words and lengths of texts, for reading answers and for grouping failures."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tarazu.evaluation.squad import fold_variants

_LEAD_IN = re.compile(r"^\W*(?:final\s+)?(?:answer|label|پاسخ|جواب|برچسب)\s*[:：]", re.IGNORECASE)


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list that is written as a text."""
    return frozenset(text.split())


# Simple rules: good enough to group failures by, not a parser.
_NEGATIONS = {
    "en": word_set(
        "not no never none nobody nothing nowhere neither nor without cannot cant dont doesnt "
        "didnt isnt arent wasnt werent wont wouldnt couldnt shouldnt hasnt havent hadnt"
    ),
    "fa": word_set("نه نیست نیستند نبود نبودند نشد نشدند ندارد ندارند هیچ هرگز بدون نمی"),
}


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation, quotes and half-spaces."""
    joined = re.sub(r"['’`]", "", fold_variants(text).casefold())
    return re.findall(r"[^\W_]+", joined)


def without_lead_in(text: str) -> str:
    """Return a generated text without a leading ``Answer:``."""
    return _LEAD_IN.sub("", text, count=1)


def bucket(text: str, edges: Sequence[int]) -> str:
    """Return the range that the number of a text's words falls in.

    Args:
        text: The text.
        edges: The largest number of every range but the last.
    """
    count, low = len(text.split()), 1
    for high in edges:
        if count <= high:
            return f"{low}-{high}"
        low = high + 1
    return f"{low}+"


def has_negation(text: str, language: str) -> bool | None:
    """Return whether a negation word occurs; None where the language's words are not known."""
    known = _NEGATIONS.get(language)
    return None if known is None else not known.isdisjoint(words(text))
