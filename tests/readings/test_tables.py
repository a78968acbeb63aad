"""Where tokens of items are kept: the same numbers, other processes, torn files, full disks."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarazu.data.item import Item
from tarazu.models.load import load_tokenizer, tokenizer_hash
from tarazu.models.states import Shelves
from tarazu.readings import classes, pairs, prompts, spans, text
from tarazu.readings._kept import identity, kept_features
from tarazu.readings._reading import Asking, Feature
from tarazu.readings.tables import Lazy, Row, Table, Tables
from tarazu.record.key import canonical_json
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, nli_items, qa_items, tiny_model

Tiny = Callable[[TinyKind], Path]
Ask = Callable[..., Asking]
NUMBERS = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9)


@pytest.fixture
def place(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path / "learnt", tmp_path / "tests", disk=2**20)


def files(*folders: Path | None) -> list[Path]:
    return sorted(f for one in folders if one for f in one.rglob("*") if f.is_file())


class Asked:
    """Asks for tables by a number, which must be right, and counts which ones had to be made."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.made: list[int] = []

    def __call__(self, *numbers: int) -> list[int]:
        self.made.clear()
        for number in numbers:
            table = self.tables.get({"number": number}, lambda n=number: self._rows(n), 2)  # type: ignore[misc]
            assert [table.row(i) for i in range(len(table))] == [list(r) for r in rows(number)]
        return list(self.made)

    def _rows(self, number: int) -> list[Row]:
        self.made.append(number)
        return rows(number)


def rows(number: int) -> list[Row]:
    return [[list(range(number)), [number, place]] for place in range(3)]


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(NUMBERS, min_size=n, max_size=n))))
@settings(max_examples=60, deadline=None)
def test_a_table_gives_back_its_rows_also_out_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[list[int]]]
) -> None:
    columns = len(cells[0]) if cells else 2
    table = Table.of(cells, columns)
    file = tmp_path_factory.mktemp("table") / "table"
    table.write(file)
    assert file.stat().st_size == table.bytes
    found = Table.read(file)
    assert found is not None
    for one in (table, found):
        assert len(one) == len(cells)
        assert [one.row(place) for place in range(len(one))] == cells
        for column in range(columns):
            assert one.sizes(column) == [len(row[column]) for row in cells]
    assert found.seconds == table.seconds


FEATURES = st.builds(
    Feature,
    st.integers(0, 2**31 - 1),
    NUMBERS,
    token_types=st.none() | NUMBERS,
    cut_tokens=st.integers(0, 2**31 - 1),
    offsets=st.lists(st.tuples(st.integers(-1, 2**31 - 1), st.integers(-1, 2**31 - 1)), max_size=9),
)


@given(st.lists(FEATURES, max_size=5))
@settings(max_examples=60, deadline=None)
def test_features_come_back_as_they_were(
    asking: Asking, tmp_path_factory: pytest.TempPathFactory, made: list[Feature]
) -> None:
    shelves = Shelves(tmp_path_factory.mktemp("learnt"), None, disk=2**20)
    tables = [Tables({}, keep=False), Tables({}), Tables({}, shelves), Tables({}, shelves)]
    for one in tables:
        found = kept_features(replace(asking, tables=one), [], "made up", lambda: made)
        assert list(found) == made
        assert [found[i] for i in range(-len(made), 0)] == made
        assert found[1:3] == made[1:3]
        assert found.lengths == [len(feature.input_ids) for feature in made]
        assert found.terms == [feature.terms for feature in made]
    assert tables[-1].shared > 0


@pytest.fixture(scope="module")
def asking(tiny: Tiny, nli: Task) -> Asking:
    return Asking(nli, None, None, 512, nli.templates["default"])  # type: ignore[arg-type]


def test_an_error_within_a_member_does_not_end_the_sequence() -> None:
    lazy = Lazy(3, lambda place: [10, 20][place])
    with pytest.raises(IndexError):
        list(lazy)
    with pytest.raises(IndexError):
        lazy[3]
    assert Lazy(2, lambda place: place) == [0, 1] != Lazy(1, lambda place: place)


def test_nothing_is_made_twice(place: Shelves) -> None:
    for shared in (None, place):
        ask = Asked(Tables({}, shared))
        assert ask(1, 0, 2, 1, 3) == [1, 0, 2, 3]
        assert ask(3, 0, 2, 1) == []
        assert ask.tables.shared == 0
    other = Asked(Tables({}, place))
    assert other(2, 3, 0) == []
    seconds = other.tables.shared
    assert seconds > 0
    assert other(2, 3, 0) == []
    assert other.tables.shared == seconds  # counted once
    assert Asked(Tables({"tokenizer": "another"}, place))(2) == [2]


def test_without_keeping_everything_is_made_every_time(place: Shelves) -> None:
    ask = Asked(Tables({}, place, keep=False))
    assert ask(1, 1) == [1, 1]
    assert not files(place.learnt)


def test_a_table_that_is_torn_or_changed_is_not_used(place: Shelves) -> None:
    Asked(Tables({}, place))(4)
    (file,) = files(place.learnt)
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert Table.read(file) is None, size
    file.write_bytes(whole + b"\0")
    assert Table.read(file) is None
    for byte in range(len(whole)):
        bent = bytearray(whole)
        bent[byte] ^= 1 << byte % 8
        file.write_bytes(bent)
        assert Table.read(file) is None, byte
    ask = Asked(Tables({}, place))
    assert ask(4) == [4]
    assert ask.tables.shared == 0
    assert Asked(Tables({}, place))(4) == []  # it was written anew


@pytest.mark.parametrize("step", ["mkdir", "open", "rename"])
def test_a_disk_that_is_full_takes_the_tables_away_and_nothing_else(
    place: Shelves, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    asked = []

    def full(self: Path, *arguments: Any, **more: Any) -> None:
        asked.append(self)
        raise OSError(errno.ENOSPC, "No space left on device")

    ask = Asked(Tables({}, place))
    with monkeypatch.context() as patch:
        if step == "open":  # reading is opening, too
            patch.setattr(Table, "write", lambda table, file: full(file))
        else:
            patch.setattr(Path, step, full)
        assert ask(1, 2, 1) == [1, 2]
    assert len(asked) == 1  # it is not tried again
    assert not files(place.learnt)
    assert ask(1, 2, 3) == [3]


def test_a_disk_that_fills_up_in_the_middle_leaves_no_part(
    place: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(table: Table, file: Path) -> None:
        file.write_bytes(b"tarazu")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Table, "write", torn)
    assert Asked(Tables({}, place))(1, 1) == [1]
    assert not files(place.learnt)


def test_the_disk_is_bounded(place: Shelves) -> None:
    size = Table.of(rows(50), 2).bytes
    ask = Asked(Tables({}, replace(place, disk=2 * size)))
    assert ask(50, 50) == [50]
    with ask.tables.of("tests"):
        assert ask(49, 48) == [49, 48]
    assert sum(file.stat().st_size for file in files(place.learnt, place.tests)) <= 2 * size
    assert len(files(place.learnt, place.tests)) == 2
    assert ask(48, 49, 50) == []
    assert Asked(Tables({}, replace(place, disk=0)))(47, 47) == [47]


def test_t30_tables_of_test_items_lie_apart_and_a_trial_has_none(place: Shelves) -> None:
    assert place.tests is not None
    final = Asked(Tables({}, place))
    with final.tables.of("tests"):
        assert final(7) == [7]
    assert len(files(place.tests)) == 1
    assert not files(place.learnt)
    # The same question of training items is not answered out of the tests.
    assert Asked(Tables({}, place))(7) == [7]
    (place.learnt / "tokens").joinpath(*os.listdir(place.learnt / "tokens")).unlink()
    trial = Asked(Tables({}, place.for_trial()))
    assert trial(7) == [7]
    with trial.tables.of("tests"):
        assert trial(8) == [8]
    assert len(files(place.tests)) == 1
    assert len(files(place.learnt)) == 1


def _write(place: Shelves, started: Any, numbers: Sequence[int]) -> None:
    ask = Asked(Tables({}, place))
    for number in numbers:
        ask(number)
        if number == numbers[9]:
            started.set()


def test_a_writer_that_is_killed_at_any_moment_leaves_only_whole_tables(place: Shelves) -> None:
    place = replace(place, disk=2**30)
    context = multiprocessing.get_context("fork")
    started = context.Event()
    process = context.Process(target=_write, args=(place, started, range(10**6)))
    process.start()
    assert started.wait(60)
    process.kill()
    process.join()
    named = [file for file in files(place.learnt) if not file.name.startswith(".")]
    assert len(named) >= 10
    assert all(Table.read(file) is not None for file in named)
    assert Asked(Tables({}, place))(*range(10)) == []


def _die_while_writing(place: Shelves) -> None:
    def half(table: Table, file: Path) -> None:
        file.write_bytes(b"tarazu")
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Table, "write", half)
        Asked(Tables({}, place))(1)


def test_a_part_of_a_table_never_has_the_tables_name(place: Shelves) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_while_writing, args=(place,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (part,) = files(place.learnt)
    assert part.name.startswith(".tmp-")
    assert Asked(Tables({}, place))(1) == [1]


def test_two_processes_may_write_at_once(place: Shelves) -> None:
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=_write, args=(place, context.Event(), range(60))) for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert Asked(Tables({}, place))(*range(60)) == []


# What readings make of items.

WAYS: list[tuple[Any, TinyKind, dict[str, Any]]] = [
    (classes, "bert", {}),
    (classes, "bert", {"max_length": 20}),
    (classes, "roberta", {}),
    (classes, "llama", {}),
    (spans, "bert", {"max_length": 64}),
    (spans, "roberta", {}),
    (text, "gpt2", {"max_length": 70}),
    (text, "llama", {"loss_on": "all"}),
    (text, "llama-chat", {"chat": True}),
    (text, "llama", {"answer": "generate"}),
]


def made(reading: Any, asking: Asking) -> list[Feature]:
    return list(reading.encode(items_for(reading), asking))


def items_for(reading: Any) -> list[Item]:
    if reading is not spans:
        return nli_items(7)
    # The last question is longer and leaves the others' contexts less room.
    *items, last = (one.with_fields(context=one.fields["context"] * 3) for one in qa_items(7))
    return [*items, last.with_fields(question=f"Who bought a {'very ' * 10}old drum?")]


@pytest.mark.parametrize(("reading", "kind", "how"), WAYS)
def test_features_and_answers_are_to_the_bit_the_same_out_of_tables(
    load: Callable[..., Any],
    tiny: Tiny,
    ask: Ask,
    qa: Task,
    nli: Task,
    place: Shelves,
    monkeypatch: pytest.MonkeyPatch,
    reading: Any,
    kind: TinyKind,
    how: dict[str, Any],
) -> None:
    asking = ask(tiny(kind), task=qa if reading is spans else nli, **how)
    learner = load(kind, reading.READING.name)

    def found(tables: Tables) -> Any:
        asked = replace(asking, tables=tables)
        answers = reading.answer(learner, items_for(reading), asked, lambda done, total: None)
        return made(reading, asked), answers

    expected = found(Tables({}, keep=False))
    assert len(expected[0]) >= 7
    for module in (pairs, spans, prompts):
        monkeypatch.setattr(module, "AT_ONCE", 3)
    assert found(Tables({}, keep=False)) == expected
    assert found(Tables({}, place)) == expected
    asking = replace(asking, tokenizer=_Silent(asking.tokenizer))
    assert found(Tables({}, place)) == expected


class _Silent:
    """A tokenizer that makes words of tokens and no tokens of words."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, *texts: Any, **options: Any) -> None:
        pytest.fail("asked again for tokens")


@pytest.mark.parametrize("reading", [classes, spans])
def test_t37_an_encoders_tokenizer_is_given_few_items_at_a_time(
    tiny: Tiny, ask: Ask, qa: Task, nli: Task, monkeypatch: pytest.MonkeyPatch, reading: Any
) -> None:
    asking = ask(tiny("bert"), task=qa if reading is spans else nli)
    sizes = []

    def noted(texts: list[str], *others: Any, **more: Any) -> Any:
        sizes.append(len(texts))
        return asking.tokenizer(texts, *others, **more)

    expected = made(reading, asking)
    for module in (pairs, spans):
        monkeypatch.setattr(module, "AT_ONCE", 3)
    assert made(reading, replace(asking, tokenizer=noted)) == expected
    assert sizes == ([3, 3, 1, 3, 3, 1] if reading is spans else [3, 3, 1])


@pytest.mark.parametrize("reading", [classes, spans, text])
def test_t37_memory_does_not_grow_with_the_tokens(
    tiny: Tiny, ask: Ask, qa: Task, nli: Task, tmp_path: Path, reading: Any
) -> None:
    shelves = Shelves(tmp_path / "learnt", None, disk=2**30)
    task, make = (qa, qa_items) if reading is spans else (nli, nli_items)
    asking = ask(tiny("llama" if reading is text else "bert"), task=task)
    items = make(1500)
    held = []
    for tables in (Tables({}, shelves), Tables({}, keep=False)):
        reading.encode(items[:300], replace(asking, tables=Tables({})))  # what comes once for all
        tracemalloc.start()
        features = reading.encode(items, replace(asking, tables=tables))
        held.append(tracemalloc.get_traced_memory()[0] / len(items))
        tracemalloc.stop()
    tokens = sum(features.lengths) / len(items)
    assert held[0] < 150  # bytes an item: its length, its terms, its answer
    assert held[0] + 4 * tokens < held[1] < held[0] + 100 + 20 * tokens


# Fields of `Asking` that decide about no tokens, or are told beside `identity`: the tokenizer and
# the demonstrations to `Tables`; the answers, which follow from `answer`, and their room.
ELSEWHERE = {
    "tokenizer", "demonstrations", "fixed", "info", "answer", "decode", "label_score", "batch_size",
    "seed", "loss_on", "tables",
}  # fmt: skip


def test_whatever_of_asking_decides_about_tokens_is_in_their_name(
    tiny: Tiny, ask: Ask, nli: Task, qa: Task
) -> None:
    asking = ask(tiny("llama"))
    other: dict[str, list[Any]] = {
        "task": [
            qa, replace(nli, texts=nli.texts[:1]), replace(nli, cut="hypothesis"),
            replace(nli, label_words={"neutral": "maybe"}), replace(nli, labels=nli.labels[::-1]),
        ],
        "max_length": [511],
        "template": [
            replace(asking.template, **{field.name: "other"}) for field in fields(asking.template)
        ],
        "chat": [True],
    }  # fmt: skip
    assert {field.name for field in fields(Asking)} == ELSEWHERE | other.keys()
    names = [canonical_json(identity(asking))]
    for name, values in other.items():
        names += [canonical_json(identity(replace(asking, **{name: one}))) for one in values]
    assert len(set(names)) == len(names)


def test_other_answers_room_or_items_are_other_tables(
    tiny: Tiny, ask: Ask, place: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = replace(ask(tiny("llama")), tables=Tables({}, place))
    items = nli_items(2)
    questions: list[dict[str, Any]] = [
        {"items": items, "answers": [["a"]] * 2, "room": 0},
        {"items": items, "answers": [["b"]] * 2, "room": 0},
        {"items": items, "answers": [["a", "b"]] * 2, "room": 0},
        {"items": items, "answers": [[]] * 2, "room": 0},
        {"items": items, "answers": [[]] * 2, "room": 4},
        {"items": items[::-1], "answers": [[]] * 2, "room": 4},
        {"items": [i.with_fields(premise="x") for i in items], "answers": [[]] * 2, "room": 4},
    ]
    for number, one in enumerate(questions, start=1):
        prompts.encode_prompts(one["items"], one["answers"], asking, room=one["room"])
        assert len(files(place.learnt)) == number


def test_a_tokenizer_is_known_by_all_that_it_does(tiny: Tiny, tmp_path: Path) -> None:
    def changed(change: Callable[[Any], None], kind: TinyKind = "bert") -> str:
        tokenizer = load_tokenizer(tiny(kind))
        change(tokenizer)
        return tokenizer_hash(tokenizer)

    def nothing(tokenizer: Any) -> None:
        pass

    same = {changed(nothing), changed(nothing)}
    same.add(tokenizer_hash(load_tokenizer(tiny_model(tmp_path / "moved", "bert"))))
    assert len(same) == 1
    hashes = [
        *same,
        *(changed(nothing, kind) for kind in ("roberta", "gpt2", "llama", "llama-chat")),
        changed(lambda one: one.add_tokens(["wug"])),
        changed(lambda one: setattr(one, "chat_template", "{{ messages }}")),
        changed(lambda one: setattr(one, "model_input_names", ["input_ids"])),
        changed(lambda one: setattr(one, "truncation_side", "left")),
    ]
    assert len(set(hashes)) == len(hashes)
