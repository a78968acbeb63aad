"""Readings: how an answer is read from a model, one file each.

``classes``: a head over the labels. ``spans``: a head over start and end tokens. ``text``: words,
generated or scored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tarazu.readings._reading import Reading


def find_reading(name: str) -> Reading:
    """Return a reading by name; its file is imported only then, since it needs torch."""
    from tarazu.readings import classes, spans, text

    return {"classes": classes.READING, "spans": spans.READING, "text": text.READING}[name]
