"""Classification of a single text."""

from __future__ import annotations

from collections.abc import Mapping

from tarazu.data.item import Item
from tarazu.tasks._labels import ACCURACY, accuracy, label_reader, macro_f1_over
from tarazu.tasks._task import Task, Template
from tarazu.tasks._words import bucket
from tarazu.text import Text

COLUMNS = {"text": "text", "label": "label", "id": "id"}
TITLE = Text("Text classification", "دسته‌بندی متن")
SUMMARY = Text("Sort texts into classes.", "مرتب کردن متن‌ها در دسته‌ها.")

_ENGLISH = {
    "default": Template(
        "Decide which class the text belongs to. Answer with one of: {labels}.",
        "Text: {text}",
        "Label:",
    ),
    "choice": Template(
        "Choose the label that fits the text best: {labels}.",
        "{text}",
        "Best label:",
    ),
    "question": Template(
        "Answer each question with one of: {labels}.",
        "{text}\nQuestion: Which class does this text belong to?",
        "Answer:",
    ),
}
_PERSIAN = {
    "default": Template(
        "تعیین کن که متن از کدام دسته است. فقط با یکی از این واژه‌ها پاسخ بده: {labels}.",
        "متن: {text}",
        "برچسب:",
    ),
    "choice": Template(
        "برچسبی را برگزین که بیش از همه به متن می‌خورد: {labels}.",
        "{text}",
        "بهترین برچسب:",
    ),
    "question": Template(
        "به هر پرسش با یکی از این واژه‌ها پاسخ بده: {labels}.",
        "{text}\nپرسش: این متن از کدام دسته است؟",
        "پاسخ:",
    ),
}


def classification_task(
    *,
    name: str,
    labels: tuple[str, ...],
    title: Text = TITLE,
    summary: Text = SUMMARY,
    columns: Mapping[str, str] = COLUMNS,
    language: str = "en",
    templates: Mapping[str, Template] | None = None,
    label_words: Mapping[str, str] | None = None,
    label_names: Mapping[str, str] | None = None,
    group_by: str | None = None,
    licence: str | None = None,
    source: str | None = None,
    known_as: tuple[str, ...] = (),
) -> Task:
    """Return a task that sorts single texts into classes.

    There is only one text, so a partial-input baseline would see all of it and says nothing here;
    `Task.partial` is the text itself.

    Args:
        name: The task's name.
        labels: Label names as they stand in the data.
        title: Name for people.
        summary: What the task is.
        columns: Column by field name; fields left out stand in a column of their own name.
        language: ISO code of the data's language; prompts are English or Persian.
        templates: Prompts that name what the classes are about, instead of the general ones.
        label_words: The word that a model says for a label.
        label_names: Label by other spelling in the data.
        group_by: Column that is the unit of splitting; by default the text's, so that copies of
            a text never part.
        licence: Licence of the data.
        source: Where the data come from.
        known_as: Names of the data in model cards.
    """
    columns = {**COLUMNS, **columns}
    label_words = label_words or {}
    return Task(
        name=name,
        family="classification",
        kind="classify",
        title=title,
        summary=summary,
        language=language,
        columns=columns,
        texts=("text",),
        cut="text",
        partial="text",
        group_by=group_by or columns["text"],
        templates=templates or (_PERSIAN if language == "fa" else _ENGLISH),
        primary_metric="accuracy",
        metric_names=ACCURACY,
        score=accuracy,
        parse=label_reader(labels, label_words),
        labels=labels,
        label_words=label_words,
        label_names=label_names or {},
        aggregate=macro_f1_over(labels),
        slices=_slices,
        licence=licence,
        source=source,
        known_as=known_as,
    )


def _slices(item: Item) -> dict[str, str]:
    return {"label": item.gold[0], "length": bucket(item.fields["text"], (5, 10, 20, 40, 80))}
