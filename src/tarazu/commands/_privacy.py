"""Texts that can be pasted in public: no home folder, user, machine, address or secret in them."""

from __future__ import annotations

import getpass
import os
import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tarazu.scrub import HIDDEN, scrub

# Words that name nobody: hiding them would spoil what they stand in.
_COMMON = frozenset({"", "root", "user", "home", "tmp", "localhost", "linux", "ubuntu", "debian"})
_SHORTEST = 3
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# Homes of whomever, this user or another one.
_HOMES = re.compile(r"(/(?:home|Users)/)[^/\s:'\"]+")


class Privacy:
    """Takes out of texts what names this user or this machine, and secrets."""

    def __init__(self) -> None:
        self._homes = sorted(_homes(), key=len, reverse=True)
        self._names = [re.compile(rf"(?<![\w.-]){re.escape(n)}(?![\w-])") for n in _names()]

    def text(self, text: str) -> str:
        """Return a text in which the home folder is ``~`` and names and secrets are hidden."""
        text = scrub(text)
        for home in self._homes:
            text = re.sub(rf"{re.escape(home)}(?=/|$|[^\w.-])", "~", text)
        text = _HOMES.sub(rf"\1{HIDDEN}", text)
        text = _EMAIL.sub(HIDDEN, text)
        for name in self._names:
            text = name.sub(HIDDEN, text)
        return text

    def values(self, value: Any) -> Any:
        """Return JSON values whose texts are fit to be shown; keys are ours and stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.values(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.values(item) for item in value]
        return value


def _homes() -> set[str]:
    found = set()
    with suppress(RuntimeError, OSError):
        home = Path.home()
        found = {str(home), str(home.resolve())}
    return {home for home in found if len(home) > 1}  # "/" is the home of some containers


def _names() -> list[str]:
    """Return the names of user and machine that would be recognised, longest first."""
    found = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME")}
    with suppress(Exception):  # a user without an entry in the list of users
        found.add(getpass.getuser())
    with suppress(OSError):
        found.add(platform.node())
    found |= {name.partition(".")[0] for name in found}
    known = {n for n in found if len(n) >= _SHORTEST and n.lower() not in _COMMON}
    return sorted(known, key=len, reverse=True)
