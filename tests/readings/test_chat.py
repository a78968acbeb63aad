"""A model's chat template writes the same as without limits, and cannot hang or fill the memory."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import datetime
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
    # A template that asks for the day is always told the same one.
    return text.replace(f"{datetime.now().astimezone():%d %b %Y}", "26 Jul 2024")


# How the families write, shortened where a template goes on about tools.
FAMILIES = {
    "everything": "{{ bos_token }}{{ messages|tojson }}{{ eos_token }}{{ unk_token }}",
    "smollm2": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' "
    "%}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "tinyllama": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ "
    "'<|user|>\n'"
    " + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ "
    "'<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' "
    "%}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last "
    "and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "qwen": "{%- if tools %}\n    {{- tools|length }}\n{%- else %}\n    {%- if messages[0].role == "
    "'system' %}\n        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}\n"
    "    {%- endif %}\n{%- endif %}\n{%- set ns = namespace(multi=true, last=messages|length - 1) "
    "%}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - "
    "loop.index0 %}\n    {%- if ns.multi and message.role == 'user' and message.content is string "
    "and not(message.content.startswith('<tool>')) %}\n        {%- set ns.multi = false %}\n"
    "        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n{%- for message in "
    "messages %}\n    {%- if message.role == 'user' or (message.role == 'system' and not "
    "loop.first) %}\n        {{- '<|im_start|>' + message.role + '\n' + message.content + "
    "'<|im_end|>' + '\n' }}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n"
    "    {{- '<|im_start|>assistant\n' }}\n    {%- if enable_thinking is defined and "
    "enable_thinking is false %}\n        {{- '<think>\n\n</think>\n\n' }}\n    {%- endif %}\n"
    "{%- endif %}",
    "llama3": "{{- bos_token }}\n{%- if custom_tools is defined %}\n    {%- set tools = "
    "custom_tools "
    "%}\n{%- endif %}\n{%- if not date_string is defined %}\n    {%- if strftime_now is "
    "defined %}\n"
    "        {%- set date_string = strftime_now('%d %b %Y') %}\n    {%- else %}\n        {%- set "
    "date_string = '26 Jul 2024' %}\n    {%- endif %}\n{%- endif %}\n{%- if messages[0]['role'] == "
    "'system' %}\n    {%- set system_message = messages[0]['content']|trim %}\n    {%- set "
    "messages "
    "= messages[1:] %}\n{%- else %}\n    {%- set system_message = '' %}\n{%- endif %}\n{{- "
    "'<|start_header_id|>system<|end_header_id|>\n\n' }}\n{{- 'Today Date: ' + date_string + '\n\n'"
    " }}\n{{- system_message }}\n{{- '<|eot_id|>' }}\n{%- for message in messages %}\n    {{- "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- "
    "'<|start_header_id|>assistant<|end_header_id|>\n\n' }}\n{%- endif %}\n",
    "mistral": "{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = "
    "messages[0]['content'] %}\n    {%- set loop_messages = messages[1:] %}\n{%- else %}\n    {%- "
    "set loop_messages = messages %}\n{%- endif %}\n\n{{- bos_token }}\n{%- for message in "
    "loop_messages %}\n    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\n"
    "        {{- raise_exception('roles must alternate') }}\n    {%- endif %}\n    {%- if "
    "message['role'] == 'user' %}\n        {%- if loop.first and system_message is defined %}\n"
    "            {{- ' [INST] ' + system_message + '\n\n' + message['content'] + ' [/INST]' }}\n"
    "        {%- else %}\n            {{- ' [INST] ' + message['content'] + ' [/INST]' }}\n"
    "        {%- endif %}\n    {%- endif %}\n{%- endfor %}\n",
}  # fmt: skip


def test_t7_the_text_is_the_one_of_transformers(tokenizer: Any) -> None:
    assert chat_text(tokenizer, TURNS, "m") == expected(tokenizer)


@pytest.mark.parametrize("family", FAMILIES)
def test_t7_families_of_templates_write_the_same(tokenizer: Any, family: str) -> None:
    tokenizer.chat_template = FAMILIES[family]
    written = chat_text(tokenizer, TURNS, "m")
    assert written == expected(tokenizer)
    assert "7 * 7" in written


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (FAMILIES["llama3"], "Today Date: 26 Jul 2024\n"),
        ("{{ strftime_now('%Y-%m-%d') }}", "2024-07-26"),
        ("{{ strftime_now('%H:%M:%S %A %B') }}", "00:00:00 Friday July"),
    ],
)
def test_a_prompt_is_the_same_tomorrow(tokenizer: Any, template: str, text: str) -> None:
    tokenizer.chat_template = template
    assert text in chat_text(tokenizer, TURNS, "m")


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "no an"),
        ("{{ messages[0].content * 5000000 }}", "characters|memory"),
        ("{{ 'x' * 100000000000 }}", "memory"),
        ("{{ '%99999999999d' % 1 }}", "memory"),
        ("{{ ('x' * 700000000)|length }}", "more than 512 MiB of memory"),
        ("{% set ns = namespace(a=['x']) %}{% for i in range(60) %}"
         "{% set ns.a = ns.a + ns.a %}{% endfor %}", "memory"),
    ],
)  # fmt: skip
def test_a_template_without_end_is_bad_input_that_names_the_model(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, template: str, found: str
) -> None:
    # Filling the memory takes a second where the machine is busy, and is to be told from looping.
    monkeypatch.setattr(chat, "SECONDS", 0.5 if found == "no an" else 10.0)
    good = tokenizer.chat_template
    tokenizer.chat_template = template
    begun = time.monotonic()
    with pytest.raises(BadInput, match=rf"^models\.smol: .*, but got .*({found})") as refused:
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


def worker() -> subprocess.Popen[bytes]:
    assert chat._worker is not None
    return chat._worker[1]._process


def test_a_stopped_study_or_a_busy_machine_makes_no_template_wrong(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.start_worker()
    monkeypatch.setattr(chat, "SECONDS", 0.5)
    monkeypatch.setattr(chat, "PATIENCE", 30.0)
    os.kill(worker().pid, signal.SIGSTOP)  # it gets no processor
    threading.Timer(1.0, os.kill, (worker().pid, signal.SIGCONT)).start()
    assert chat_text(tokenizer, TURNS, "m") == expected(tokenizer)
    # The answer was there, but this process was stopped before it looked.
    real = select.select

    def late(reading: Any, *others: Any) -> Any:
        real(reading, [], [], 30.0)
        return real(reading, *others)

    monkeypatch.setattr(chat, "PATIENCE", 0.0)
    monkeypatch.setattr(select, "select", late)
    assert chat_text(tokenizer, TURNS, "m") == expected(tokenizer)


def test_a_process_that_is_silent_is_given_up(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.start_worker()
    silent = worker()
    monkeypatch.setattr(chat, "PATIENCE", 0.2)
    os.kill(silent.pid, signal.SIGSTOP)
    with pytest.raises(BadInput, match=r"no answer in 0\.2 seconds"):
        chat_text(tokenizer, TURNS, "m")
    assert silent.poll() is not None


def test_an_endless_template_outlives_no_study(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.end_worker()
    chat.start_worker()
    request = {"template": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
               "{% endfor %}", "turns": [], "tokens": {}, "longest": 1, "seconds": 0.5}  # fmt: skip
    process = worker()
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.close()  # as when the study is killed: nobody is left to end it
    assert process.wait(30) == -signal.SIGPROF
    chat.end_worker()


def test_a_process_that_does_not_start_is_not_the_templates_fault(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.end_worker()
    monkeypatch.setattr(chat.sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match=r"did not start: its process ended with the code 1"):
        chat_text(tokenizer, TURNS, "m")
    monkeypatch.undo()
    assert chat_text(tokenizer, TURNS, "m") == expected(tokenizer)
