from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tarazu import catalog
from tarazu.data.item import Item
from tarazu.errors import BadInput
from tarazu.tasks._items import items_from_rows
from tarazu.tasks._task import Task
from tarazu.testing.checks import ITEM_CHECKS, TASK_CHECKS

FILES = Path(catalog.__file__).parent / "tasks"
TASKS = catalog.tasks()
DECLARED: dict[str, dict[str, Any]] = {
    "own-nli": {"family": "nli", "labels": ["yes", "no"], "language": "fa"},
    "own-qa": {"family": "qa"},
    "own-classification": {"family": "classification", "labels": ["spam", "ham", "other"]},
}
EVERY = {**TASKS, **{name: catalog.resolve_task(told) for name, told in DECLARED.items()}}


def rows_of(task: Task, count: int = 6) -> list[dict[str, object]]:
    """Rows as a file would hold them, with the columns of the task."""
    rows: list[dict[str, object]] = []
    for number in range(count):
        row: dict[str, object] = {
            column: f"{field} {number} of Nora" for field, column in task.columns.items()
        }
        if task.labels:
            row[task.columns["label"]] = task.labels[number % len(task.labels)]
        else:
            row[task.columns["answers"]] = {"text": ["Nora"], "answer_start": [13]}
        row.setdefault(task.group_by, f"group {number}")
        rows.append(row)
    return rows


def items_of(task: Task) -> list[Item]:
    items, notes = items_from_rows(task, rows_of(task), "rows", training=True)
    assert len(items) == 6, notes
    return items


def test_every_task_on_disk_is_checked() -> None:
    files = [file for file in FILES.glob("*.py") if not file.stem.startswith("_")]
    assert len(TASKS) == len(files) >= 3
    assert {task.family for task in TASKS.values()} == {"nli", "qa", "classification"}


@pytest.mark.parametrize("check", TASK_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", EVERY)
def test_contract_of_the_task(name: str, check: Callable[[Task], None]) -> None:
    check(EVERY[name])


@pytest.mark.parametrize("check", ITEM_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", EVERY)
def test_contract_on_items(name: str, check: Callable[[Task, Sequence[Item]], None]) -> None:
    check(EVERY[name], items_of(EVERY[name]))


LABELLED = [name for name, task in EVERY.items() if task.labels]


@pytest.mark.parametrize("name", LABELLED)
def test_t16_the_order_of_labels_changes_no_gold(name: str) -> None:
    task = EVERY[name]
    turned = replace(task, labels=task.labels[::-1])
    assert items_of(task) == items_from_rows(turned, rows_of(task), "rows", training=True)[0]


@pytest.mark.parametrize("name", LABELLED)
def test_t16_a_bare_number_is_no_label(name: str) -> None:
    """Sources order their classes differently, so a number says nothing without its names."""
    task = EVERY[name]
    rows = rows_of(task)
    rows[2][task.columns["label"]] = 1
    if "1" in task.label_names:
        assert items_from_rows(task, rows, "rows")[0][2].gold == (task.label_names["1"],)
        return
    with pytest.raises(BadInput, match=r"rows, row 3: must have a known label .*'1'"):
        items_from_rows(task, rows, "rows")


def test_t16_numbers_mean_what_the_study_says() -> None:
    told = {"family": "nli", "label_names": {"0": "contradiction", "2": "entailment"}}
    task = catalog.resolve_task(told)
    rows = rows_of(task)
    rows[0]["label"], rows[1]["label"] = 0, "2"
    golds = [item.gold for item in items_from_rows(task, rows, "rows")[0]]
    assert golds[:2] == [("contradiction",), ("entailment",)]
