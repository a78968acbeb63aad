"""Texts that can be pasted in public: no home folder, user, machine, address or secret in them.

Names of this user and this machine are taken from the variables that hold them, the list of users,
the system and the home folder's own name. A name of a user that has parts (``alice.smith``) is
looked for by its parts, too. Capitals make no difference. How far a name is looked for depends on
how likely it is to be something else:

- four characters and more: wherever they stand, inside of words, too (``/data/aliceprojects``);
- three: as a word, next to anything but a letter (``team_bob``, ``bob2``, not ``bobbin``);
- one and two: as a word, and in paths only, that is, in what holds a slash;
- words that name nobody, such as ``root``, ``data``, ``user`` or ``torch``: nowhere.

Where folders lie is shown, since it says which disk is meant: parts of a path that are no such name
stay readable, a project's name among them.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tarazu.scrub import HIDDEN, scrub

# Words that name nobody: hiding them would spoil what they stand in. Accounts and folders that
# systems come with, and words in which a diagnosis is told.
_COMMON = frozenset(
    """
    root user users home tmp temp localhost localdomain local linux ubuntu debian fedora centos
    data dataset datasets admin administrator nobody guest test tests work workspace share shared
    scratch public project projects student default docker container colab content kaggle jovyan
    cpu gpu cuda rocm torch nvidia tesla python python3 tarazu model models cache hub out output
    temporary files file folder ledger memory disk float float16 float32 bfloat bfloat16 error
    warning none null true false dev lib usr var opt srv mnt net app bin etc run bit not
    """.split()  # noqa: SIM905 - a list of words is easier to read so
)
_ANYWHERE = 4  # characters of a name that is looked for inside of words
_WORD = 3  # of one that is looked for as a word; shorter ones in paths only
_LETTER = r"[^\W\d_]"
_PATH = re.compile(r"\S*[/\\]\S*")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# Homes of whomever, this user or another one.
_HOMES = re.compile(r"([/\\](?:homes?|users)[/\\])(?!\[hidden\])[^/\\\s:'\"]+", re.IGNORECASE)


class Privacy:
    """Takes out of texts what names this user or this machine, and secrets."""

    def __init__(self) -> None:
        self._homes = sorted(_homes(), key=len, reverse=True)
        names = _names()
        self._anywhere = _any_of(
            [re.escape(name) for name in names if len(name) >= _ANYWHERE]
            + [_as_word(name) for name in names if len(name) == _WORD]
        )
        self._in_paths = _any_of([_as_word(name) for name in names if len(name) < _WORD])

    def text(self, text: str) -> str:
        """Return a text in which the home folder is ``~`` and names and secrets are hidden."""
        text = scrub(text)
        for home in self._homes:
            text = re.sub(rf"(?<![\w.-]){re.escape(home)}(?=/|$|[^\w.-])", "~", text)
        text = _HOMES.sub(rf"\1{HIDDEN}", text)
        text = _EMAIL.sub(HIDDEN, text)
        text = self._anywhere.sub(HIDDEN, text)
        return _PATH.sub(lambda path: self._in_paths.sub(HIDDEN, path[0]), text)

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


def _as_word(name: str) -> str:
    return rf"(?<!{_LETTER}){re.escape(name)}(?!{_LETTER})"


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    # What is hidden already is taken first, so that it stays as it is, whatever names there are.
    return re.compile("|".join([re.escape(HIDDEN), *patterns]), re.IGNORECASE)


def _names() -> list[str]:
    """Return the names of user and machine, longest first, but for words that name nobody."""
    users = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
    with suppress(Exception):  # a user without an entry in the list of users
        users.add(getpass.getuser())
    users |= {Path(home).name for home in _homes()}
    parts = {part for name in users for part in re.split(r"[^\w]|_", name)}
    users |= {part for part in parts if len(part) >= _ANYWHERE}
    machines = {os.environ.get(name, "") for name in ("HOSTNAME", "COMPUTERNAME")}
    with suppress(OSError):
        machines.add(platform.node())
    machines |= {name.partition(".")[0] for name in machines}
    found = {name.strip() for name in users | machines}
    # Systems write accents as characters of their own, or do not.
    found |= {unicodedata.normalize(form, name) for form in ("NFC", "NFD") for name in found}
    known = {name for name in found if name and name.lower() not in _COMMON}
    return sorted(known, key=lambda name: (-len(name), name))
