"""The prompts of a run as Markdown (N8), with the text of the data set left out on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarazu.report.plain import markdown_block, markdown_inline, one_line

# Our own words, never the data set's. Whatever else is a text is left out when redacting: a name
# that is missing here costs a line of the report, one too many would publish somebody's text.
_OWN_WORDS = frozenset(
    {"frame", "template", "instruction", "system", "separator", "chat_template", "answer"}
    | {"label_words", "label_score", "decode", "calibration", "virtual_tokens", "select"}
    | {"reason", "source", "style", "why"}
)
# The data set's words, wherever they stand; what is ours among them is named below.
_DATA_WORDS = frozenset(
    {"demonstrations", "demonstration", "examples", "example", "prompt", "text"}
)
_IDENTIFIERS = frozenset({"id", "ids", "item_id", "item_ids", "of_item", "how"})
REDACTED = "[text left out]"


def prompt_text(prompt: Mapping[str, Any], *, redacted: bool) -> str:
    """Return what a record says of its prompt as Markdown.

    Args:
        prompt: `RunRecord.prompt`.
        redacted: Keep item ids, numbers and our own words only.
    """
    shown = without_data(prompt) if redacted else prompt
    return "\n\n".join(_field(name, value) for name, value in shown.items())


def without_data(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says of its prompt without any text of the data set."""
    return {name: _redact(name, value) for name, value in prompt.items()}


def _redact(name: str, value: Any, own: bool = False, foreign: bool = False) -> Any:
    """Replace every text that does not stand under a name of ours."""
    known = (own or name in _OWN_WORDS) and name not in _DATA_WORDS
    own = name in _IDENTIFIERS or (known and not foreign)
    foreign = not own
    if isinstance(value, Mapping):
        if foreign and _IDENTIFIERS & set(value):  # an item of the data: its id stands for it
            value = {key: item for key, item in value.items() if key in _IDENTIFIERS}
        return {key: _redact(str(key), item, own, foreign) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(name, item, own, foreign) for item in value]
    return REDACTED if isinstance(value, str) and not own else value


def _field(name: str, value: Any) -> str:
    title = f"**{markdown_inline(name)}**"
    if isinstance(value, str) and "\n" not in value.strip():
        return f"{title}: {markdown_inline(value)}" if len(value) < 80 else _block(title, value)
    if isinstance(value, str):
        return _block(title, value)
    if isinstance(value, Mapping | list | tuple):
        return _block(title, "\n".join(outline(value)))
    return f"{title}: {markdown_inline(value)}"


def _block(title: str, text: str) -> str:
    return f"{title}:\n\n{markdown_block(text)}"


def outline(value: Any, indent: str = "") -> list[str]:
    """Return nested values as an indented outline."""
    if not isinstance(value, Mapping | list | tuple):
        return [indent + line for line in str(value).split("\n")]
    pairs = value.items() if isinstance(value, Mapping) else (("-", item) for item in value)
    lines = []
    for name, item in pairs:
        mark = name if name == "-" else f"{one_line(name)}:"
        if isinstance(item, Mapping | list | tuple) or "\n" in str(item):
            lines += [f"{indent}{mark}", *outline(item, indent + "  ")]
        else:
            lines.append(f"{indent}{mark} {item}")
    return lines
