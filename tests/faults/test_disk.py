"""Every write of a study's folder fails once: no finished run is lost, and the word is clear."""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tarazu.data.item import Item, Prediction
from tarazu.errors import BadInput
from tarazu.record.aside import set_aside
from tarazu.record.ledger import Ledger, read_ledgers
from tarazu.record.record import RunRecord, Tuned
from tarazu.record.store import Store
from tarazu.testing.folders import answer, make_items
from tarazu.testing.records import make_record

TUNED = Tuned(budget=4, trials=4, seed=9, winner=0)


class Disk:
    """Counts what is written below a folder, and refuses one call, or all from one on.

    Args:
        folder: Calls elsewhere are let through.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[str] = []
        self.fail_at, self.number, self.lasting = -1, errno.ENOSPC, False

    def refuse(self, at: int, number: int, *, lasting: bool) -> None:
        self.calls, self.fail_at, self.number, self.lasting = [], at, number, lasting

    def heal(self) -> None:
        self.calls, self.fail_at = [], -1

    def told(self, name: str, place: Any) -> None:
        if not Path(os.fsdecode(place)).is_relative_to(self.folder):
            return
        index = len(self.calls)
        self.calls.append(f"{name} {Path(os.fsdecode(place)).name}")
        if index == self.fail_at or (self.lasting and 0 <= self.fail_at <= index):
            raise OSError(self.number, os.strerror(self.number), str(place))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk(tmp_path)

    def watched(name: str, place: Callable[..., Any]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if name != "mkdir" or not Path(arguments[0]).exists():  # nothing is written then
                found.told(name, place(*arguments))
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, call)

    watched("replace", lambda source, target: target)
    watched("rename", lambda source, target: target)
    watched("mkdir", lambda path, *rest: path)
    watched("unlink", lambda path, *rest: path)
    watched("fsync", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
    watched("sendfile", lambda out, *rest: os.readlink(f"/proc/self/fd/{out}"))
    real_open, real_os_open = io.open, os.open

    def opened(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wax+"):
            return real_open(file, mode, *arguments, **named)
        found.told("open", file)
        stream = real_open(file, mode, *arguments, **named)
        whole = stream.write

        def write(content: Any) -> Any:
            try:
                found.told("write", file)
            except OSError:
                whole(content[: len(content) // 2])  # what fills a disk is on it, in part
                stream.flush()
                raise
            return whole(content)

        stream.write = write
        return stream

    def opened_low(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            found.told("os.open", path)
        return real_os_open(path, flags, *arguments, **named)

    monkeypatch.setattr(io, "open", opened)
    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(os, "open", opened_low)
    return found


def record(entry: str, **changes: Any) -> RunRecord:
    made = make_record(entry, **changes)
    return made.model_copy(update={"test_access": ["test"]})


def answers(items: list[Item]) -> list[Prediction]:
    return [answer(item, 0.7, "x") for item in items]


class Study:
    """Writes everything that a study writes; each step can be done again."""

    def __init__(self, folder: Path) -> None:
        self.store, self.items = Store(folder / "out", "e" * 64), make_items(6)
        self.notes: list[str] = []
        self.adopted = record("twin", rank=4)
        self.weights = folder / "work"

    def before(self) -> None:
        """Finish a run, fail another one, and leave one that other versions made."""
        old = record("old")
        other = old.environment.model_copy(update={"hash": "f" * 64})
        with self.store.lock():
            self.store.write_record(record("kept", rank=1), answers(self.items))
            self.store.write_record(record("again", rank=2, status="failed", error="killed"))
            self.store.write_record(
                old.model_copy(update={"environment": other}), answers(self.items)
            )

    def work(self) -> None:
        self.weights.mkdir(exist_ok=True)
        (self.weights / "w.safetensors").write_bytes(b"123")
        with self.store.lock():
            set_aside(self.store, {"old"})
            self.store.write_study({"study": "small"})
            self.store.write_base(self.store.folder)
            self.store.write_items({"test": self.items})
            self.store.write_data_notes({"test": "ab" * 32}, ["a note"], {})
            self.store.write_budget({"trials": 3})
            ledger = Ledger(self.store.folder, self.notes.append)
            ledger.bring_together({"ab" * 32})
            for made in (record("again", rank=2), record("lora", rank=4)):
                ledger.count(made)
                self.store.write_record(made, answers(self.items), self._artifacts(made))
            self.store.adopt(record("lora", rank=4), self.adopted.spec, tuned=TUNED)

    def _artifacts(self, made: RunRecord) -> Path | None:
        return self.weights if made.entry == "lora" else None

    def everything(self) -> dict[str, str]:
        """Return every finished run, set aside or not, with its answers."""
        found = {}
        for file in self.store.folder.glob("*/*/record.json"):
            values = json.loads(file.read_text())
            if values["status"] == "done":
                assert (file.parent / "predictions.parquet").is_file()
                found[values["entry"]] = str(self.store.folder / file.parent.name)
        return found


@contextmanager
def ledger_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with monkeypatch.context() as patch:
        patch.setenv("TARAZU_LEDGER", str(folder / "user" / "ledger.jsonl"))
        yield folder / "user" / "ledger.jsonl"


ERRORS = [(errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EIO, False), (errno.EROFS, True)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "lasting"), ERRORS)
def test_every_write_may_fail(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, number: int, lasting: bool
) -> None:
    fail_in_turn(tmp_path, disk, monkeypatch, number, lasting=lasting)


@pytest.mark.parametrize(("number", "lasting"), ERRORS)
def test_some_writes_fail(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, number: int, lasting: bool
) -> None:
    fail_in_turn(tmp_path, disk, monkeypatch, number, lasting=lasting, step=17, start=number % 17)


def fail_in_turn(
    tmp_path: Path,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    *,
    lasting: bool,
    start: int = 0,
    step: int = 1,
) -> None:
    """Let one write after the other fail, each in a folder of its own."""
    with ledger_at(tmp_path / "count", monkeypatch):
        whole = Study(tmp_path / "count")
        whole.before()
        shutil.copytree(tmp_path / "count", tmp_path / "before")
        disk.heal()
        whole.work()
        total = len(disk.calls)
        expected = set(whole.everything())
    assert expected == {"kept", "old", "again", "lora", "twin"}
    assert total > 100, "nearly nothing is watched"
    for at in range(start, total, step):
        folder = tmp_path / str(at)
        disk.heal()
        shutil.copytree(tmp_path / "before", folder)
        with ledger_at(folder, monkeypatch) as user:
            study = Study(folder)
            disk.refuse(at, number, lasting=lasting)
            _told_clearly(study, disk.calls, at, _error_of(study.work))
            disk.heal()
            with study.store.lock():  # what the next process does first
                pass
            assert {"kept", "old"} <= set(study.everything()), at
            left = list(study.store.folder.rglob(".tmp-*")) + list(
                study.store.folder.rglob(".old-*")
            )
            assert left == [], at
            counted = {s.key for s in read_ledgers([study.store.folder / "ledger.jsonl", user])}
            seen = {r.key for r in study.store.records() if r.entry in ("again", "lora")}
            assert {r.key for r in study.store.records() if r.status == "done"} & seen <= counted, (
                at
            )
            study.work()
            assert set(study.everything()) == expected, at
            assert [r.entry for r in study.store.records()] == ["again", "kept", "lora", "twin"]


def _error_of(work: Callable[[], None]) -> OSError | BadInput | None:
    try:
        work()
    except (OSError, BadInput) as error:
        return error
    return None


def _told_clearly(
    study: Study, calls: list[str], at: int, error: OSError | BadInput | None
) -> None:
    if isinstance(error, BadInput):
        for part in ("must be writable", str(study.store.folder), "--out"):
            assert part in str(error), calls[at]
    elif error is not None:  # of the test's own artifacts
        assert str(study.weights) in str(error.filename), calls[at]
    else:
        # What cannot be renamed, or copied by the kernel, is copied in full; nothing went wrong.
        told = study.notes or calls[at].startswith(("rename artifacts", "sendfile "))
        assert told, f"{calls[at]} failed and nobody was told"
