"""Exact match and token F1 of an answer span, after the definition published with SQuAD v1.1.

Rajpurkar et al. 2016, *SQuAD: 100,000+ Questions for Machine Comprehension of Text*, section 6.1.
For English the normalisation is the published one: lower case, no ASCII punctuation, no articles,
single spaces. Other languages have no English articles and more punctuation than ASCII has.

All values lie between 0 and 1. When nothing is left of both texts they agree, and F1 is 1 as exact
match is; the v1.1 script has 1 and 0 there, a contradiction that the v2.0 script mended.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARABIC_MARKS = re.compile("[\u064b-\u065f\u0670\u0640]")
# Letters that keyboards write in two ways, the half-space (ZWNJ), and digits.
_ARABIC_VARIANTS = str.maketrans(
    {
        "ي": "ی",
        "ى": "ی",
        "ك": "ک",
        "ۀ": "ه",
        "ة": "ه",
        "\u200c": " ",
        "\u200f": None,
        "\u200e": None,
    }
    | {chr(0x06F0 + digit): str(digit) for digit in range(10)}
    | {chr(0x0660 + digit): str(digit) for digit in range(10)}
)

Metric = Callable[[str, str, str], float]


def fold_variants(text: str) -> str:
    """Return the text with one spelling for what readers of Arabic script take as the same.

    The half-space becomes a space; other scripts only lose compatibility forms (NFKC).
    """
    folded = unicodedata.normalize("NFKC", text)
    return _ARABIC_MARKS.sub("", folded).translate(_ARABIC_VARIANTS)


def normalize_answer(text: str, language: str = "en") -> str:
    """Return an answer as it is compared: lower case, without punctuation and articles.

    Args:
        text: The answer.
        language: ISO code; ``en`` follows the published definition to the letter.
    """
    if language == "en":
        bare = text.lower().translate(_ASCII_PUNCTUATION)
        return " ".join(_ARTICLES.sub(" ", bare).split())
    kept = (char for char in fold_variants(text).casefold() if not _is_punctuation(char))
    return " ".join("".join(kept).split())


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")


def exact_match(answer: str, gold: str, language: str = "en") -> float:
    """Return 1 when both texts are the same after normalisation, else 0."""
    return float(normalize_answer(answer, language) == normalize_answer(gold, language))


def token_f1(answer: str, gold: str, language: str = "en") -> float:
    """Return the harmonic mean of token precision and recall, counted as multisets."""
    said = normalize_answer(answer, language).split()
    right = normalize_answer(gold, language).split()
    if not said or not right:
        return float(said == right)
    same = sum((Counter(said) & Counter(right)).values())
    return 2 * same / (len(said) + len(right))


def best_over_golds(
    metric: Metric, answer: str | None, golds: Sequence[str], language: str = "en"
) -> float:
    """Return the best value of a metric over all accepted answers.

    Args:
        metric: `exact_match` or `token_f1`.
        answer: The answer; None, an answer that could not be read, is worth 0.
        golds: The accepted answers, at least one.
        language: ISO code of the data's language.
    """
    if answer is None:
        return 0.0
    return max(metric(answer, gold, language) for gold in golds)
