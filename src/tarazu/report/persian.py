"""Persian numbers, and names that keep their own direction within Persian text."""

from __future__ import annotations

import re

from tarazu.report.plain import one_line
from tarazu.text import isolated as _isolated

_SIGNS = str.maketrans("0123456789,.%", "۰۱۲۳۴۵۶۷۸۹٬٫٪")
# What is isolated already: a name, or something that is read from left to right.
_ISOLATED = r"[\u2066\u2068][^\u2066-\u2069]*\u2069"
_PLAIN = r"\d+(?:[.,:]\d+)*%?"
# No part of a Latin word such as F1, v2 or layers-0-3.
_START, _END = r"(?<![A-Za-z0-9_./-])", r"(?![A-Za-z0-9_/]|-[A-Za-z])"
_NUMBER = re.compile(rf"{_ISOLATED}|(?P<number>{_START}{_PLAIN}{_END})")
_SIGNED = rf"[+−-]?{_PLAIN}"
# Numbers with signs between or before them: 71.3 ± 0.8, 1.10 → 0.92, 12–15, −3.0, p < 0.001.
_FORMULA = re.compile(
    rf"{_ISOLATED}|(?P<formula>{_START}(?:"
    rf"{_SIGNED}(?: ?[±…→–+] ?{_SIGNED})+|[+−-]{_PLAIN}|[pκ] [=<≥] {_SIGNED}){_END})"
)


def isolated(name: object) -> str:
    """Return a foreign name, path or word, made harmless, for use within Persian text."""
    return _isolated(one_line(name))


def formula(signs: str) -> str:
    """Return something that is read from left to right even in Persian, such as ``0.7 ± 0.1``."""
    return f"\u2066{signs}\u2069"


def persian_signs(number: str) -> str:
    """Return a number with Persian digits and separators.

    Args:
        number: Nothing but a number, as English writes it.
    """
    return number.translate(_SIGNS)


def persian_numbers(words: str) -> str:
    """Return a Persian text whose numbers are Persian too; isolated names stay as they are."""
    return _NUMBER.sub(
        lambda match: persian_signs(match[0]) if match["number"] else match[0], words
    )


def persian_prose(words: str) -> str:
    """Return a Persian text with Persian numbers, its formulas laid out from left to right.

    Args:
        words: The text; isolated names stay as they are.
    """
    isolated_formulas = _FORMULA.sub(
        lambda match: formula(persian_numbers(_minus(match[0]))) if match["formula"] else match[0],
        words,
    )
    return persian_numbers(isolated_formulas)


def _minus(signs: str) -> str:
    # No break within: a line that ends in a formula would show its halves in the wrong order.
    return signs.replace("-", "−").replace(" ", "\u00a0")
