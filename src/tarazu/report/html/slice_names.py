"""Slices by the names that people give them."""

from __future__ import annotations

import re

from tarazu.report.html.words import SLICES, VALUES, WORDS
from tarazu.report.html.writer import Writer
from tarazu.report.plain import one_line

_RANGE = re.compile(r"(\d+)(?:-(\d+)|\+)")


def slice_name(name: str, write: Writer) -> str:
    """Return the name of a slice; one that is not known stays as the task calls it."""
    known = SLICES.get(name)
    return write.text(known) if known else write.name(name.replace("_", " "))


def split_name(name: str, write: Writer) -> str:
    """Return the name of a split: training and validation have words, test splits are named."""
    key = f"split_{name}"
    return write.say(key) if key in WORDS else write.name(name)


def slice_value(value: str, write: Writer) -> str:
    """Return a value of a slice: a range of words, a known word, or what the data say."""
    if match := _RANGE.fullmatch(value):
        low, high = match.groups()
        key = "range" if high else "range_open"
        return write.say(key, low=write.digits(low), high=write.digits(high or ""))
    known = VALUES.get(value)
    return write.text(known) if known else one_line(value)
