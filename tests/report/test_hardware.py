"""Reports name what computed, in both languages and harmlessly."""

from __future__ import annotations

import pytest

from tarazu.record.record import Hardware, RunRecord
from tarazu.report.html.hardware import device_of
from tarazu.report.html.header import header
from tarazu.report.html.source import Source
from tarazu.report.html.writer import Writer
from tarazu.report.markdown import markdown
from tarazu.testing.records import make_record
from tarazu.text import Language

T4 = Hardware(
    processor="Intel Xeon",
    card="Tesla T4",
    card_memory=15_835_660_288,
    capability="7.5",
    driver="535.104.05",
)


def record(device: str, parts: Hardware | None, **changes: object) -> RunRecord:
    made = make_record(**changes)  # type: ignore[arg-type]
    environment = made.environment.model_copy(update={"device": device, "hardware": parts})
    return made.model_copy(update={"environment": environment})


@pytest.mark.parametrize(
    ("device", "parts", "shown"),
    [
        ("cpu", None, "CPU"),  # a record from before
        ("cpu", Hardware(), "CPU"),
        ("cpu", Hardware(processor="AMD EPYC"), "CPU (AMD EPYC)"),
        (
            "cuda",
            T4,
            "CUDA (Tesla T4, 15.8 GB, compute capability 7.5, driver 535.104.05, Intel Xeon)",
        ),
        ("cuda", Hardware(card="Tesla T4"), "CUDA (Tesla T4)"),
    ],
)
def test_parts_in_english(device: str, parts: Hardware | None, shown: str) -> None:
    write = Writer("en")
    assert device_of(record(device, parts).environment, write, write.name) == shown


def test_parts_in_persian() -> None:
    write = Writer("fa")
    told = device_of(record("cuda", T4).environment, write, write.name)
    for part in ("⁨Tesla T4⁩", "گیگابایت", "توان محاسباتی ⁨7.5⁩", "راه‌انداز ⁨535.104.05⁩"):
        assert part in told, told
    assert "compute" not in told
    assert "driver" not in told


@pytest.mark.parametrize("language", ["en", "fa"])
def test_page_and_markdown_name_every_machine_once(language: Language) -> None:
    records = [
        record("cuda", T4, entry="lora", seed=0),
        record("cuda", T4, entry="lora", seed=1),
        record("cpu", Hardware(processor="AMD EPYC"), entry="full", seed=0),
    ]
    write = Writer(language)
    facts = dict(header(Source(records), write).facts)
    text = markdown(records, language=language)
    for shown in (facts[write.say("fact_machine")], text):
        assert shown.count("Tesla T4") == 1
        assert shown.count("AMD EPYC") == 1


def test_a_foreign_name_steers_nothing() -> None:
    parts = Hardware(processor="x\x1b[2J|`<b>`")
    text = markdown([record("cpu", parts)])
    assert "\x1b" not in text
    assert r"\|\`\<b\>\`" in text
