"""The prompts of a run as Markdown (N8), with the text of the data set left out on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarazu.report.html.words import WORDS
from tarazu.report.html.writer import Writer
from tarazu.report.persian import isolated
from tarazu.report.plain import markdown_block, markdown_inline, markdown_sentence, one_line, plain
from tarazu.report.recorded import recorded
from tarazu.text import Language, Text

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
# What stands within a field, and the ways to answer, in words.
_PARTS = {
    "how": Text("how", "چگونه"),
    "ids": Text("ids", "شناسه‌ها"),
    "of_item": Text("of_item", "برای نمونهٔ"),
    "count": Text("count", "شمار"),
    "nearest_words": Text("nearest_words", "نزدیک‌ترین واژه‌ها"),
    "temperature": Text("temperature", "دما"),
    "top_p": Text("top_p", "احتمال هسته (\u2068top-p\u2069)"),
    "max_new_tokens": Text("max_new_tokens", "بیشینهٔ توکن‌های تازه"),
}
# Fields that hold sentences or words of ours; every other text is the study's.
_TOLD = frozenset({"how", "answer", "label_score"})
_WAYS = {
    "score": Text("score", "نمره دادن به واژهٔ هر برچسب"),
    "generate": Text("generate", "تولید متن"),
    "sum": Text("sum", "مجموع لگاریتم احتمال توکن‌ها"),
    "token": Text("token", "میانگین لگاریتم احتمال بر هر توکن"),
    "calibrated": Text("calibrated", "مجموع، در برابر پرسش بی‌محتوا"),
    REDACTED: Text(REDACTED, "[متن حذف شده است]"),
}


def prompt_text(prompt: Mapping[str, Any], *, redacted: bool, language: Language = "en") -> str:
    """Return what a record says of its prompt as Markdown.

    Args:
        prompt: `RunRecord.prompt`.
        redacted: Keep item ids, numbers and our own words only.
        language: Of the names and of our own words.
    """
    write = Writer(language)
    shown = in_words(without_data(prompt) if redacted else prompt, write)
    return "\n\n".join(_field(name, value, write) for name, value in shown.items())


def in_words(value: Any, write: Writer, name: str = "") -> Any:
    """Return what a record says of its prompt with our words in the language, all else harmless.

    Args:
        value: A field of `RunRecord.prompt`, or all of it by name; top names stay as they are.
        write: Writes in the language.
        name: The field's name.
    """
    if isinstance(value, Mapping):
        return {_part(str(key), write): in_words(item, write, key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [in_words(item, write, name) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if not isinstance(value, str):
        return write.digits(str(value))
    if write.language == "en" or "\n" in value:
        return plain(value)
    if name in _TOLD or value == REDACTED:
        return write.text(_WAYS.get(value) or recorded(value))
    return isolated(value)


def _part(key: str, write: Writer) -> str:
    name = one_line(key)
    if write.language == "en" or f"prompt_{name}" in WORDS:
        return name
    known = _PARTS.get(name)
    return known.fa if known else isolated(name)


def field_title(name: str, write: Writer) -> str:
    """Return the title of a field of the prompt; in English Markdown it is the field's name."""
    return write.say(f"prompt_{name}") if f"prompt_{name}" in WORDS else name


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


def _field(name: str, value: Any, write: Writer) -> str:
    persian = write.language == "fa"
    title = f"**{field_title(name, write) if persian else markdown_inline(name)}**"
    if isinstance(value, bool):
        return f"{title}: {write.say('yes' if value else 'no') if persian else value}"
    if isinstance(value, Mapping | list | tuple):
        return _block(title, "\n".join(outline(value)))
    text = str(value)
    if "\n" in text.strip() or len(text) >= 80:
        return _block(title, text)
    return f"{title}: {markdown_sentence(text)}"


def _block(title: str, text: str) -> str:
    return f"{title}:\n\n{markdown_block(text)}"


def outline(value: Any, indent: str = "") -> list[str]:
    """Return nested values as an indented outline."""
    if not isinstance(value, Mapping | list | tuple):
        return [indent + line for line in str(value).split("\n")]
    pairs = value.items() if isinstance(value, Mapping) else (("-", item) for item in value)
    lines = []
    for name, item in pairs:
        mark = name if name == "-" else f"{name}:"
        if isinstance(item, Mapping | list | tuple) or "\n" in str(item):
            lines += [f"{indent}{mark}", *outline(item, indent + "  ")]
        else:
            lines.append(f"{indent}{mark} {item}")
    return lines
