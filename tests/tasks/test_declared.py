from __future__ import annotations

from typing import Any

import pytest

from tarazu.errors import BadInput
from tarazu.tasks._declared import declare_task
from tarazu.tasks._items import items_from_rows


def problems(**options: Any) -> list[str]:
    with pytest.raises(BadInput) as caught:
        declare_task(options)
    return [str(problem) for problem in caught.value.problems]


def test_everything_declared() -> None:
    task = declare_task(
        {
            "family": "nli",
            "name": "my-pairs",
            "title": "My pairs",
            "columns": {"premise": "text_a", "hypothesis": "text_b"},
            "labels": ["yes", "no"],
            "label_words": {"no": "never"},
            "label_names": {1: "yes", 0: "no"},
            "language": "fa",
            "group_by": "source",
            "licence": "CC0",
        }
    )
    assert (task.name, task.title.en, task.language) == ("my-pairs", "My pairs", "fa")
    assert task.columns["premise"] == "text_a"
    assert task.columns["label"] == "label"
    assert task.labels == ("yes", "no")
    assert task.word("no") == "never"
    assert task.label_names == {"1": "yes", "0": "no"}
    assert (task.group_by, task.licence) == ("source", "CC0")


def test_only_the_difference_is_said() -> None:
    assert declare_task({"family": "nli"}).labels == ("entailment", "neutral", "contradiction")
    assert declare_task({"family": "qa"}).columns["answers"] == "answers"
    task = declare_task({"family": "classification", "labels": [0, 1], "columns": {"text": "body"}})
    assert task.labels == ("0", "1")
    assert task.group_by == "body"
    items, _ = items_from_rows(task, [{"body": "a", "label": 0}, {"body": "b", "label": 1}], "x")
    assert [item.gold for item in items] == [("0",), ("1",)]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, "task.family: must be one of the families of tasks, but got nothing. Valid:"),
        ({"family": "nlii"}, "'nlii'. Did you mean 'nli'?"),
        ({"family": "nli", "colums": {}}, "task.colums: is unknown here. Did you mean 'columns'?"),
        ({"family": "qa", "labels": ["a", "b"]}, "task.labels: is unknown here"),
        ({"family": "nli", "columns": {"premis": "x"}}, "task.columns.premis"),
        ({"family": "nli", "columns": {"premise": ""}}, "task.columns.premise: must be a text"),
        ({"family": "nli", "columns": ["premise"]}, "task.columns: must be a mapping"),
        (
            {"family": "nli", "columns": {"premise": "x", "hypothesis": "x"}},
            "'x' for premise, hypothesis",
        ),
        ({"family": "classification"}, "task.labels: must list two labels or more, but got none"),
        ({"family": "classification", "labels": ["a"]}, "two labels or more, but got a"),
        ({"family": "classification", "labels": ["a", "a"]}, "must not list a label twice"),
        ({"family": "classification", "labels": [True, False]}, "Put each in quotes"),
        ({"family": "classification", "labels": "spam"}, "must be a list of texts"),
        ({"family": "nli", "label_words": {"neutrl": "x"}}, "Did you mean 'neutral'?"),
        (
            {"family": "nli", "label_words": {"neutral": "Entailment!"}},
            "'Entailment!' for both 'entailment' and 'neutral'",
        ),
        ({"family": "nli", "label_words": {"neutral": "?"}}, "must hold a letter or a digit"),
        ({"family": "nli", "label_names": {"e": "entails"}}, "Did you mean 'entailment'?"),
        (
            {"family": "nli", "label_names": {"neutral": "entailment"}},
            "is a label itself and cannot mean another",
        ),
        ({"family": "nli", "language": "English"}, "task.language: must be an ISO code"),
        ({"family": "nli", "name": "My Task"}, "task.name: must consist of"),
        ({"family": "nli", "group_by": 3}, "task.group_by: must be a text, but got 3"),
    ],
)
def test_mistakes(options: dict[str, Any], wanted: str) -> None:
    assert any(wanted in problem for problem in problems(**options)), problems(**options)


def test_all_mistakes_at_once() -> None:
    found = problems(
        family="classification",
        columns={"txt": "body"},
        labels=["spam"],
        label_words={"ham": "fine"},
        language="en-GB",
        labelnames={},
    )
    assert len(found) == 5


def test_t16_declared_numbers_have_no_meaning_of_their_own() -> None:
    task = declare_task({"family": "nli"})
    row = {"premise": "p", "hypothesis": "h", "label": 0}
    with pytest.raises(BadInput, match="must have a known label in column 'label', but got '0'"):
        items_from_rows(task, [row], "pairs.csv")
