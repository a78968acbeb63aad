"""Words and numbers in the language of the page."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime

from tarazu.comparison.spread import Spread
from tarazu.report import numbers
from tarazu.report.html.words import MONTHS, UNITS, WORDS
from tarazu.report.numbers import NOTHING
from tarazu.report.persian import formula, isolated, persian_prose, persian_signs
from tarazu.report.plain import markdown_inline, markdown_sentence, one_line
from tarazu.text import Language, Text

# A number and its sign are not parted at the end of a line.
_UNIT = re.compile(r"(\d) ([%٪])")
_NOUGHTS = re.compile(r"\.0(?= )| 00 (?:s|min)$")


class Writer:
    """Writes for one page.

    Args:
        language: Language of the page.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._persian = language == "fa"

    def say(self, key: str, /, **values: str) -> str:
        """Return words of the page.

        Args:
            key: A key of `WORDS`.
            **values: What its placeholders stand for, ready to be shown.

        Raises:
            KeyError: There are no such words.
        """
        words = self.text(WORDS[key])
        return words.format(**values) if values else words

    def text(self, text: Text) -> str:
        """Return a text of the report, with the numbers of its language."""
        return self.prose(text.in_(self.language))

    def prose(self, sentence: str) -> str:
        """Return a sentence that is in the language of the page already."""
        if self._persian:
            return persian_prose(_UNIT.sub("\\1\\2", sentence))
        return _UNIT.sub("\\1\u00a0\\2", sentence)

    def literal(self, text: Text) -> str:
        """Return a text of the report as Markdown shows it literally."""
        return markdown_sentence(self.text(text)) if self._persian else markdown_inline(text.en)

    def inline(self, foreign: object) -> str:
        """Return a foreign text as Markdown shows it literally; it keeps its own direction."""
        shown = markdown_inline(foreign)
        return isolated(shown) if self._persian and shown else shown

    def name(self, name: object) -> str:
        """Return a name for use in a sentence; it keeps its own direction."""
        shown = one_line(name)
        return isolated(shown) if self._persian and shown else shown

    def listed(self, parts: Iterable[str]) -> str:
        """Return parts as a list in a sentence."""
        return ("، " if self._persian else ", ").join(parts)

    def number(self, value: float, decimals: int = 0) -> str:
        """Return a number with grouped digits."""
        return self._signs(f"{value:,.{decimals}f}") if math.isfinite(value) else NOTHING

    def decimal(self, value: float, decimals: int, *, signed: bool = False) -> str:
        """Return a number that may be negative, with its sign."""
        return self._formula(f"{value:{'+' if signed else ''}.{decimals}f}")

    def digits(self, text: str) -> str:
        """Return digits that are no quantity, such as a year or a version, without grouping."""
        return self._signs(text)

    def percent(self, share: float | None, decimals: int = 1) -> str:
        """Return a share in percent, without the sign."""
        if share is None or not math.isfinite(share):
            return NOTHING
        return self.number(100 * share, decimals)

    def share(self, share: float, decimals: int = 1) -> str:
        """Return a share in percent, with the sign."""
        number = self.percent(share, decimals)
        return f"{number}٪" if self._persian else f"{number}\u00a0%"

    def spread(self, spread: Spread | None) -> str:
        """Return mean ± standard deviation in percent."""
        return self._formula(numbers.percent(spread))

    def ends(self, low: float | None, high: float | None, *, signed: bool = False) -> str:
        """Return the ends of an interval in percent or points; a dash where there is none."""
        if low is None or high is None:
            return NOTHING
        sign = "+" if signed else ""
        return self._formula(f"{100 * low:{sign}.1f} … {100 * high:{sign}.1f}")

    def difference(self, value: float) -> str:
        """Return a difference in points, with its sign."""
        return self._formula(f"{100 * value:+.1f}")

    def p_value(self, value: float | None) -> str:
        """Return a p-value with as many digits as it deserves."""
        return self._formula(numbers.p_text(value))

    def signed(self, value: float | None, decimals: int = 2) -> str:
        """Return a number with its sign, such as a correlation."""
        return NOTHING if value is None else self._formula(f"{value:+.{decimals}f}")

    def money(self, amount: float | None) -> str:
        """Return an amount of money without its currency."""
        text = numbers.money(amount)
        return text if text == NOTHING else self._signs(text)

    def loss(self, value: float | None) -> str:
        """Return a loss."""
        return self._formula(numbers.loss(value))

    def duration(self, seconds: float | None) -> str:
        """Return a time such as ``3 min 05 s``."""
        return self._units(numbers.duration(seconds))

    def size(self, count: int | None) -> str:
        """Return a number of bytes such as ``1.2 GB``."""
        return self._units(numbers.size(count))

    def tick(self, text: str) -> str:
        """Return a round time or size without its noughts, such as ``10 min``.

        Args:
            text: As `tarazu.report.numbers` writes it.
        """
        return self._units(_NOUGHTS.sub("", text))

    def date(self, stamp: str) -> str:
        """Return the day of an ISO 8601 time stamp; what is none stays as it is."""
        try:
            day = datetime.fromisoformat(stamp)
        except ValueError:
            return one_line(stamp)
        month = MONTHS[day.month - 1].in_(self.language)
        return f"{self._signs(str(day.day))} {month} {self._signs(str(day.year))}"

    def _signs(self, number: str) -> str:
        return persian_signs(number) if self._persian else number

    def _formula(self, text: str) -> str:
        text = text.replace("-", "−")
        return formula(persian_signs(text)) if self._persian and text != NOTHING else text

    def _units(self, text: str) -> str:
        if not self._persian:
            return text
        parts = (UNITS.get(part, part) for part in text.split(" "))
        return persian_signs(" ".join(parts))
