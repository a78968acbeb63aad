"""A task that a study file declares in place, such as a user's own CSV.

Example::

    task: {family: classification, columns: {text: body}, labels: [spam, ham], language: en}
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tarazu.errors import BadInput, Problem, did_you_mean
from tarazu.tasks import _classification, _nli, _qa
from tarazu.tasks._task import Task
from tarazu.tasks._words import words
from tarazu.text import Text

_COMMON = ("family", "name", "title", "columns", "language", "group_by", "licence", "source")
_LABELLED = ("labels", "label_words", "label_names")


@dataclass(frozen=True)
class _Family:
    """What a family lets a study file say.

    Attributes:
        build: Builds the task.
        fields: Fields that can be given a column.
        options: Names of the options.
        labels: Labels that hold when none are given.
    """

    build: Callable[..., Task]
    fields: tuple[str, ...]
    options: tuple[str, ...]
    labels: tuple[str, ...] = ()


_FAMILIES = {
    "nli": _Family(_nli.nli_task, tuple(_nli.COLUMNS), _COMMON + _LABELLED, _nli.LABELS),
    "qa": _Family(_qa.qa_task, tuple(_qa.COLUMNS), _COMMON),
    "classification": _Family(
        _classification.classification_task,
        tuple(_classification.COLUMNS),
        _COMMON + _LABELLED,
    ),
}


def declare_task(options: Mapping[str, object]) -> Task:
    """Return the task that a study file declares.

    Options: ``family`` (``nli``, ``qa``, ``classification``), ``name``, ``title``, ``columns``
    (column by field; a field left out stands in a column of its own name), ``language``,
    ``group_by``, ``licence``, ``source``, and for tasks with labels ``labels``, ``label_words``
    (what a model says) and ``label_names`` (label by other spelling in the data).

    Args:
        options: The mapping under ``task:``.

    Raises:
        BadInput: Something is unknown or missing; all mistakes at once.
    """
    name = options.get("family")
    family = _FAMILIES.get(name) if isinstance(name, str) else None
    if family is None:
        raise BadInput(
            Problem(
                "task.family",
                "must be one of the families of tasks",
                "nothing" if name is None else f"'{name}'",
                did_you_mean(str(name), _FAMILIES),
            )
        )
    reader = _Reader(options)
    reader.known("task", options, family.options)
    arguments: dict[str, Any] = {
        "name": reader.name(default=str(name)),
        "columns": reader.columns(family.fields),
        "language": reader.language(),
    }
    for option in ("group_by", "licence", "source"):
        arguments[option] = reader.text(option)
    if (title := reader.text("title")) is not None:
        arguments["title"] = Text(title, title)
    if "labels" in family.options:
        arguments["labels"] = labels = reader.labels(family.labels)
        arguments["label_words"] = reader.label_words(labels)
        arguments["label_names"] = reader.label_names(labels)
    if reader.problems:
        raise BadInput(*reader.problems)
    return family.build(**arguments)


@dataclass
class _Reader:
    """Reads options and keeps every mistake, so that all are reported together."""

    options: Mapping[str, object]
    problems: list[Problem] = field(default_factory=list)

    def complain(self, where: str, rule: str, value: object = "", remedy: str = "") -> None:
        self.problems.append(Problem(where, rule, str(value), remedy))

    def known(self, where: str, given: Mapping[Any, object], valid: tuple[str, ...]) -> None:
        for key in given:
            if key not in valid:
                self.complain(
                    f"{where}.{key}", "is unknown here", "", did_you_mean(str(key), valid)
                )

    def text(self, option: str) -> str | None:
        value = self.options.get(option)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.complain(f"task.{option}", "must be a text", repr(value))
        return None

    def name(self, default: str) -> str:
        name = self.text("name") or default
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            self.complain("task.name", "must consist of a-z, 0-9 and hyphens", f"'{name}'")
        return name

    def language(self) -> str:
        language = self.text("language") or "en"
        if not re.fullmatch(r"[a-z]{2,3}", language):
            self.complain(
                "task.language", "must be an ISO code of two or three letters", f"'{language}'",
                "English is 'en', Persian 'fa'.",
            )  # fmt: skip
        return language

    def mapping(self, option: str) -> dict[str, str]:
        """Read a mapping from text or whole number to text."""
        given = self.options.get(option)
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self.complain(f"task.{option}", "must be a mapping", repr(given))
            return {}
        read = {}
        for key, value in given.items():
            if not _is_name(key) or not _is_name(value):
                self.complain(
                    f"task.{option}.{key}", "must be a text", repr(value), "Put it in quotes."
                )
            else:
                read[str(key)] = str(value)
        return read

    def columns(self, fields: tuple[str, ...]) -> dict[str, str]:
        columns = self.mapping("columns")
        self.known("task.columns", columns, fields)
        for column, count in Counter(columns.values()).items():
            if count > 1:
                shared = [field for field, its in columns.items() if its == column]
                self.complain(
                    "task.columns", "must give every field a column of its own",
                    f"'{column}' for {', '.join(shared)}",
                )  # fmt: skip
        return columns

    def labels(self, default: tuple[str, ...]) -> tuple[str, ...]:
        given = self.options.get("labels", default)
        if not isinstance(given, list | tuple) or not all(map(_is_name, given)):
            self.complain(
                "task.labels", "must be a list of texts", repr(given), "Put each in quotes."
            )
            return ()
        labels = tuple(map(str, given))
        if len(labels) < 2:
            self.complain(
                "task.labels", "must list two labels or more", ", ".join(labels) or "none",
                "List every label that stands in the data.",
            )  # fmt: skip
        for label, count in Counter(labels).items():
            if count > 1:
                self.complain("task.labels", "must not list a label twice", f"'{label}'")
        return labels

    def label_words(self, labels: tuple[str, ...]) -> dict[str, str]:
        """Read the label words; two that are read as the same could never be told apart."""
        label_words = self.mapping("label_words")
        self.known("task.label_words", label_words, labels)
        seen: dict[tuple[str, ...], str] = {}
        for label in dict.fromkeys(labels):
            word = label_words.get(label, label)
            heard = tuple(words(word))
            if not heard:
                self.complain(
                    "task.label_words", "must hold a letter or a digit", f"'{word}' for '{label}'",
                    f"Give '{label}' a word that a model can say.",
                )  # fmt: skip
            elif heard in seen:
                self.complain(
                    "task.label_words", "must differ in more than case and punctuation",
                    f"'{word}' for both '{seen[heard]}' and '{label}'",
                )  # fmt: skip
            seen.setdefault(heard, label)
        return label_words

    def label_names(self, labels: tuple[str, ...]) -> dict[str, str]:
        label_names = self.mapping("label_names")
        for spelling, label in label_names.items():
            where = f"task.label_names.{spelling}"
            if label not in labels:
                self.complain(where, "must be a label", f"'{label}'", did_you_mean(label, labels))
            elif spelling in labels and spelling != label:
                self.complain(where, "is a label itself and cannot mean another", f"'{label}'")
        return label_names


def _is_name(value: object) -> bool:
    """Tell whether a value can be a name: a text, or a whole number such as the label 0."""
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int) and not isinstance(value, bool)
