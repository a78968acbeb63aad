"""Tokens and passwords taken out of texts that are kept: records, logs, messages.

An exception of the Hub's client or of a tracker may carry the header or the address that it was
sent with. What is known to be a secret here (the environment, the Hub's stored token, passwords in
``~/.netrc``, where trackers keep theirs) is replaced wherever it stands; beside that, what has the
form of one.
"""

from __future__ import annotations

import json
import netrc
import os
import re
from pathlib import Path
from urllib.parse import quote

HIDDEN = "[hidden]"

_NAMES = re.compile(
    r"(?:^|_)(?:TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|SECRET|PASSWORD|PASSWD)$", re.IGNORECASE
)
# Nothing is a secret that a word or a number of ordinary text could be.
_SECRET = re.compile(r"\S{12,}|(?=\S*\d)(?=\S*[A-Za-z])\S{8,}")
_FORMS = (
    re.compile(r"(?:hf|api_org)_[A-Za-z0-9]{20,}"),
    re.compile(r"(?<=://)[^/\s:@\"'\\]*:[^/\s@\"'\\]+(?=@)"),  # https://user:password@host
    re.compile(r"(?<=://)[^/\s:@\"'\\]{12,}(?=@)"),  # https://token@host
    re.compile(r"(?i)(?<=bearer )(?=[\w.~+/=-]*\d)[\w.~+/=-]{12,}"),
)


def scrub(text: str) -> str:
    """Return a text without tokens and passwords.

    Args:
        text: Any text, JSON included: what is replaced holds no quotes.
    """
    for secret in _known():
        text = text.replace(secret, HIDDEN)
    for form in _FORMS:
        text = form.sub(HIDDEN, text)
    return text


def _known() -> list[str]:
    """Return the secrets of this machine, longest first: one may be part of another."""
    found = {value.strip() for name, value in os.environ.items() if _NAMES.search(name)}
    found |= {_stored(), *_netrc()}
    found = {one for one in found if _SECRET.fullmatch(one)}
    forms = {form(one) for one in found for form in (str, _in_address, _in_json)}
    return sorted(forms, key=len, reverse=True)


def _in_address(secret: str) -> str:
    return quote(secret, safe="", errors="surrogateescape")  # a variable may hold any bytes


def _in_json(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def _stored() -> str:
    """Return the token that ``hf auth login`` stored, if there is one."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        home = Path(os.environ.get("HF_HOME") or cache / "huggingface")
        file = Path(os.environ.get("HF_TOKEN_PATH") or home / "token").expanduser()
        return file.read_text("utf-8").strip()
    except (OSError, ValueError, RuntimeError):  # nobody's home
        return ""


def _netrc() -> list[str]:
    """Return the passwords of ``~/.netrc``, or of the file that NETRC names."""
    try:
        # A file by name: only the default one is refused where others may read it.
        file = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
        hosts = netrc.netrc(str(file)).hosts.values()
    except (OSError, ValueError, RuntimeError, netrc.NetrcParseError):
        return []
    return [password for _, _, password in hosts if password]
