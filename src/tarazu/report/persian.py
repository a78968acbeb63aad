"""Persian numbers, and names that keep their own direction within Persian text."""

from __future__ import annotations

import re

from tarazu.report.plain import one_line
from tarazu.text import isolated as _isolated

_SIGNS = str.maketrans("0123456789,.%", "۰۱۲۳۴۵۶۷۸۹٬٫٪")
# A number, unless it is a part of a Latin word such as F1, v2 or layers-0-3.
_NUMBER = re.compile(
    r"[\u2066\u2068][^\u2066-\u2069]*\u2069"
    r"|(?P<number>(?<![A-Za-z0-9_./-])\d+(?:[.,:]\d+)*%?(?![A-Za-z0-9_/]|-[A-Za-z]))"
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
