"""Tokens and passwords taken out of texts that are kept: records, logs, messages.

An exception of the Hub's client or of a tracker may carry the header or the address that it was
sent with. What is known to be a secret here (the environment, the Hub's stored token) is replaced
wherever it stands; beside that, what has the form of one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

HIDDEN = "[hidden]"

_NAMES = re.compile(r"(?:^|_)(?:TOKEN|API_?KEY|SECRET|PASSWORD|SECRET_ACCESS_KEY)$", re.IGNORECASE)
# A shorter value would stand in ordinary text: nothing is a secret that a word could be.
_SHORTEST = 12
_FORMS = (
    re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{20,}"),
    re.compile(r"(?<=://)[^/\s:@\"'\\]*:[^/\s@\"'\\]+(?=@)"),  # https://user:password@host
    re.compile(r"(?<=://)[^/\s:@\"'\\]{12,}(?=@)"),  # https://token@host
    re.compile(r"(?i)(?<=bearer )[\w.~+/=-]{8,}"),
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
    found.add(_stored())
    found = {one for one in found if len(one) >= _SHORTEST and not re.search(r"\s", one)}
    return sorted(found | {quote(one, safe="") for one in found}, key=len, reverse=True)


def _stored() -> str:
    """Return the token that ``hf auth login`` stored, if there is one."""
    home = Path(os.environ.get("HF_HOME") or Path("~/.cache/huggingface").expanduser())
    try:
        return Path(os.environ.get("HF_TOKEN_PATH") or home / "token").read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""
