"""A study with texts that mean harm."""

from __future__ import annotations

import pytest

from tarazu.report.api import read_results, report_html
from tarazu.testing.folders import make_folder, make_items

NASTY = [
    ("<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>"),
    ('"quoted" & <b>bold</b>', "it's {{ 7 * 7 }} \u202egnorts\u202c \u2028 end"),
    ("<!-- <style>", "SECRET-TEXT-1"),
]
PROMPT = {
    "frame": "Say. ⟨premise⟩ <|end|>",
    "chat_template": True,
    "label_words": {"neutral": "maybe"},
    "demonstrations": {"how": "at random", "ids": ["d-1"]},
    "virtual_tokens": {"count": 2, "nearest_words": ["<i>one</i>", "two"]},
    "text": "SECRET-TEXT-2 <script>alert(3)</script>",
}
EXPLAIN = {
    "en": "**What it is.** `y = W·x` <script>alert(4)</script> [x](javascript:alert(5))\n\n"
    "| matrix | d × k |\n|---|---|\n| `q` | 4 × 4 |\n\n![picture](http://example.org/x.png)",
    "fa": "**چیست؟** `y = W·x` <b>درشت</b>",
}


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    folder = make_folder(
        tmp_path_factory.mktemp("page") / "out",
        {"lora": 0.9, "full": 0.85, "<script>evil": 0.4},
        make_items(60, NASTY),
        seeds=(0, 1),
        prompt=PROMPT,
        explain=EXPLAIN,
        selected_epoch=3,
    )
    return read_results(folder)


@pytest.fixture(scope="session")
def page(results):
    """Return the page in a language: `page("fa", redacted=True)`."""
    made = {}

    def render(language="en", *, redacted=False):
        key = (language, redacted)
        if key not in made:
            made[key] = report_html(results, language=language, redacted=redacted)
        return made[key]

    return render
