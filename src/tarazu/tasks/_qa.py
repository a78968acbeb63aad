"""Extractive question answering: the answer is a span of the context."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tarazu.data.item import Item
from tarazu.evaluation.squad import best_over_golds, exact_match, token_f1
from tarazu.tasks._task import Task, Template
from tarazu.tasks._words import bucket, without_lead_in, word_set, words
from tarazu.text import Text

COLUMNS = {"context": "context", "question": "question", "answers": "answers", "id": "id"}
TITLE = Text("Extractive question answering", "پاسخ‌گویی استخراجی به پرسش")
SUMMARY = Text(
    "Answer a question with a span of the given context.",
    "پاسخ دادن به پرسش با بخشی از متن داده‌شده.",
)

_ENGLISH = {
    "default": Template(
        "Answer the question with the shortest span of the context that answers it.",
        "Context: {context}\nQuestion: {question}",
        "Answer:",
    ),
    "question-first": Template(
        "Find the answer to the question in the passage and copy it word for word.",
        "Question: {question}\nPassage: {context}",
        "Answer from the passage:",
    ),
    "reading": Template(
        "Read the passage, then reply to the question with a few words taken from it.",
        "{context}\nQ: {question}",
        "A:",
    ),
}
_PERSIAN = {
    "default": Template(
        "با کوتاه‌ترین بخشی از متن که پاسخ پرسش است جواب بده.",
        "متن: {context}\nپرسش: {question}",
        "پاسخ:",
    ),
    "question-first": Template(
        "پاسخ پرسش را در متن پیدا کن و عین همان را بنویس.",
        "پرسش: {question}\nمتن: {context}",
        "پاسخ از متن:",
    ),
    "reading": Template(
        "متن را بخوان و سپس با چند واژه از خود متن به پرسش جواب بده.",
        "{context}\nسؤال: {question}",
        "جواب:",
    ),
}

_QUESTION_WORDS = {
    "en": {word: word for word in word_set("what which who when where why how")}
    | {"whose": "who", "whom": "who"},
    "fa": {word: word for word in word_set("چه چرا کجا کدام کی چند چگونه")}
    | {"چی": "چه", "چیست": "چه", "کیست": "کی", "کجاست": "کجا", "چطور": "چگونه", "چقدر": "چند"},
}
_DATE_WORDS = word_set(
    "january february march april may june july august september october november december "
    "monday tuesday wednesday thursday friday saturday sunday century centuries bc ad bce ce "
    "فروردین اردیبهشت خرداد تیر مرداد شهریور مهر آبان آذر دی بهمن اسفند قرن سده "
    "شنبه یکشنبه دوشنبه چهارشنبه پنجشنبه جمعه میلادی شمسی"
)
_NUMBER_WORDS = word_set(
    "zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty "
    "fifty sixty seventy eighty ninety hundred thousand million billion half dozen "
    "یک دو سه چهار پنج شش هفت هشت نه ده صد هزار میلیون میلیارد نیم"
)
_SMALL_WORDS = word_set(
    "a an the of and in on at for to by de la von van s from since until between early late "
    "mid around about before after"
)
_YEAR = re.compile(r"(1\d{3}|20\d{2})s?")


def qa_task(
    *,
    name: str,
    title: Text = TITLE,
    summary: Text = SUMMARY,
    columns: Mapping[str, str] = COLUMNS,
    language: str = "en",
    group_by: str | None = None,
    licence: str | None = None,
    source: str | None = None,
    known_as: tuple[str, ...] = (),
) -> Task:
    """Return a task of extractive question answering.

    Args:
        name: The task's name.
        title: Name for people.
        summary: What the task is.
        columns: Column by field name; fields left out stand in a column of their own name.
        language: ISO code of the data's language; prompts are English or Persian.
        group_by: Column that is the unit of splitting; the context's by default.
        licence: Licence of the data.
        source: Where the data come from.
        known_as: Names of the data in model cards.
    """
    columns = {**COLUMNS, **columns}
    return Task(
        name=name,
        family="qa",
        kind="extract",
        title=title,
        summary=summary,
        language=language,
        columns=columns,
        texts=("question", "context"),
        cut="context",
        partial="question",
        group_by=group_by or columns["context"],
        templates=_PERSIAN if language == "fa" else _ENGLISH,
        primary_metric="f1",
        metric_names={
            "exact_match": Text("Exact match", "تطابق کامل"),
            "f1": Text("Token F1", "F1 واژه‌ها"),
        },
        score=_score(language),
        parse=read_span,
        max_answer_tokens=32,
        slices=_slices(language),
        licence=licence,
        source=source,
        known_as=known_as,
    )


def read_span(text: str, item: Item) -> str | None:
    """Return the first line of a generated text, without quotes and a leading ``Answer:``."""
    lines = without_lead_in(text).strip().splitlines()
    return lines[0].strip(" \t\"'`“”‘’«»*") or None if lines else None


def answer_type(answer: str, language: str) -> str:
    """Return ``date``, ``number``, ``entity`` or ``other`` by simple rules.

    Args:
        answer: A gold answer.
        language: ISO code; entities are told by capitals, in English only.
    """
    tokens = words(answer)
    content = [token for token in tokens if token not in _SMALL_WORDS]
    # In a clause, "may" and "march" are more often verbs than months.
    if len(tokens) <= 6 and not _DATE_WORDS.isdisjoint(tokens):
        return "date"
    if content and all(_YEAR.fullmatch(token) for token in content):
        return "date"
    if any(char.isdigit() for char in answer) or not _NUMBER_WORDS.isdisjoint(tokens):
        return "number"
    if language == "en" and content:
        named = [word for word in answer.split() if word.lower() not in _SMALL_WORDS]
        if all(word.strip("\"'“‘(")[:1].isupper() for word in named):
            return "entity"
    return "other"


def _score(language: str) -> Callable[[str | None, Item], dict[str, float]]:
    def score(answer: str | None, item: Item) -> dict[str, float]:
        return {
            "exact_match": best_over_golds(exact_match, answer, item.gold, language),
            "f1": best_over_golds(token_f1, answer, item.gold, language),
        }

    return score


def _slices(language: str) -> Callable[[Item], dict[str, str]]:
    known = _QUESTION_WORDS.get(language)

    def slices(item: Item) -> dict[str, str]:
        answer = item.gold[0]
        found = {
            "answer_length": bucket(answer, (1, 3, 6)),
            "context_length": bucket(item.fields["context"], (100, 150, 200)),
            "answer_type": answer_type(answer, language),
        }
        if known is not None:
            asked = (known[word] for word in words(item.fields["question"]) if word in known)
            found["question_word"] = next(asked, "other")
        return found

    return slices
