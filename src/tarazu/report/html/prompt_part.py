"""Prompts and virtual tokens as they were used (requirement N8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tarazu.report.html.parts import Block, Passage
from tarazu.report.html.source import Source, entry_name
from tarazu.report.html.writer import Writer
from tarazu.report.prompts import field_title, in_words, outline, without_data


def prompt_passages(source: Source, write: Writer) -> list[Passage]:
    """Build one passage per prompt of an entry, with the seeds that used it."""
    seeds: dict[tuple[str, tuple[Block, ...]], list[int]] = defaultdict(list)
    for record in source.used:
        if record.prompt:
            prompt = without_data(record.prompt) if source.redacted else record.prompt
            prompt = in_words(prompt, write)
            blocks = tuple(
                _block(key, value, write)
                for key, value in prompt.items()
                if value not in ({}, [], "", None)
            )
            seeds[entry_name(record), blocks].append(record.seed)
    names = [entry for entry, _ in seeds]
    return [
        Passage(
            entry,
            about=_seeds(which, write) if names.count(entry) > 1 else "",
            blocks=blocks,
        )
        for (entry, blocks), which in seeds.items()
    ]


def _seeds(which: list[int], write: Writer) -> str:
    return write.say("seed_of", seeds=write.listed(write.digits(str(seed)) for seed in which))


def _joined(value: Any) -> Any:
    """Put lists of words on one line: twenty virtual tokens are no twenty lines."""
    if isinstance(value, Mapping):
        return {key: _joined(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if all(isinstance(item, str | int | float) for item in value):
            return " · ".join(" ".join(str(item).split()) for item in value)
        return [_joined(item) for item in value]
    return value


def _block(key: str, value: Any, write: Writer) -> Block:
    title = field_title(key, write)
    if isinstance(value, bool):
        return Block(title, write.say("yes" if value else "no"), "words")
    if isinstance(value, Mapping | list | tuple):
        lines = "\n".join(outline(_joined(value)))
        return Block(title, lines, "text" if write.language == "fa" else "code")
    text = str(value)
    if isinstance(value, str) and ("\n" in text.strip() or len(text) > 80):
        return Block(title, text)
    return Block(title, text, "words")
