"""The contract of a task: one frozen value, in one file, found by its place.

A task says what its columns are, how an item is shown to a model, what a right answer is and how it
is measured. It never asks which method or model is used. No torch here: listing tasks is instant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tarazu.data.item import Item
from tarazu.text import Text

Kind = Literal["classify", "extract"]
Row = Mapping[str, object]


@dataclass(frozen=True)
class Template:
    """How an item is put into words for a model that reads prompts.

    Attributes:
        instruction: What to do; ``{labels}`` is replaced by the label words.
        item: The item, with ``{field}`` for every text of it.
        answer: What stands directly before the answer, such as ``Label:``. It has no space at its
            end: the space belongs to the answer's first token.
        separator: Between the answer of one demonstration and the next item (plain prompts).
    """

    instruction: str
    item: str
    answer: str
    separator: str = "\n\n"


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: The file's name with hyphens.
        family: ``nli``, ``qa`` or ``classification``.
        kind: Whether the answer is one of `labels` or a span of the field `context`.
        title: Name for people.
        summary: What the task is, in one or two sentences.
        language: ISO code of the data's language.
        columns: Column of the data by field name, for texts (``premise`` …), ``label`` or
            ``answers``; ``id`` and ``genre`` are optional columns.
        texts: Names of the text fields, in the order in which an encoder reads them.
        cut: The text field that is cut when an item is too long. Never question or hypothesis.
        partial: The text field that a partial-input baseline keeps.
        group_by: Column that is the unit of splitting and resampling.
        templates: Prompt templates by name; ``default`` comes first.
        labels: Label names as they stand in the data, in a fixed order; empty for spans.
        label_words: The word that a model says for a label, by label.
        label_names: Other spellings in data, such as ``{"0": "entailment"}``, by value.
        max_answer_tokens: Tokens that a generated answer may take.
        primary_metric: The per-item metric by which methods are compared.
        metric_names: All per-item metrics, by name, for people.
        score: Per-item metrics of an answer (None = unparsable) against the item.
        aggregate: Metrics of a whole split that are no mean of items, such as macro-F1; takes
            the answers and the items.
        parse: Reads a generated text as an answer; None when it is none.
        slices: Values by which failures are grouped.
        licence: Licence of the data, as its source states it.
        source: Where the data come from, with a citation.
        known_as: Names under which model cards list this data among their training data.
    """

    name: str
    family: str
    kind: Kind
    title: Text
    summary: Text
    language: str
    columns: Mapping[str, str]
    texts: tuple[str, ...]
    cut: str
    partial: str
    group_by: str
    templates: Mapping[str, Template]
    primary_metric: str
    metric_names: Mapping[str, Text]
    score: Callable[[str | None, Item], dict[str, float]]
    parse: Callable[[str, Item], str | None]
    labels: tuple[str, ...] = ()
    label_words: Mapping[str, str] = field(default_factory=dict)
    label_names: Mapping[str, str] = field(default_factory=dict)
    max_answer_tokens: int = 8
    aggregate: Callable[[Sequence[str | None], Sequence[Item]], dict[str, float]] = (
        lambda answers, items: {}
    )
    slices: Callable[[Item], dict[str, str]] = lambda item: {}
    licence: str | None = None
    source: str | None = None
    known_as: tuple[str, ...] = ()

    def word(self, label: str) -> str:
        """Return the word that a model says for a label."""
        return self.label_words.get(label, label)

    def instruction(self, template: Template) -> str:
        """Return a template's instruction with the label words filled in."""
        words = ", ".join(self.word(label) for label in self.labels)
        return template.instruction.replace("{labels}", words)

    def show(self, template: Template, item: Item) -> str:
        """Return an item in words. Braces in the data stay as they are."""
        return re.sub(
            r"\{(\w+)\}", lambda match: item.fields.get(match[1], match[0]), template.item
        )

    def answer_text(self, item: Item) -> str:
        """Return the answer as a model should say it: a label's word, or the first gold span."""
        return self.word(item.gold[0]) if self.kind == "classify" else item.gold[0]
