from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tarazu.data.item import Item
from tarazu.tasks import corpus_nli, corpus_nli_fa, corpus_qa, farstail, multinli, squad, sst2
from tarazu.tasks._classification import classification_task
from tarazu.tasks._nli import nli_task
from tarazu.tasks._qa import answer_type, qa_task, read_span
from tarazu.tasks._task import Task

MODULES = (corpus_nli, corpus_nli_fa, corpus_qa, farstail, multinli, squad, sst2)
TASKS = [module.TASK for module in MODULES] + [
    qa_task(name="qa", language="fa"),
    classification_task(name="classification", labels=("a", "b")),
    classification_task(name="classification", labels=("a", "b"), language="fa"),
    nli_task(name="nli", labels=("yes", "no")),
]
IDS = [f"{task.name}-{task.language}" for task in TASKS]


def item_of(task: Task) -> Item:
    gold = task.labels[:1] or ("Oslo",)
    return Item("1", "g", {name: f"<{name} of {{x}}> Oslo" for name in task.texts}, gold, (0,))


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_templates_show_every_text_once(task: Task) -> None:
    assert len(task.templates) >= 3
    assert next(iter(task.templates)) == "default"
    for template in task.templates.values():
        shown = task.show(template, item_of(task))
        for name in task.texts:
            assert shown.count(f"<{name} of {{x}}>") == 1
        assert template.answer == template.answer.rstrip()
        instruction = task.instruction(template)
        assert "{" not in instruction
        assert all(task.word(label) in instruction for label in task.labels)
        persian = re.search("[آ-ی]", template.instruction + template.answer)
        assert bool(persian) == (task.language == "fa")


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_task_is_consistent(task: Task) -> None:
    item = item_of(task)
    assert set(task.score(None, item)) == set(task.metric_names)
    assert set(task.score(None, item).values()) == {0.0}
    assert set(task.score(item.gold[0], item).values()) == {1.0}
    assert task.primary_metric in task.metric_names
    assert {task.cut, task.partial} <= set(task.texts) <= set(task.columns)
    assert task.parse(task.answer_text(item), item) == item.gold[0]
    assert all(isinstance(value, str) for value in task.slices(item).values())
    assert set(task.label_names.values()) <= set(task.labels)
    assert all(text.en and text.fa for text in (task.title, task.summary))


def test_files_are_named_as_their_task() -> None:
    for module in MODULES:
        assert module.TASK.name == module.__name__.rsplit(".", 1)[1].replace("_", "-")
        assert module.TASK.source


def test_listing_tasks_does_not_import_torch() -> None:
    modules = ", ".join(module.__name__ for module in MODULES)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nli_prompt_says_what_the_label_words_mean() -> None:
    task = nli_task(name="nli", label_words={"neutral": "maybe"})
    instruction = task.instruction(task.templates["default"])
    assert "maybe if it may be true or false" in instruction
    assert instruction.endswith("entailment, maybe, contradiction.")


def test_nli_slices() -> None:
    fields = {"premise": "word " * 12, "hypothesis": "He didn't come."}
    item = Item("1", "g", fields, ("neutral",), slices={"genre": "travel"})
    assert multinli.TASK.slices(item) == {
        "label": "neutral",
        "genre": "travel",
        "premise_length": "11-20",
        "hypothesis_length": "1-5",
        "negation": "yes",
    }
    assert farstail.TASK.slices(item.with_fields(hypothesis="او نمی‌آید"))["negation"] == "yes"
    assert farstail.TASK.slices(item.with_fields(hypothesis="او آمد"))["negation"] == "no"
    assert "negation" not in nli_task(name="nli", language="de").slices(item)


def test_qa_slices() -> None:
    fields = {"context": "In 1976 it rained.", "question": "In which year did it rain?"}
    assert squad.TASK.slices(Item("1", "g", fields, ("1976",))) == {
        "question_word": "which",
        "answer_length": "1-1",
        "context_length": "1-100",
        "answer_type": "date",
    }


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("1976", "date"),
        ("in the late 1980s", "date"),
        ("3 May 1921", "date"),
        ("the plague may have come by sea in spring", "other"),
        ("4,310", "number"),
        ("over half", "number"),
        ("the Hostmen", "entity"),
        ("Mount Arrask", "entity"),
        ("grey silt", "other"),
        ("%", "other"),
    ],
)
def test_answer_type(answer: str, kind: str) -> None:
    assert answer_type(answer, "en") == kind


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Oslo", "Oslo"),
        (' "the Ostrin"\nQuestion: Who', "the Ostrin"),
        ("\n\nAnswer: Kelp Row\n", "Kelp Row"),
        ("Answer:\n'Oslo'", "Oslo"),
        ("پاسخ: «تهران»", "تهران"),
        ("Mr. Smith's dog.", "Mr. Smith's dog."),
        ("", None),
        (" \n\t", None),
        ("Answer:", None),
        ('""', None),
    ],
)
def test_span_is_the_first_line(text: str, answer: str | None) -> None:
    assert read_span(text, item_of(squad.TASK)) == answer


def test_t18_scores_are_the_best_over_all_golds() -> None:
    fields = {"context": "c", "question": "q"}
    item = Item("1", "g", fields, ("Denver Broncos", "The Broncos"))
    assert squad.TASK.score("broncos!", item) == {"exact_match": 1.0, "f1": 1.0}
    assert squad.TASK.score("Denver", item) == {
        "exact_match": 0.0,
        "f1": pytest.approx(2 / 3),
    }


def test_t16_numbers_mean_what_the_hub_says_and_nothing_elsewhere() -> None:
    assert multinli.TASK.label_names == {
        "0": "entailment",
        "1": "neutral",
        "2": "contradiction",
    }
    assert sst2.TASK.label_names == {"0": "negative", "1": "positive"}
    assert not corpus_nli.TASK.label_names
    assert not nli_task(name="nli").label_names
