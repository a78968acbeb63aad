from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarazu.errors import BadInput
from tarazu.tasks import corpus_nli, corpus_qa, farstail, multinli, squad, sst2
from tarazu.tasks._cells import nearest
from tarazu.tasks._declared import declare_task
from tarazu.tasks._items import items_from_rows
from tarazu.tasks._task import Task

CONTEXT = "Ann met Bob. Bob met Ann. 🙂 Bob left Oslo."


def pair(label: Any = "neutral", **columns: Any) -> dict[str, Any]:
    return {"premise": "A premise.", "hypothesis": "A hypothesis.", "label": label, **columns}


def asked(text: Any = "Bob", start: Any = 8, **columns: Any) -> dict[str, Any]:
    texts = text if isinstance(text, list) else [text]
    starts = start if isinstance(start, list) else [start]
    answers = {"text": texts, "answer_start": starts}
    return {"context": CONTEXT, "question": "Who?", "answers": answers, **columns}


def refused(task: Task, rows: list[dict[str, Any]], **options: Any) -> str:
    with pytest.raises(BadInput) as caught:
        items_from_rows(task, rows, "pairs.csv", **options)
    return str(caught.value)


def test_items_of_pairs() -> None:
    rows = [pair("neutral", genre="travel"), pair("entailment", genre=None)]
    items, notes = items_from_rows(multinli.TASK, rows, "pairs.csv", id_prefix="train-")
    assert [item.id for item in items] == ["train-1", "train-2"]
    assert items[0].fields == {"premise": "A premise.", "hypothesis": "A hypothesis."}
    assert [item.gold for item in items] == [("neutral",), ("entailment",)]
    assert [item.slices["genre"] for item in items] == ["travel", "unknown"]
    assert items[0].slices["premise_length"] == "1-10"
    assert items[0].group == "A premise."
    assert notes == []


def test_made_ids_are_padded_and_survive_dropped_rows() -> None:
    rows = [pair(None), *[pair()] * 9, pair("entailment")]
    items, _ = items_from_rows(multinli.TASK, rows, "x", id_prefix="test-")
    assert [items[0].id, items[-1].id] == ["test-02", "test-11"]


def test_t16_numbers_of_the_hub_become_names() -> None:
    rows = [pair(0), pair(1), pair(2), pair(2.0), pair("1")]
    items, _ = items_from_rows(multinli.TASK, rows, "x")
    assert [item.gold[0] for item in items] == [
        "entailment", "neutral", "contradiction", "contradiction", "neutral",
    ]  # fmt: skip
    rows = [{"text": "good", "label": 1}, {"text": "bad", "label": 0}]
    items, _ = items_from_rows(sst2.TASK, rows, "x")
    assert [item.gold[0] for item in items] == ["positive", "negative"]


def test_t16_letters_of_farstail_become_names() -> None:
    items, _ = items_from_rows(farstail.TASK, [pair("e"), pair("n"), pair("c")], "x")
    assert tuple(item.gold[0] for item in items) == farstail.TASK.labels


@pytest.mark.parametrize("label", [-1, -1.0, "-1", "-", None, "", float("nan")])
def test_rows_without_gold_label_are_dropped_and_counted(label: Any) -> None:
    rows = [pair("neutral"), pair(label), pair("entailment"), pair(label)]
    items, notes = items_from_rows(multinli.TASK, rows, "test.parquet")
    assert len(items) == 2
    assert notes == ["test.parquet: 2 rows without gold label dropped"]
    with pytest.raises(BadInput, match="1 row without gold label dropped"):
        items_from_rows(multinli.TASK, [pair(label)], "test.parquet")


def test_minus_one_is_a_label_where_it_is_declared() -> None:
    task = declare_task({"family": "classification", "labels": ["-1", "x"]})
    items, notes = items_from_rows(task, [{"text": "t", "label": -1}], "x")
    assert items[0].gold == ("-1",)
    assert "dropped" not in " ".join(notes)


def test_missing_columns() -> None:
    row = {"premise": "p", "hypotesis": "h", "label": "neutral"}
    message = refused(multinli.TASK, [row])
    assert "pairs.csv: must have column 'hypothesis' (hypothesis)" in message
    assert "Did you mean 'hypotesis'?" in message
    assert "must have column 'topic' (unit of splitting)" in refused(
        multinli.TASK, [pair()], group_by="topic"
    )
    task = declare_task({"family": "nli", "columns": {"genre": "topic"}})
    assert "must have column 'topic' (genre)" in refused(task, [pair()])


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (pair("neutrl"), "row 2: must have a known label in column 'label', but got 'neutrl'. "
         "Did you mean 'neutral'?"),
        (pair(7), "but got '7'. Valid: "),
        (pair(premise=" "), "row 2: must have a text in column 'premise', but got an empty one"),
        (pair(hypothesis=None), "row 2: must have a text in column 'hypothesis'"),
        (pair(hypothesis=3), "but got 3 (int)"),
        (pair(hypothesis="\ud800"), "must have valid Unicode in column 'hypothesis'"),
    ],
)  # fmt: skip
def test_bad_rows(row: dict[str, Any], wanted: str) -> None:
    assert wanted in refused(multinli.TASK, [pair(), row])


def test_all_bad_rows_at_once_but_not_thousands() -> None:
    message = refused(multinli.TASK, [pair("x") for _ in range(500)])
    assert message.count("known label") == 10
    assert "490 more rows have mistakes like these" in message


def test_ids_must_be_unique() -> None:
    rows = [pair(id="a"), pair("entailment", id="b"), pair(id="a")]
    assert "row 3" in refused(corpus_nli.TASK, rows)
    assert "'a', the id of row 1" in refused(corpus_nli.TASK, rows)
    assert "must have an id" in refused(corpus_nli.TASK, [pair(id=None)])
    items, _ = items_from_rows(corpus_nli.TASK, rows[:2], "x")
    assert [item.id for item in items] == ["a", "b"]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize("column", ["premise", "hypothesis", "genre", "id", "promptID"])
def test_nul_and_half_of_a_pair_are_named_by_file_and_row(column: str, text: str) -> None:
    rows = [pair(promptID="1", id="a", genre="x"), pair(promptID="2", id="b", genre="x")]
    rows[1][column] = text
    message = refused(multinli.TASK, rows, group_by="promptID")
    assert message.startswith("pairs.csv, row 2: must have ")
    assert f"in column '{column}'" in message
    # A column that nothing reads may hold what it will.
    items, _ = items_from_rows(multinli.TASK, [{**pair(), "other": text}], "x")
    assert len(items) == 1


def test_nul_in_an_answer_or_a_label_is_refused() -> None:
    assert "row 1: must have no NUL" in refused(corpus_qa.TASK, [asked("B\0b")])
    assert "row 1: must have a known label" in refused(multinli.TASK, [pair("neutral\0")])


def test_empty_split() -> None:
    assert "must hold at least one row, but got an empty split" in refused(multinli.TASK, [])


def test_one_class_cannot_be_trained_on_but_tested() -> None:
    rows = [pair("neutral"), pair("neutral")]
    message = refused(multinli.TASK, rows, training=True)
    assert "rows of two labels or more, but got only 'neutral' in all 2 rows" in message
    items, notes = items_from_rows(multinli.TASK, rows, "x")
    assert len(items) == 2
    why = "scores there cannot show whether classes are told apart"
    assert notes == [f"x: 2 rows all with the label 'neutral': {why}"]
    # One row cannot have two.
    items, notes = items_from_rows(multinli.TASK, rows[:1], "x", training=True)
    assert len(items) == 1
    assert notes == [f"x: 1 row all with the label 'neutral': {why}"]


def test_groups_are_short_and_equal_for_equal_texts() -> None:
    long = "A premise that goes on for more than forty characters."
    rows = [pair(premise=long), pair("entailment", premise=long), pair(premise=long + "!")]
    groups = [item.group for item in items_from_rows(multinli.TASK, rows, "x")[0]]
    assert groups[0] == groups[1] != groups[2]
    assert len(groups[0]) == 12
    rows = [pair(topic=5), pair("entailment", topic=6)]
    items, _ = items_from_rows(multinli.TASK, rows, "x", "topic")
    assert [item.group for item in items] == ["5", "6"]
    message = refused(multinli.TASK, [pair(topic=None), pair(topic=1)], group_by="topic")
    assert "row 1: must have a value in column 'topic'" in message


def test_t18_right_offsets_stay() -> None:
    items, notes = items_from_rows(squad.TASK, [asked("Bob", 13, id="q1")], "x", training=True)
    assert (items[0].id, items[0].gold, items[0].starts) == ("q1", ("Bob",), (13,))
    assert notes == []


@pytest.mark.parametrize(("start", "place"), [(9, 8), (12, 13), (14, 13), (29, 28), (None, 8)])
def test_t18_wrong_offsets_go_to_the_nearest_occurrence(start: int | None, place: int) -> None:
    items, notes = items_from_rows(squad.TASK, [asked("Bob", start)], "x")
    assert items[0].starts == (place,)
    assert CONTEXT[place:].startswith("Bob")
    assert notes == ["x: 1 row with a wrong answer_start, corrected"] * (start is not None)


def test_t18_first_and_last_words_are_answers() -> None:
    rows = [asked("Ann", 0), asked("Oslo.", len(CONTEXT) - 5)]
    items, notes = items_from_rows(squad.TASK, rows, "x", training=True)
    assert [item.starts for item in items] == [(0,), (len(CONTEXT) - 5,)]
    assert notes == []


@settings(deadline=None)
@given(st.text(alphabet="ab ", max_size=30), st.integers(-5, 40), st.data())
def test_t18_nearest_is_the_nearest(context: str, start: int, data: st.DataObject) -> None:
    text = data.draw(st.text(alphabet="ab", min_size=1, max_size=3))
    places = [i for i in range(len(context)) if context.startswith(text, i)]
    found = nearest(context, text, start)
    if not places:
        assert found is None
    else:
        assert found in places
        assert abs(found - start) == min(abs(place - start) for place in places)


def test_absent_answers_are_dropped_in_training_and_kept_for_scoring() -> None:
    rows = [asked("Bob", 8), asked("Carl", 3), asked(["Carl", "Ann"], [3, 0])]
    items, notes = items_from_rows(squad.TASK, rows, "x", training=True)
    assert [(item.gold, item.starts) for item in items] == [(("Bob",), (8,)), (("Ann",), (0,))]
    assert "x: 1 row whose answer is not in the context dropped" in notes
    items, notes = items_from_rows(squad.TASK, rows, "x")
    assert [(item.gold, item.starts) for item in items] == [
        (("Bob",), (8,)),
        (("Carl",), ()),
        (("Ann", "Carl"), (0,)),
    ]
    assert notes == ["x: 2 rows whose answer is not in the context, scored as text only"]


def test_t18_unanswerable_rows_are_dropped_and_counted() -> None:
    items, notes = items_from_rows(squad.TASK, [asked(), asked([], [])], "x")
    assert len(items) == 1
    assert notes == ["x: 1 row without gold answer dropped"]


def test_equal_golds_are_kept_once() -> None:
    items, _ = items_from_rows(squad.TASK, [asked(["Bob", "Bob", "Bob"], [8, 8, 13])], "x")
    assert items[0].gold == ("Bob", "Bob")
    assert items[0].starts == (8, 13)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (asked(answers="Bob"), "must have {text: [...], answer_start: [...]} in column 'answers'"),
        (asked(answers={"text": "Bob", "answer_start": 8}), "must have {text: [...]"),
        (asked(answers={"text": ["Bob"], "answer_start": ["8"]}), "must have {text: [...]"),
        (asked(["Bob"], [1, 2]), "must have as many offsets as answers in column 'answers', "
         "but got 2 for 1"),
        (asked(" "), "must not have an empty answer"),
        (asked(question=""), "must have a text in column 'question'"),
    ],
)  # fmt: skip
def test_bad_answers(row: dict[str, Any], wanted: str) -> None:
    assert wanted in refused(corpus_qa.TASK, [asked(), row])


def test_answers_without_offsets() -> None:
    row = asked(answers={"text": ["Oslo"]})
    items, notes = items_from_rows(corpus_qa.TASK, [row], "x")
    assert items[0].starts == (CONTEXT.index("Oslo"),)
    assert notes == []


@pytest.mark.real
@pytest.mark.parametrize(
    ("task", "split", "rows", "groups"),
    [
        (multinli.TASK, "validation_matched", 9815, 3334),
        (squad.TASK, "validation", 10570, 2067),
        (farstail.TASK, "test", 1564, 536),
        (sst2.TASK, "test", 1821, 1821),
    ],
)
def test_published_data(task: Task, split: str, rows: int, groups: int) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    root = Path(__file__).parents[3] / "shared" / "data"
    path = root / task.name / f"{split}.parquet"
    if not path.exists():
        pytest.skip(f"no published data at ../shared/data/{task.name}")
    items, notes = items_from_rows(task, parquet.read_table(path).to_pylist(), path.name)
    assert (len(items), len({item.group for item in items}), notes) == (rows, groups, [])
