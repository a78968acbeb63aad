"""What records say in English, in Persian: reasons, sources, events, errors, notes on the data.

Records are written once, in English, and stay as they are; a report in Persian looks up what it
finds there. The words stand in `recorded_reasons` and `recorded_sentences`. What they do not know,
such as the reason that somebody's own method gives, is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from tarazu.report.persian import isolated
from tarazu.report.plain import one_line
from tarazu.report.recorded_reasons import REASONS, REMARKS, SOURCES
from tarazu.report.recorded_sentences import SENTENCES
from tarazu.text import Text

_PLACE = re.compile(r"\{(\w+)\}")
_AMOUNT = re.compile(r"[+-]?\d+(?:[.,]\d+)*%?")
# What follows the authors, year and place of a work: where in it, and a remark.
_LOCATORS = {
    "appendix": "پیوست", "tables": "جدول‌های", "table": "جدول", "sections": "بخش‌های",
    "section": "بخش", "figure": "شکل",
}  # fmt: skip
_WHERE = rf"(?:{'|'.join(_LOCATORS)}) [\w.]+(?: and (?:(?:{'|'.join(_LOCATORS)}) )?[\w.]+)?"
_WORK = re.compile(
    rf"(?P<work>.*?)(?P<where>(?:(?:^|, ){_WHERE})*)(?: \((?P<remark>[^()]*)\))?", re.DOTALL
)
_WORKS = re.compile(r"; (?![^()]*\))")
_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def recorded(text: str) -> Text:
    """Return a text of a record in both languages; what is not known in Persian stays English.

    Args:
        text: A reason, an event's message, an error, or a note.
    """
    line = one_line(text)
    return Text(line, _persian(line) or isolated(line))


def known_in_persian(text: str) -> bool:
    """Return whether a text of a record has Persian words."""
    return _persian(one_line(text)) is not None


def recorded_source(text: str) -> Text:
    """Return the source of a setting in both languages.

    The works that it names keep their names; tables, sections and remarks are put into words.

    Args:
        text: As the record has it, such as ``Liu et al. 2019, arXiv 1907.11692, table 10``.
    """
    line = one_line(text)
    return Text(line, "؛ ".join(map(_work, _WORKS.split(line))))


def _work(part: str) -> str:
    if known := _known(part, SOURCES):
        return known
    match = _WORK.fullmatch(part)
    if match is None:  # pragma: no cover - every text has the form, if only as a name
        return isolated(part)
    work, remark = match["work"], match["remark"] or ""
    told = _known(remark, REMARKS) or (remark if _AMOUNT.fullmatch(remark) else "")
    if remark and not told and not match["where"]:
        return isolated(part)  # such as the name of a conference: it belongs to the work
    parts = [isolated(work)] if work else []
    parts += [_locators(where) for where in match["where"].split(", ") if where]
    return "، ".join(parts) + (f" ({told or isolated(remark)})" if remark else "")


def _locators(where: str) -> str:
    words = where.replace(" and ", " و ").split(" ")
    return " ".join(_LOCATORS.get(word) or _place_in(word) for word in words)


def _place_in(word: str) -> str:
    if re.fullmatch("[0-9.]+", word):
        return word.translate(_DIGITS)
    return word if word == "و" else isolated(word)


def _persian(line: str) -> str | None:
    return _known(line, REASONS, SENTENCES)


def _known(line: str, *sources: tuple[Text, ...]) -> str | None:
    """Return the Persian of a line, with or without its full stop."""
    bare = line.removesuffix(".")
    end = line[len(bare) :]
    for texts in sources:
        exact, patterns = _tables(texts)
        if bare in exact:
            return exact[bare] + end
        for pattern, persian in patterns:
            if match := pattern.fullmatch(bare):
                values = {name: _value(value) for name, value in match.groupdict().items()}
                return persian.format(**values) + end
    return None


@cache
def _tables(
    texts: tuple[Text, ...],
) -> tuple[dict[str, str], tuple[tuple[re.Pattern[str], str], ...]]:
    """Return whole texts by their English, and those with places as patterns; no full stops."""
    bare = [(text.en.removesuffix("."), text.fa.removesuffix(".")) for text in texts]
    exact = {english: persian for english, persian in bare if not _PLACE.search(english)}
    patterns = tuple(
        (re.compile(_pattern(english), re.DOTALL), persian)
        for english, persian in bare
        if english not in exact
    )
    return exact, patterns


def _pattern(english: str) -> str:
    pieces: Iterable[str] = _PLACE.split(english)
    return "".join(
        f"(?P<{piece}>.+?)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)
    )


def _value(value: str) -> str:
    """Return what stands in a place: a number, a sentence that is known, or a name."""
    if _AMOUNT.fullmatch(value):
        return value
    return _persian(value) or isolated(value)
