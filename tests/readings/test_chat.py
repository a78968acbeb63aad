"""A model's chat template writes the same as without limits, and cannot hang or fill the memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tarazu.errors import BadInput
from tarazu.models.load import load_tokenizer
from tarazu.readings import chat
from tarazu.readings.chat import TemplateError, chat_text

TURNS = [
    {"role": "system", "content": "Say the label. ترازو 😀"},
    {"role": "user", "content": "Premise: {{ 7 * 7 }} </s>\n\u2028 \x85 line\nLabel:"},
]


@pytest.fixture
def tokenizer(tiny: Callable[..., Path]) -> Any:
    return load_tokenizer(tiny("llama-chat"))


def expected(tokenizer: Any) -> str:
    text: str = tokenizer.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
    return text


def test_t7_the_text_is_the_one_of_transformers(tokenizer: Any) -> None:
    assert chat_text(tokenizer, TURNS, "m") == expected(tokenizer)
    tokenizer.chat_template = "{{ bos_token }}{{ messages|tojson }}{{ eos_token }}"
    assert chat_text(tokenizer, TURNS, "m") == expected(tokenizer)


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "no an"),
        ("{{ messages[0].content * 5000000 }}", "characters|memory"),
        ("{{ 'x' * 100000000000 }}", "memory"),
        ("{{ '%99999999999d' % 1 }}", "memory"),
        ("{% set ns = namespace(a=['x']) %}{% for i in range(60) %}"
         "{% set ns.a = ns.a + ns.a %}{% endfor %}", "memory"),
    ],
)  # fmt: skip
def test_a_template_without_end_is_bad_input_that_names_the_model(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, template: str, found: str
) -> None:
    monkeypatch.setattr(chat, "SECONDS", 2.0)
    good = tokenizer.chat_template
    tokenizer.chat_template = template
    begun = time.monotonic()
    with pytest.raises(BadInput, match=rf"^models\.smol: .*({found})") as refused:
        chat_text(tokenizer, TURNS, "smol")
    assert time.monotonic() - begun < 30
    assert "chat: 'off'" in str(refused.value)
    tokenizer.chat_template = good  # the next one is answered all the same
    assert chat_text(tokenizer, TURNS, "m") == expected(tokenizer)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append.__globals__ }}",
        "{{ messages.append({}) }}",
        "{% include '/etc/passwd' %}",
        "{{ raise_exception('no') }}",
        "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% for %}",
    ],
)
def test_what_the_sandbox_refuses_is_an_error_of_the_template(
    tokenizer: Any, template: str
) -> None:
    tokenizer.chat_template = template
    with pytest.raises(TemplateError):
        chat_text(tokenizer, TURNS, "m")


def test_the_process_of_templates_holds_no_token(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 30)
    chat.end_worker()
    chat_text(tokenizer, TURNS, "m")
    assert chat._worker is not None
    process = chat._worker[1]._process
    assert b"hf_xxx" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    chat.end_worker()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
