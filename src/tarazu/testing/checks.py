"""The contract of methods and tasks as checks that anybody can run on their own plug-in.

Each check takes one value and raises `AssertionError` with the reason. With pytest::

    @pytest.mark.parametrize("check", METHOD_CHECKS, ids=lambda check: check.__name__)
    def test_contract(check):
        check(METHOD)

`METHOD_CHECKS` need a method only, `CASE_CHECKS` a method on a tiny model (see `cases`),
`TASK_CHECKS` a task and `ITEM_CHECKS` a task with some of its items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tarazu.data.item import Item
from tarazu.methods._method import ExplainContext, FitContext, Knobs, Method, search_nothing
from tarazu.record.spec import TrainingSpec
from tarazu.tasks._task import Task
from tarazu.testing.cases import (
    Case,
    answer,
    cases,
    counted,
    frozen_tensors,
    load,
    restore,
    save,
    train,
    trained_tensors,
)
from tarazu.testing.plain import (
    check_each_optimisation_can_be_switched_off,
    check_without_optimisations_it_is_the_same,
)
from tarazu.testing.spaces import check_search_fits, check_space
from tarazu.text import Text

_PERSIAN = re.compile(r"[\u0600-\u06ff]")


def _said(text: Text, what: str) -> None:
    assert text.en.strip(), f"{what}: the English text is empty"
    assert _PERSIAN.search(text.fa), f"{what}: the Persian text is empty or not Persian"


def check_method_is_described(method: Method) -> None:
    """Name, label and summary are there, in both languages."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", method.name), f"name: {method.name!r}"
    _said(method.label, "label")
    _said(method.summary, "summary")


def check_knobs_are_frozen(method: Method) -> None:
    """Knobs cannot be changed, and an unknown one is refused."""
    knobs = method.knobs()
    for name in method.knobs.model_fields:
        try:
            setattr(knobs, name, getattr(knobs, name))
        except ValidationError:
            continue
        raise AssertionError(f"knob '{name}' can be changed")
    try:
        method.knobs.model_validate({"no_such_knob": 1})
    except ValidationError:
        return
    raise AssertionError("an unknown knob is accepted")


def check_knobs_are_explained(method: Method) -> None:
    """Every knob has a description, and its default a reason and a source."""
    assert issubclass(method.knobs, Knobs), "knobs must be a class of Knobs"
    for path, field in _fields(method.knobs, ""):
        told = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        assert field.description, f"knob {path}: no docstring under it"
        assert str(told.get("reason", "")).strip(), f"knob {path}: its default has no reason"
        assert str(told.get("source", "")).strip(), f"knob {path}: its default has no source"


def check_search_is_declared(method: Method) -> None:
    """Every method says what is tuned in it, or why there is nothing to tune."""
    declared = method.search is not search_nothing
    assert declared != (method.nothing_to_tune is not None), (
        "a method declares a search space, or says why it has none"
    )
    if method.nothing_to_tune is not None:
        _said(method.nothing_to_tune, "nothing_to_tune")


def _fields(knobs: type[BaseModel], above: str) -> Iterator[tuple[str, Any]]:
    for name, field in knobs.model_fields.items():
        yield f"{above}{name}", field
        if isinstance(field.default, BaseModel):
            yield from _fields(type(field.default), f"{above}{name}.")


def check_explains_itself(method: Method) -> None:
    """There is an explanation in both languages, without a model as well."""
    _said(method.explain(ExplainContext(method.knobs(), None, None)), "explain")


def check_answers_for_no_model(method: Method) -> None:
    """`supports` and `seeded` answer when no model is named."""
    assert isinstance(method.seeded(method.knobs()), bool), "seeded must say True or False"
    if method.needs_model != "yes":
        assert method.predict is not None, "without a model there must be a predict"


def check_predicts_without_looking_at_gold(
    method: Method, task: Task, train_items: Sequence[Item], items: Sequence[Item]
) -> None:
    """A method without a model answers every item in order, whatever its gold says."""
    assert method.predict is not None
    knobs = method.knobs()
    shown = [method.view(item, task, knobs) for item in train_items]
    asked = [method.view(item, task, knobs) for item in items]
    other = _with_other_gold(asked)
    first = method.predict(FitContext(task, knobs, shown, asked, 0))
    again = method.predict(FitContext(task, knobs, shown, other, 0))
    assert [p.item_id for p in first] == [i.id for i in items], "one answer per item, in order"
    assert first == again, "the answers change with the gold of the items"


def _with_other_gold(items: Sequence[Item]) -> list[Item]:
    from dataclasses import replace

    golds = [(item.gold, item.starts) for item in items]
    turned = [*golds[1:], golds[0]]
    return [
        replace(item, gold=gold, starts=starts)
        for item, (gold, starts) in zip(items, turned, strict=True)
    ]


def check_attach_counts_the_same_on_meta_tensors(case: Case) -> None:
    """Planning on meta tensors and training on weights count the same trained parameters."""
    planned, learner = counted(case), load(case)
    real = sum(tensor.numel() for tensor in trained_tensors(learner).values())
    assert real == planned.trained + planned.head, f"planned {planned}, but {real} are trained"
    assert (planned.trained + planned.head > 0) == case.method.trains
    assert planned.trained + planned.head <= planned.total
    assert planned.head <= planned.deployed <= planned.total


def check_trained_in_fp32(case: Case) -> None:
    """What is trained is fp32 in every precision (trap T27); what is frozen then is not."""
    learner = load(case, dtype="bfloat16").train()
    for name, tensor in trained_tensors(learner).items():
        assert str(tensor.dtype) == "torch.float32", f"{name} is trained in {tensor.dtype}"
    for name, parameter in learner.named_parameters():
        if not parameter.requires_grad:
            assert str(parameter.dtype) != "torch.float32", f"{name} is frozen in fp32"


def check_everything_trained_moves_and_nothing_else(case: Case) -> None:
    """After three updates every trained tensor differs (trap T25) and no frozen one does."""
    learner = load(case)
    before, frozen = trained_tensors(learner), frozen_tensors(learner)
    if case.method.trains:
        assert before, "the method trains, but nothing is marked as trained"
        train(case, learner)
    after = trained_tensors(learner)
    still = [name for name, tensor in after.items() if bool((tensor == before[name]).all())]
    assert not still, f"these did not move in three updates: {still}"
    now = frozen_tensors(learner)
    moved = [name for name, tensor in now.items() if not bool((tensor == frozen[name]).all())]
    assert not moved, f"these are frozen, but moved: {moved}"


def check_saved_is_restored(case: Case, folder: Path) -> None:
    """What is saved gives the same answers bit for bit on a model built anew (trap T9)."""
    if not case.method.trains:
        return
    learner = load(case)
    train(case, learner)
    save(learner, folder)
    assert answer(case, learner) == restore(case, folder), "the restored model answers otherwise"


def check_answers_without_looking_at_gold(case: Case) -> None:
    """Every item gets an answer, in order, and its gold plays no part (trap T15)."""
    learner = load(case)
    answers = answer(case, learner)
    assert [a.item_id for a in answers] == [item.id for item in case.test]
    other = answer(case, learner, items=_with_other_gold(case.test))
    told = [(a.predicted, a.raw, a.scores) for a in answers]
    assert told == [(a.predicted, a.raw, a.scores) for a in other], "answers change with the gold"


def check_defaults_are_explained(case: Case) -> None:
    """Training settings are all there, each with reason and source, and are valid."""
    defaults = case.method.defaults(case.info, case.task)
    known = set(TrainingSpec.model_fields)
    assert set(defaults) <= known, f"unknown training settings: {set(defaults) - known}"
    if case.method.trains:
        assert set(defaults) == known, f"no default for {known - set(defaults)}"
    TrainingSpec(**{name: default.value for name, default in defaults.items()})
    for name, default in defaults.items():
        assert default.reason.strip(), f"{name}: no reason"
        assert default.source.strip(), f"{name}: no source"


def check_explains_the_model(case: Case) -> None:
    """The explanation takes in the model at hand, in both languages."""
    context = ExplainContext(case.knobs, case.info, counted(case))
    text = case.method.explain(context)
    _said(text, "explain")
    assert case.info.name in text.en, "the explanation does not name the model"


def check_view_keeps_what_is_asked(case: Case) -> None:
    """A method may hide texts, but changes neither identity nor gold nor field names."""
    for item in case.test:
        seen = case.method.view(item, case.task, case.knobs)
        assert (seen.id, seen.group, seen.gold) == (item.id, item.group, item.gold)
        assert list(seen.fields) == list(item.fields)


def check_demonstrations_are_training_items(case: Case) -> None:
    """Demonstrations come from the training split and never give the item away (trap T15)."""
    if case.method.demonstrations is None:
        return
    pool = [*case.train, *case.test[:2]]  # a leaky training split
    shots = case.method.demonstrations(case.knobs, case.task, pool, 0)
    for item in case.test:
        chosen = shots.choose(item)
        assert chosen, f"{item.id} gets no demonstration"
        assert all(shot in pool for shot in chosen), "a demonstration is no training item"
        assert all(shot.group != item.group for shot in chosen), "a demonstration of the same group"
        assert all(shot.fields != item.fields for shot in chosen), "the item demonstrates itself"


def check_task_is_described(task: Task) -> None:
    """Title, summary and metrics have names in both languages."""
    assert task.title.en.strip(), "title: empty"
    assert task.title.fa.strip(), "title: empty in Persian"  # a proper name may stay as it is
    _said(task.summary, "summary")
    for name, text in task.metric_names.items():
        _said(text, f"metric {name}")
    assert task.primary_metric in task.metric_names


def check_task_fields_fit(task: Task) -> None:
    """Texts have columns, and what is cut or kept is a text."""
    assert set(task.texts) <= set(task.columns), "a text field has no column"
    assert task.cut in task.texts
    assert task.partial in task.texts
    needed = "label" if task.kind == "classify" else "answers"
    assert needed in task.columns, f"no column for '{needed}'"
    assert bool(task.labels) == (task.kind == "classify")


def check_labels_can_be_told_apart(task: Task) -> None:
    """Labels are strings (trap T16), and no label's word begins another's (trap T13)."""
    assert all(isinstance(label, str) and label for label in task.labels)
    assert set(task.label_words) <= set(task.labels)
    assert set(task.label_names.values()) <= set(task.labels)
    words = [task.word(label).casefold() for label in task.labels]
    for i, one in enumerate(words):
        assert not any(i != j and other.startswith(one) for j, other in enumerate(words)), one


def check_templates(task: Task) -> None:
    """The default template comes first; each shows every text and names every label."""
    assert next(iter(task.templates)) == "default"
    for name, template in task.templates.items():
        assert template.answer == template.answer.strip(), f"{name}: a space around the answer"
        for text in task.texts:
            assert f"{{{text}}}" in template.item, f"{name}: does not show {text}"
        shown = task.instruction(template)
        assert all(task.word(label) in shown for label in task.labels), f"{name}: hides a label"


def check_gold_scores_best(task: Task, items: Sequence[Item]) -> None:
    """The gold answer scores 1, no answer 0, and what a model should say is read as gold."""
    for item in items:
        right, none = task.score(item.gold[0], item), task.score(None, item)
        assert set(right) == set(none) == set(task.metric_names)
        assert right[task.primary_metric] == 1.0, f"{item.id}: gold does not score 1"
        assert not any(none.values()), f"{item.id}: no answer scores above 0"
        assert task.parse(f" {task.answer_text(item)}", item) == item.gold[0]
    answers = [item.gold[0] for item in items]
    whole = task.aggregate(answers, items)
    assert all(value == 1.0 for value in whole.values()), whole


def check_nonsense_is_unparsable(task: Task, items: Sequence[Item]) -> None:
    """Empty text is no answer, and nonsense is no label (trap T17)."""
    for item in items:
        assert task.parse("  \n", item) is None
        if task.labels:
            assert task.parse("qqq zzz", item) is None


def check_slices_are_texts(task: Task, items: Sequence[Item]) -> None:
    """Every item falls into a named slice of every kind, the same kinds for all."""
    kinds = [set(task.slices(item)) for item in items]
    assert all(kind == kinds[0] for kind in kinds)
    assert all(isinstance(v, str) and v for item in items for v in task.slices(item).values())


METHOD_CHECKS: tuple[Callable[[Method], None], ...] = (
    check_method_is_described,
    check_knobs_are_frozen,
    check_knobs_are_explained,
    check_explains_itself,
    check_answers_for_no_model,
    check_search_is_declared,
)
CASE_CHECKS: tuple[Callable[[Case], None], ...] = (
    check_attach_counts_the_same_on_meta_tensors,
    check_trained_in_fp32,
    check_everything_trained_moves_and_nothing_else,
    check_answers_without_looking_at_gold,
    check_without_optimisations_it_is_the_same,
    check_each_optimisation_can_be_switched_off,
    check_defaults_are_explained,
    check_search_fits,
    check_explains_the_model,
    check_view_keeps_what_is_asked,
    check_demonstrations_are_training_items,
)
TASK_CHECKS: tuple[Callable[[Task], None], ...] = (
    check_task_is_described,
    check_task_fields_fit,
    check_labels_can_be_told_apart,
    check_templates,
)
ITEM_CHECKS: tuple[Callable[[Task, Sequence[Item]], None], ...] = (
    check_gold_scores_best,
    check_nonsense_is_unparsable,
    check_slices_are_texts,
)

__all__ = [
    "CASE_CHECKS",
    "ITEM_CHECKS",
    "METHOD_CHECKS",
    "TASK_CHECKS",
    "Case",
    "cases",
    "check_predicts_without_looking_at_gold",
    "check_saved_is_restored",
    "check_space",
]
