"""Persian numbers, and names that keep their own direction within Persian text."""

from __future__ import annotations

import re

from tarazu.report.plain import one_line

# First-strong isolate and its end: what stands between them is laid out on its own, so that a
# Latin name neither moves the words around it nor is moved by them (Unicode annex 9, UAX #9).
_OPEN, _CLOSE = "\u2068", "\u2069"
_LEFT_TO_RIGHT = "\u2066"
_SIGNS = str.maketrans("0123456789,.%", "۰۱۲۳۴۵۶۷۸۹٬٫٪")
# A number, unless it is a part of a Latin word such as F1, v2 or layers-0-3.
_NUMBER = re.compile(
    r"[\u2066\u2068][^\u2066-\u2069]*\u2069"
    r"|(?P<number>(?<![A-Za-z0-9_./-])\d+(?:[.,:]\d+)*%?(?![A-Za-z0-9_/]|-[A-Za-z]))"
)


def isolated(name: object) -> str:
    """Return a name, path or foreign word for use within Persian text."""
    return f"{_OPEN}{one_line(name)}{_CLOSE}"


def formula(text: str) -> str:
    """Return something that is read from left to right even in Persian, such as ``0.7 ± 0.1``."""
    return f"{_LEFT_TO_RIGHT}{text}{_CLOSE}"


def persian_signs(number: str) -> str:
    """Return a number with Persian digits and separators.

    Args:
        number: Nothing but a number, as English writes it.
    """
    return number.translate(_SIGNS)


def persian_numbers(text: str) -> str:
    """Return a Persian text whose numbers are Persian too; isolated names stay as they are."""
    return _NUMBER.sub(
        lambda match: persian_signs(match[0]) if match["number"] else match[0], text
    )
