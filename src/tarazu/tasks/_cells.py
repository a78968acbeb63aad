"""Reading single values of a row of data, with the checks that each has to pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tarazu.tasks._task import Row


class Refused(Exception):
    """A value breaks a rule; the row cannot be used.

    Args:
        rule: What must hold.
        value: What was found instead.
        remedy: What to do about it.
    """

    def __init__(self, rule: str, value: object = "", remedy: str = "") -> None:
        self.rule, self.value, self.remedy = rule, str(value), remedy
        super().__init__(rule)


def text_cell(row: Row, column: str) -> str:
    """Return a column's text as it is.

    Raises:
        Refused: There is no text, or only white space.
    """
    value = row.get(column)
    if value is not None and not isinstance(value, str):
        raise Refused(
            f"must have a text in column '{column}'", f"{value!r} ({type(value).__name__})"
        )
    if value is None or not value.strip():
        raise Refused(f"must have a text in column '{column}'", "an empty one", "Remove the row.")
    return readable(value, column)


def readable(text: str, column: str) -> str:
    """Return the text if it is text: broken escapes cannot be written as UTF-8.

    Raises:
        Refused: It holds half a surrogate pair, or a NUL, as no text file may either.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        rule = f"must have valid Unicode in column '{column}'"
        raise Refused(rule, ascii(text[:40]), "Write the file again as UTF-8.") from None
    if "\0" in text:
        place = text.index("\0")
        rule = f"must have no NUL character in column '{column}'"
        raise Refused(rule, f"one at position {place}", "Remove it, or remove the row.")
    return text


def spelling_of(value: object) -> str:
    """Return a label's value as text; a whole number that was read as a float is that number."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def answers_cell(row: Row, column: str) -> tuple[list[str], list[int | None]]:
    """Return the texts and offsets of ``{text: [...], answer_start: [...]}``.

    Offsets may be absent (None); both lists are empty when a question has no answer.

    Raises:
        Refused: The value has another shape, or an answer is empty.
    """
    value = row.get(column)
    texts = _list(value.get("text")) if isinstance(value, Mapping) else None
    starts = _list(value.get("answer_start")) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping) and texts is not None and value.get("answer_start") is None:
        starts = [None] * len(texts)
    good_texts = [text for text in texts or () if isinstance(text, str)]
    good_starts = [start for start in starts or () if start is None or isinstance(start, int)]
    if texts != good_texts or starts != good_starts:
        raise Refused(
            f"must have {{text: [...], answer_start: [...]}} in column '{column}'", repr(value)
        )
    if len(good_starts) != len(good_texts):
        raise Refused(
            f"must have as many offsets as answers in column '{column}'",
            f"{len(good_starts)} for {len(good_texts)}",
        )
    if not all(text.strip() for text in good_texts):
        raise Refused(f"must not have an empty answer in column '{column}'")
    return [readable(text, column) for text in good_texts], good_starts


def _list(value: object) -> list[object] | None:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    return None


def nearest(context: str, text: str, start: int | None) -> int | None:
    """Return where a text occurs nearest to a stated offset; its first place without one.

    Args:
        context: The text to look in.
        text: The text to look for.
        start: The stated offset.
    """
    wanted = 0 if start is None else start
    if wanted >= 0 and context.startswith(text, wanted):
        return wanted
    best, place = None, context.find(text)
    while place >= 0:
        if best is None or abs(place - wanted) < abs(best - wanted):
            best = place
        place = context.find(text, place + 1)
    return best
