from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import tarazu.report.html
from tarazu.report.html import words
from tarazu.report.html.page import SECTIONS
from tarazu.report.html.words import BROWSER_WORDS, WORDS
from tarazu.text import Text

FOLDER = Path(tarazu.report.html.__file__).parent
SOURCES = {
    path.name: path.read_text("utf-8")
    for path in (*FOLDER.glob("*.py"), *FOLDER.glob("templates/*"))
    if path.name != "words.py"
}


def slots(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def every_text():
    for name, value in vars(words).items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", text) for key, text in value.items())
        elif isinstance(value, tuple):
            yield from ((f"{name}.{place}", text) for place, text in enumerate(value))


@pytest.mark.parametrize(("key", "text"), [p for p in every_text() if isinstance(p[1], Text)])
def test_both_languages_say_the_same(key, text):
    assert text.en
    assert text.fa
    assert slots(text.en) == slots(text.fa)
    persian = re.sub(r"\{\w+\}|SHA-256|\bp\b|[F]1", "", text.fa)
    assert not re.search(r"[A-Za-z0-9]", persian), "Latin letters or digits"
    assert not re.search(r"[يك]", persian), "Arabic letters instead of Persian ones"


def test_every_key_that_is_said_is_there_and_none_is_spare():
    said = set(BROWSER_WORDS) | {
        f"{kind}_{name}" for kind in ("section", "about") for name in SECTIONS
    }
    for text in SOURCES.values():
        said |= set(re.findall(r"""["']([a-z_0-9]+)["']""", text))
    families = ("leakage_", "split_", "prompt_", "order_", "state_", "step_")
    spare = [k for k in WORDS if k not in said and not k.startswith(families)]
    assert spare == []
    calls = re.compile(r"""\bsay\(\s*["']([a-z_0-9]+)["']\s*[,)]""")
    missing = {key for text in SOURCES.values() for key in calls.findall(text)} - set(WORDS)
    assert missing == set()


def test_what_the_script_says_is_handed_to_it():
    script = SOURCES["script.js"]
    said = set(re.findall(r"\bsay\(\s*\"([a-z_]+)\"", script))
    said |= set(re.findall(r"head\(\"([a-z_]+)\"\)", script)) | {
        "state_any",
        "state_right",
        "state_wrong",
    }
    assert said <= set(BROWSER_WORDS)


def test_templates_hold_no_words():
    for name, text in SOURCES.items():
        if name.endswith(".jinja"):
            bare = re.sub(r"\{[%{].*?[%}]\}|<[^>]*>", " ", text, flags=re.DOTALL)
            found = set(re.findall(r"[A-Za-z]{2,}", bare)) - {"tarazu"}
            assert found == set(), name
