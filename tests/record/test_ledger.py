from __future__ import annotations

import getpass
import json
import multiprocessing
import socket
import threading
import uuid
from pathlib import Path

import pytest
from filelock import FileLock

from tarazu.errors import BadInput
from tarazu.record.ledger import (
    FILE,
    Ledger,
    Scoring,
    append,
    ledger_file,
    read_ledgers,
    scorings,
)
from tarazu.record.record import Input

SHA = "ab" * 32


@pytest.fixture(autouse=True)
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "home" / "user.jsonl"
    monkeypatch.setenv("TARAZU_LEDGER", str(file))
    return file


def scoring(**changes: object) -> Scoring:
    given = {
        "id": uuid.uuid4().hex, "test": SHA, "split": "test", "study": "small", "entry": "lora",
        "key": "k" * 64, "seed": 0, "when": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Scoring.model_validate({**given, **changes})


def silent(message: str) -> None:
    pytest.fail(message)


def ledger(folder: Path) -> Ledger:
    folder.mkdir(exist_ok=True)
    return Ledger(folder, silent)


def test_every_test_split_of_a_run_is_a_line_in_both_ledgers(make, tmp_path, user_file):
    record = make(
        "lora", seed=2, test_access=["near", "far"],
        inputs={"near": Input(rows=6, sha256=SHA), "far": Input(rows=4, sha256="cd" * 32)},
    )  # fmt: skip
    ledger(tmp_path / "out").count(record)
    own, user = read_ledgers([tmp_path / "out" / FILE]), read_ledgers([user_file])
    assert own == user
    assert [(s.split, s.test) for s in sorted(own, key=lambda s: s.test)] == [
        ("near", SHA), ("far", "cd" * 32),
    ]  # fmt: skip
    (found,) = scorings(SHA)
    assert (found.study, found.entry, found.key, found.seed) == ("small", "lora", record.key, 2)
    # A line that stands in both ledgers is one scoring.
    assert scorings(SHA, tmp_path / "out" / FILE, user_file) == [found]


def test_a_run_made_again_to_verify_it_leaves_the_folder_as_it_is(make, tmp_path, user_file):
    ledger(tmp_path / "out").count(make(test_access=["test"]), in_folder=False)
    assert len(read_ledgers([user_file])) == 1
    assert not (tmp_path / "out" / FILE).exists()


def test_a_run_that_failed_has_shown_nothing(failed, tmp_path, user_file):
    ledger(tmp_path / "out").count(failed())
    assert not user_file.exists()
    assert not (tmp_path / "out" / FILE).exists()


def test_lines_name_no_machine_user_or_place(make, tmp_path, user_file):
    ledger(tmp_path / "out").count(make(test_access=["test"]))
    told = json.loads(user_file.read_text(encoding="utf-8"))
    assert set(told) == set(Scoring.model_fields)
    for private in (socket.gethostname(), str(tmp_path), f'"{getpass.getuser()}"'):
        assert private not in json.dumps(told)


def test_folders_and_user_tell_each_other_what_they_know(make, tmp_path, user_file):
    ledger(tmp_path / "first").count(make(test_access=["test"]))
    second = ledger(tmp_path / "second")
    append(second.own, [brought := scoring(study="from elsewhere")])
    append(user_file, [unrelated := scoring(test="ef" * 32)])
    for _ in range(2):  # the second time there is nothing to tell
        second.bring_together({SHA})
        assert len(read_ledgers([second.own])) == 2
        assert len(read_ledgers([user_file])) == 3
    assert brought in read_ledgers([user_file])
    assert unrelated not in read_ledgers([second.own])
    assert len(second.own.read_text(encoding="utf-8").splitlines()) == 2


def test_scorings_are_in_the_order_of_time(tmp_path):
    later, earlier = scoring(when="2026-02-01"), scoring(when="2026-01-01")
    append(tmp_path / FILE, [later, earlier])
    assert read_ledgers([tmp_path / FILE]) == [earlier, later]


def test_a_line_cut_short_by_a_crash_harms_no_other(tmp_path):
    file, first, second = tmp_path / FILE, scoring(), scoring()
    append(file, [first])
    with file.open("ab") as stream:
        stream.write(b'{"id": "1234", "test": "\xd8')
    append(file, [second])
    assert {s.id for s in read_ledgers([file])} == {first.id, second.id}


def test_names_may_hold_any_character(tmp_path):
    odd = scoring(split="آزمون\u2028یک\n", entry="a\u0085b")
    append(tmp_path / FILE, [odd])
    assert read_ledgers([tmp_path / FILE]) == [odd]


def _append_many(file: Path, name: str) -> None:
    for _ in range(40):
        append(file, [scoring(study=name), scoring(study=name)])


def test_two_processes_write_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    file = tmp_path / FILE
    processes = [context.Process(target=_append_many, args=(file, name)) for name in ("one", "two")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 160
    found = [Scoring.model_validate_json(line).study for line in lines]
    assert (found.count("one"), found.count("two")) == (80, 80)


def test_a_writer_waits_for_another_one(tmp_path):
    file = tmp_path / FILE
    with FileLock(tmp_path / f".{FILE}.lock"):
        writer = threading.Thread(target=append, args=(file, [scoring()]))
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
        assert not file.exists() or not file.read_bytes()
    writer.join(60)
    assert len(read_ledgers([file])) == 1


def test_a_users_ledger_that_cannot_be_written_is_told_and_the_folder_counts_on(
    make, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TARAZU_LEDGER", str(tmp_path / "file" / "ledger.jsonl"))
    (tmp_path / "out").mkdir()
    told: list[str] = []
    Ledger(tmp_path / "out", told.append).count(make(test_access=["test"]))
    assert len(told) == 1
    assert "TARAZU_LEDGER" in told[0]
    assert len(read_ledgers([tmp_path / "out" / FILE])) == 1


def test_an_output_folder_that_cannot_be_written_stops_the_study(make, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(BadInput, match="output folder must be writable"):
        Ledger(tmp_path / "out", silent).count(make(test_access=["test"]))


def test_where_the_users_ledger_is(tmp_path, monkeypatch):
    monkeypatch.setenv("TARAZU_LEDGER", "~/a/b.jsonl")
    assert ledger_file() == Path.home() / "a" / "b.jsonl"
    monkeypatch.setenv("TARAZU_LEDGER", "")
    assert ledger_file().name == FILE
    assert ledger_file().is_absolute()


def test_absent_ledgers_are_empty(tmp_path):
    assert scorings(SHA) == []
    assert read_ledgers([tmp_path / "none" / FILE]) == []
