"""Optimisations that can be switched off, to measure them and to test that they change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Fast:
    """Which optimisations are on.

    Attributes:
        split_trunk: A frozen trunk runs over each sequence alone, and batches start above it.
            Without, it is part of every forward pass: equal up to rounding.
        trunk_cache: What the frozen trunk computed is kept. Without, it is computed whenever it is
            needed: equal to the last bit.
    """

    split_trunk: bool = True
    trunk_cache: bool = True


_FAST: ContextVar[Fast] = ContextVar("fast", default=Fast())  # noqa: B039 - it is frozen


def fast() -> Fast:
    """Return which optimisations are on here."""
    return _FAST.get()


@contextmanager
def using(choice: Fast) -> Iterator[None]:
    """Switch optimisations on and off for what runs inside."""
    token = _FAST.set(choice)
    try:
        yield
    finally:
        _FAST.reset(token)
