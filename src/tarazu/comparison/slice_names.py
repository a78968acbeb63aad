"""Slices and texts of an item by the names that people give them."""

from __future__ import annotations

import re

from tarazu.text import Text, isolated

SLICES = {
    "label": Text("label", "برچسب"),
    "genre": Text("genre", "گونهٔ متن"),
    "negation": Text("negation", "نفی"),
    "premise_length": Text("length of the premise", "درازای مقدمه"),
    "hypothesis_length": Text("length of the hypothesis", "درازای فرضیه"),
    "length": Text("length of the text", "درازای متن"),
    "answer_length": Text("length of the answer", "درازای پاسخ"),
    "context_length": Text("length of the context", "درازای متن زمینه"),
    "answer_type": Text("kind of answer", "گونهٔ پاسخ"),
    "question_word": Text("question word", "واژهٔ پرسشی"),
}

VALUES = {
    "yes": Text("yes", "دارد"),
    "no": Text("no", "ندارد"),
    "unknown": Text("unknown", "نامعلوم"),
    "other": Text("other", "دیگر"),
    "date": Text("date", "تاریخ"),
    "number": Text("number", "عدد"),
    "entity": Text("name", "نام"),
}

FIELDS = {
    "premise": Text("premise", "مقدمه"),
    "hypothesis": Text("hypothesis", "فرضیه"),
    "context": Text("context", "متن زمینه"),
    "question": Text("question", "پرسش"),
    "text": Text("text", "متن"),
}

_RANGE = re.compile(r"(\d+)(?:-(\d+)|\+)")


def slice_name(name: str) -> Text:
    """Return what the items of a slice are grouped by, for people.

    Args:
        name: As the task calls it; one that is not known stays so.
    """
    words = name.replace("_", " ")
    return SLICES.get(name) or Text(words, isolated(words))


def slice_value(value: str) -> Text:
    """Return a value of a slice for people: a range of words, a known word, or what the data say.

    Args:
        value: As the task calls it, such as ``11-20``, ``21+`` or ``entity``.
    """
    if match := _RANGE.fullmatch(value):
        low, high = match.groups()
        if high:
            return Text(f"{low} to {high} words", f"{low} تا {high} واژه")
        return Text(f"{low} words or more", f"{low} واژه یا بیشتر")
    return VALUES.get(value) or Text(value, isolated(value))


def field_name(name: str) -> Text:
    """Return the name of a text of an item, for people.

    Args:
        name: As the task calls it; one that is not known stays so.
    """
    return FIELDS.get(name) or Text(name, isolated(name))
