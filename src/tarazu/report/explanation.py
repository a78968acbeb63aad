"""A method explained: what `tarazu explain` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tarazu.report.html.words import CHOSEN_BY
from tarazu.report.html.writer import Writer
from tarazu.report.plain import markdown_table, plain
from tarazu.report.recorded import recorded, recorded_source
from tarazu.text import Language, Text

if TYPE_CHECKING:
    from tarazu.record.record import Parameters
    from tarazu.record.spec import Setting

_HEADINGS = (
    Text("name", "نام"), Text("value", "مقدار"), Text("reason", "دلیل"), Text("source", "منبع"),
    Text("chosen by", "برگزیدهٔ"),
)  # fmt: skip
_COUNTS = (
    Text("whole model in use", "کل مدل در کار"),
    Text("trained: the method itself", "آموزش‌دیده: خود روش"),
    Text("trained: new head", "آموزش‌دیده: سر تازه"),
    Text("trained share of the whole", "سهم آموزش‌دیده از کل"),
    Text("stored beside the shared base", "ذخیره‌شده در کنار پایهٔ مشترک"),
    Text("bytes stored", "بایت‌های ذخیره‌شده"),
)


@dataclass(frozen=True)
class Explanation:
    """A method explained, with the numbers of a model when one was named.

    Attributes:
        method: Name of the method.
        model: Name of the model, if one was named.
        text: What it is, its formula, what is trained and when to use it (Markdown).
        parameters: Counted on the configuration; None without a model.
        settings: Knobs and training settings, each with its reason and source.
        language: Of all words.
    """

    method: str
    model: str | None
    text: str
    parameters: Parameters | None
    settings: Mapping[str, Setting]
    language: Language = "en"

    def to_json(self) -> dict[str, Any]:
        """Return the numbers of the explanation, without the text."""
        return {
            "method": self.method,
            "model": self.model,
            "parameters": self.parameters.model_dump() if self.parameters else None,
            "hyperparameters": {
                name: setting.model_dump(mode="json") for name, setting in self.settings.items()
            },
        }

    def markdown(self) -> str:
        """Return text, hyperparameters and parameter counts as Markdown."""
        write = Writer(self.language)
        parts = [plain(self.text)]
        if self.settings:
            title = write.text(Text("Hyperparameters", "ابرپارامترها"))
            parts += [f"## {title}", settings_table(self.settings, self.language)]
        if self.parameters is not None:
            title = write.text(Text("Parameters of", "پارامترهای"))
            parts += [f"## {title} {write.inline(self.model)}"]
            parts += [parameters_table(self.parameters, self.language)]
        return "\n\n".join(parts)


def settings_table(settings: Mapping[str, Setting], language: Language = "en") -> str:
    """Return hyperparameters as a Markdown table: value, reason, source, who chose it.

    Args:
        settings: By name.
        language: Of headings, reasons and sources; names and values are those of a study file.
    """
    write = Writer(language)
    rows = [
        [
            write.inline(name),
            write.inline(setting_value(item.value)),
            write.literal(recorded(item.reason)),
            write.literal(recorded_source(item.source)),
            write.text(CHOSEN_BY[item.chosen_by]),
        ]
        for name, item in settings.items()
    ]
    return markdown_table([write.text(heading) for heading in _HEADINGS], rows, numeric=set())


def setting_value(value: Any) -> str:
    """Return a value as one would write it in a study file."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {setting_value(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(setting_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "–" if value is None else str(value)


def parameters_table(parameters: Parameters, language: Language = "en") -> str:
    """Return parameter counts as a Markdown table."""
    write = Writer(language)
    trained = parameters.trained + parameters.head
    values = [
        write.number(parameters.total),
        write.number(parameters.trained),
        write.number(parameters.head),
        write.prose(f"{trained / parameters.total:.3%}") if parameters.total else "–",
        write.number(parameters.deployed),
        write.number(parameters.deployed_bytes),
    ]
    rows = [[write.text(what), value] for what, value in zip(_COUNTS, values, strict=True)]
    headings = [Text("parameters", "پارامترها"), Text("number", "شمار")]
    return markdown_table([write.text(heading) for heading in headings], rows, numeric={1})
