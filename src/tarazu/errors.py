"""Errors that a user can act on: each names the place, the rule, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake in what the user gave.

    Attributes:
        where: File and line, option, or path of the key (``methods.lora.r``).
        rule: What must hold.
        value: What was found instead, as text; empty when nothing was found.
        remedy: What to do about it.
    """

    where: str
    rule: str
    value: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        found = f", but got {self.value}" if self.value else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{self.where}: {self.rule}{found}.{remedy}"


class BadInput(Exception):
    """The input cannot be used. The command line prints it without a traceback and exits with 2.

    Args:
        problems: All mistakes that were found, so that they can be mended in one go.
    """

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))

    def __reduce__(self) -> tuple[type[BadInput], tuple[Problem, ...]]:
        """Survive the way from a run's process to the parent."""
        return (type(self), self.problems)


def bad(where: str, rule: str, value: object = "", remedy: str = "") -> BadInput:
    """Build a `BadInput` of one problem."""
    return BadInput(Problem(where, rule, str(value), remedy))


def did_you_mean(value: str, valid: Iterable[str]) -> str:
    """Return a remedy that names the nearest valid name and all valid ones.

    Args:
        value: The unknown name.
        valid: The names that would have been right.
    """
    names = sorted(set(valid))
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    shown = ", ".join(names) if len(names) <= 40 else ", ".join(names[:40]) + ", …"
    return f"{hint}Valid: {shown}."
