"""Natural language inference: does a hypothesis follow from a premise?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tarazu.data.item import Item
from tarazu.tasks._labels import ACCURACY, accuracy, label_reader, macro_f1_over
from tarazu.tasks._task import Task, Template
from tarazu.tasks._words import bucket, has_negation
from tarazu.text import Text

LABELS = ("entailment", "neutral", "contradiction")
COLUMNS = {
    "premise": "premise",
    "hypothesis": "hypothesis",
    "label": "label",
    "id": "id",
    "genre": "genre",
}
TITLE = Text("Natural language inference", "استنتاج زبان طبیعی")
SUMMARY = Text(
    "Decide whether a hypothesis follows from a premise, contradicts it, or neither.",
    "تعیین اینکه فرضیه از مقدمه نتیجه می‌شود، با آن در تناقض است یا هیچ‌کدام.",
)

_MEANINGS = {
    "entailment": Text("it must be true", "حتماً درست باشد"),
    "neutral": Text("it may be true or false", "شاید درست و شاید نادرست باشد"),
    "contradiction": Text("it cannot be true", "نتواند درست باشد"),
}


def nli_task(
    *,
    name: str,
    title: Text = TITLE,
    summary: Text = SUMMARY,
    columns: Mapping[str, str] = COLUMNS,
    labels: tuple[str, ...] = LABELS,
    language: str = "en",
    label_words: Mapping[str, str] | None = None,
    label_names: Mapping[str, str] | None = None,
    group_by: str | None = None,
    licence: str | None = None,
    source: str | None = None,
    known_as: tuple[str, ...] = (),
) -> Task:
    """Return a task of natural language inference.

    The label words are the labels unless told otherwise, in every language: a byte-level
    vocabulary splits Persian words into bytes that begin alike and may not fit into the answer.

    Args:
        name: The task's name.
        title: Name for people.
        summary: What the task is.
        columns: Column by field name; fields left out stand in a column of their own name.
        labels: Label names as they stand in the data.
        language: ISO code of the data's language; prompts are English or Persian.
        label_words: The word that a model says for a label.
        label_names: Label by other spelling in the data; numbers have no meaning without it.
        group_by: Column that is the unit of splitting; the premise's by default.
        licence: Licence of the data.
        source: Where the data come from.
        known_as: Names of the data in model cards.
    """
    columns = {**COLUMNS, **columns}
    label_words = label_words or {}
    return Task(
        name=name,
        family="nli",
        kind="classify",
        title=title,
        summary=summary,
        language=language,
        columns=columns,
        texts=("premise", "hypothesis"),
        cut="premise",
        partial="hypothesis",
        group_by=group_by or columns["premise"],
        templates=_templates(labels, label_words, language),
        primary_metric="accuracy",
        metric_names=ACCURACY,
        score=accuracy,
        parse=label_reader(labels, label_words),
        labels=labels,
        label_words=label_words,
        label_names=label_names or {},
        aggregate=macro_f1_over(labels),
        slices=_slices(language),
        licence=licence,
        source=source,
        known_as=known_as,
    )


def _slices(language: str) -> Callable[[Item], dict[str, str]]:
    def slices(item: Item) -> dict[str, str]:
        found = {
            "label": item.gold[0],
            "premise_length": bucket(item.fields["premise"], (10, 20, 40)),
            "hypothesis_length": bucket(item.fields["hypothesis"], (5, 10, 15)),
        }
        if "genre" in item.slices:
            found["genre"] = item.slices["genre"]
        negation = has_negation(item.fields["hypothesis"], language)
        if negation is not None:
            found["negation"] = "yes" if negation else "no"
        return found

    return slices


def _templates(
    labels: tuple[str, ...], label_words: Mapping[str, str], language: str
) -> dict[str, Template]:
    return _persian(labels, label_words) if language == "fa" else _english(labels, label_words)


def _english(labels: tuple[str, ...], label_words: Mapping[str, str]) -> dict[str, Template]:
    meanings = ""
    if _MEANINGS.keys() >= set(labels):
        named = (f"{label_words.get(label, label)} if {_MEANINGS[label].en}" for label in labels)
        meanings = f": {', '.join(named)}"
    return {
        "default": Template(
            f"Judge the hypothesis by the premise{meanings}. Answer with one of: {{labels}}.",
            "Premise: {premise}\nHypothesis: {hypothesis}",
            "Label:",
        ),
        "claim": Template(
            "Read the text and judge the claim by the text alone. Reply with one of: {labels}.",
            "Text: {premise}\nClaim: {hypothesis}",
            "Verdict:",
        ),
        "question": Template(
            "Answer each question with one of: {labels}.",
            '{premise}\nQuestion: What does this mean for the statement "{hypothesis}"?',
            "Answer:",
        ),
    }


def _persian(labels: tuple[str, ...], label_words: Mapping[str, str]) -> dict[str, Template]:
    meanings = ""
    if _MEANINGS.keys() >= set(labels):
        named = (f"{label_words.get(label, label)} اگر {_MEANINGS[label].fa}" for label in labels)
        meanings = f": {'، '.join(named)}"
    return {
        "default": Template(
            f"فرضیه را تنها بر پایهٔ مقدمه بسنج{meanings}. "
            "فقط با یکی از این واژه‌ها پاسخ بده: {labels}.",
            "مقدمه: {premise}\nفرضیه: {hypothesis}",
            "برچسب:",
        ),
        "claim": Template(
            "دربارهٔ ادعا تنها بر پایهٔ متن داوری کن و یکی از این‌ها را بنویس: {labels}.",
            "متن: {premise}\nادعا: {hypothesis}",
            "داوری:",
        ),
        "question": Template(
            "به هر پرسش با یکی از این واژه‌ها پاسخ بده: {labels}.",
            "{premise}\nپرسش: این متن دربارهٔ گزارهٔ «{hypothesis}» چه می‌گوید؟",
            "پاسخ:",
        ),
    }
