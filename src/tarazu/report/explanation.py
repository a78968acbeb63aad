"""A method explained: what `tarazu explain` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tarazu.report.plain import markdown_inline, markdown_table, plain

if TYPE_CHECKING:
    from tarazu.record.record import Parameters
    from tarazu.record.spec import Setting


@dataclass(frozen=True)
class Explanation:
    """A method explained, with the numbers of a model when one was named.

    Attributes:
        method: Name of the method.
        model: Name of the model, if one was named.
        text: What it is, its formula, what is trained and when to use it (Markdown).
        parameters: Counted on the configuration; None without a model.
        settings: Knobs and training settings, each with its reason and source.
    """

    method: str
    model: str | None
    text: str
    parameters: Parameters | None
    settings: Mapping[str, Setting]

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
        parts = [plain(self.text)]
        if self.settings:
            parts += ["## Hyperparameters", settings_table(self.settings)]
        if self.parameters is not None:
            parts += [f"## Parameters of {markdown_inline(self.model)}"]
            parts += [parameters_table(self.parameters)]
        return "\n\n".join(parts)


def settings_table(settings: Mapping[str, Setting]) -> str:
    """Return hyperparameters as a Markdown table: value, reason, source, who chose it."""
    rows = [
        [
            markdown_inline(text)
            for text in (name, setting_value(item.value), item.reason, item.source, item.chosen_by)
        ]
        for name, item in settings.items()
    ]
    return markdown_table(["name", "value", "reason", "source", "chosen by"], rows, numeric=set())


def setting_value(value: Any) -> str:
    """Return a value as one would write it in a study file."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {setting_value(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(setting_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "–" if value is None else str(value)


def parameters_table(parameters: Parameters) -> str:
    """Return parameter counts as a Markdown table."""
    trained = parameters.trained + parameters.head
    share = f"{trained / parameters.total:.3%}" if parameters.total else "–"
    rows = [
        ["whole model in use", f"{parameters.total:,}"],
        ["trained: the method itself", f"{parameters.trained:,}"],
        ["trained: new head", f"{parameters.head:,}"],
        ["trained share of the whole", share],
        ["stored beside the shared base", f"{parameters.deployed:,}"],
        ["bytes stored", f"{parameters.deployed_bytes:,}"],
    ]
    return markdown_table(["parameters", "number"], rows, numeric={1})
