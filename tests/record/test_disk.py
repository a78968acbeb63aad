"""What is written is on the disk, under its name, and what is a mere convenience stops nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tarazu import cli
from tarazu.errors import BadInput
from tarazu.record.aside import set_aside
from tarazu.record.attempted import Attempted, Notes
from tarazu.record.disk import make_folder, sync, write_whole
from tarazu.record.ledger import Ledger
from tarazu.record.progress import PlannedRun, Progress, Silent
from tarazu.record.standing import PLAN, Standing
from tarazu.record.store import Store
from tarazu.record.watched import FILE, watch
from tarazu.testing.folders import answer, make_items
from tarazu.testing.records import make_record


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """The files and folders that were synced under their name of that time."""
    found: set[Path] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        found.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_every_new_folder_is_synced_into_the_one_above(
    tmp_path: Path, synced: set[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARAZU_LEDGER", str(tmp_path / "user" / "data" / "ledger.jsonl"))
    out = tmp_path / "a" / "b" / "out"
    store, items = Store(out, "f" * 64), make_items(3)  # of other versions than the record
    record = make_record("lora").model_copy(update={"test_access": ["test"]})
    with store.lock():
        store.write_data_notes({"test": "ab" * 32}, [], {})
        store.write_items({"test": items})
        Ledger(out, print).count(record)
        store.write_record(record, [answer(item, 0.7, "x") for item in items])
        set_aside(store, {"lora"})
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {"a", "b", "out", "data", "runs", "stale", "user"} <= {path.name for path in folders}
    assert {path.parent for path in folders} <= synced
    for file in tmp_path.rglob("*.jsonl"):
        assert file in synced
        assert file.parent in synced


def test_a_drive_that_syncs_no_folders_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="Invalid argument"):
        sync(tmp_path / "file")
    monkeypatch.setattr(os, "fsync", _fails(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        sync(tmp_path)


def _fails(number: int) -> Callable[..., None]:
    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "os.unlink", "pathlib.Path.open"])
def test_plan_inputs_and_notes_on_attempts_are_conveniences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    heard: list[str] = []

    class Hears(Silent):
        def planned(self, runs: list[PlannedRun]) -> None:
            heard.append("planned")

        def started(self, index: int) -> None:
            heard.append("started")

    (tmp_path / "data.csv").write_text("x")
    notes = Notes(tmp_path / "checkpoints" / "run", "these")
    with monkeypatch.context() as patch:
        patch.setattr(call, _fails(number))
        standing = Standing(Hears(), tmp_path)
        standing.planned([PlannedRun("seed 0", "lora", False, 1.0)])
        standing.started(0)
        standing.finished(0, make_record("lora"))
        watch(tmp_path, [("data", tmp_path / "data.csv", "ab" * 32)])
        notes.write(Attempted(rows=2))
        with notes.traced():
            notes.at(Progress("train", 1, 2))
        notes.forget()
    assert heard == ["planned", "started"]
    Standing(Silent(), tmp_path).planned([])
    watch(tmp_path, [])
    assert (tmp_path / PLAN).is_file()
    assert (tmp_path / FILE).is_file()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "pathlib.Path.write_bytes"])
def test_a_report_replaces_the_one_before_or_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    file = tmp_path / "report.html"
    cli._write(file, "before")
    with monkeypatch.context() as patch:
        patch.setattr(call, _fails(number))
        with pytest.raises(BadInput, match="must be writable"):
            cli._write(file, "after")
    assert file.read_text() == "before"
    cli._write(file, b"after")
    assert file.read_text() == "after"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_user_names_keeps_its_kind(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("before")
    target.chmod(0o640)
    link.symlink_to(target)
    write_whole(link, "after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    assert target.stat().st_mode & 0o777 == 0o640
    write_whole(Path("/dev/null"), "nothing")
    assert Path("/dev/null").is_char_device()
