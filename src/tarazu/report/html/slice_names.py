"""Splits and slices by the names that people give them."""

from __future__ import annotations

from tarazu.comparison import slice_names
from tarazu.report.html.words import WORDS
from tarazu.report.html.writer import Writer
from tarazu.report.plain import one_line


def slice_name(name: str, write: Writer) -> str:
    """Return the name of a slice; one that is not known stays as the task calls it."""
    return write.text(slice_names.slice_name(one_line(name)))


def split_name(name: str, write: Writer) -> str:
    """Return the name of a split: training and validation have words, test splits are named."""
    key = f"split_{name}"
    return write.say(key) if key in WORDS else write.name(name)


def slice_value(value: str, write: Writer) -> str:
    """Return a value of a slice: a range of words, a known word, or what the data say."""
    return write.text(slice_names.slice_value(one_line(value)))


def field_name(name: str, write: Writer) -> str:
    """Return the name of a text of an item; one that is not known stays as the task calls it."""
    return write.text(slice_names.field_name(one_line(name)))
