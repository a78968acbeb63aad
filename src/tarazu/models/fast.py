"""Optimisations that can be switched off, to measure them and to test that they change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Fast:
    """Which optimisations are on. Without one, results are equal up to rounding.

    Attributes:
        packed: Prompts are scored side by side in one row, each with all its continuations.
            Without, they are padded, and continuations are scored after them.
        prefix_cache: What all prompts of a call begin with is computed once.
        own_greedy: Greedy answers come from a loop of our own, which rows leave at their end;
            it reads packed prompts. Without, from `transformers`, and every row goes on until the
            last one ends.
    """

    packed: bool = True
    prefix_cache: bool = True
    own_greedy: bool = True


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
