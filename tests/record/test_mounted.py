"""Folders that other machines can write to: recognised, named, and held against them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tarazu.errors import BadInput
from tarazu.record import holder, mounted
from tarazu.record.holder import FILE, Holder, _Held, _machine, held
from tarazu.record.mounted import drive
from tarazu.record.standing import in_use
from tarazu.record.store import Store

# As in proc_pid_mountinfo(5): optional fields between options and the dash, or none.
LINES = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 27 0:40 / /content/drive rw,nosuid,nodev - fuse.drive drive rw,user_id=0
32 27 0:41 / /content/drive/local rw shared:3 master:2 - ext4 /dev/vdb rw
33 27 0:42 / /home/a\\040name\\134x rw - nfs4 server:/home rw
34 27 0:43 / /twice rw - ext4 /dev/vdc rw
35 34 0:44 / /twice rw - cifs //server/share rw
36 27 0:45 / /usb rw - fuseblk /dev/sda1 rw
37 27 0:46 / /merged rw - fuse.mergerfs a:b rw
38 27 0:47 / /windows rw - 9p C:\\134 rw
39 27 0:48 / /bucket rw - fuse.rclone remote: rw
40 27 0:49 / /plain rw - fuse gcsfuse rw
broken line
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(LINES)
    monkeypatch.setattr(mounted, "MOUNTS", file)
    return file


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/out", None),
        ("/content/drive/MyDrive/out", "fuse.drive"),
        ("/content/drive", "fuse.drive"),
        ("/content/driver", None),
        ("/content/drive/local/out", None),
        ("/home/a name\\x/out", "nfs4"),
        ("/twice/out", "cifs"),
        ("/usb/out", None),
        ("/merged/out", None),
        ("/windows/out", "9p"),
        ("/bucket/out", "fuse.rclone"),
        ("/plain/out", "fuse"),
    ],
)
def test_the_nearest_mount_says_whether_others_can_write(
    mounts: Path, folder: str, kind: str | None
) -> None:
    assert drive(Path(folder)) == kind


def test_where_the_system_does_not_tell_nothing_is_said(mounts: Path) -> None:
    mounts.unlink()
    assert drive(Path("/content/drive")) is None


@pytest.fixture
def on_a_drive(mounts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder on a mounted drive, where everything goes faster than it does."""
    mounts.write_text(f"{LINES}41 27 0:50 / {tmp_path}/drive rw - fuse.drive drive rw\n")
    for name, seconds in (("BEAT", 0.02), ("WATCH", 0.5), ("SETTLE", 0.0)):
        monkeypatch.setattr(holder, name, seconds)
    (tmp_path / "drive").mkdir()
    return tmp_path / "drive" / "out"


def put(folder: Path, count: int, machine: str = "another") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "theirs").write_text(json.dumps(asdict(_Held(machine, "theirs", count))))
    (folder / "theirs").replace(folder / FILE)


def count(folder: Path) -> int:
    return int(json.loads((folder / FILE).read_text())["count"])


def test_a_drive_is_named_and_held_as_long_as_the_study_runs(on_a_drive: Path) -> None:
    notes: list[str] = []
    with Store(on_a_drive).lock(note=notes.append):
        (note,) = notes
        assert note.startswith(f"{on_a_drive} is on a drive (fuse.drive) whose locks")
        until = time.monotonic() + 10
        while count(on_a_drive) < 3:
            assert time.monotonic() < until
            time.sleep(0.005)
        assert json.loads((on_a_drive / FILE).read_text())["machine"] == _machine()
    assert not (on_a_drive / FILE).exists()
    assert not list(on_a_drive.glob(".tmp-*"))


def test_a_local_disk_needs_none_of_it(tmp_path: Path) -> None:
    notes: list[str] = []
    with Store(tmp_path / "out").lock(note=notes.append):
        assert not (tmp_path / "out" / FILE).exists()
    assert notes == []


@pytest.fixture
def beating(on_a_drive: Path) -> Iterator[Callable[[], None]]:
    """Another machine that is at work."""
    over = threading.Event()

    def beat() -> None:
        beats = 0
        while not over.wait(0.05):
            beats += 1
            put(on_a_drive, beats)

    thread = threading.Thread(target=beat)

    def begin() -> None:
        put(on_a_drive, 0)
        thread.start()

    yield begin
    over.set()
    thread.join()


def test_another_machine_that_is_at_work_keeps_others_out(
    on_a_drive: Path, beating: Callable[[], None]
) -> None:
    beating()
    with pytest.raises(BadInput, match="a study on another machine"), Store(on_a_drive).lock():
        pytest.fail("both could write")
    assert json.loads((on_a_drive / FILE).read_text())["token"] == "theirs"


def test_who_only_asks_is_told_of_another_machine(
    on_a_drive: Path, beating: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "LOOK", 0.5)
    assert not in_use(on_a_drive)
    put(on_a_drive, 0)
    notes: list[str] = []
    assert not in_use(on_a_drive, notes.append)  # killed: its word is there, and does not change
    assert len(notes) == 1
    beating()
    assert in_use(on_a_drive)


def test_who_asks_on_the_same_machine_need_not_wait(
    on_a_drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "LOOK", 600.0)
    put(on_a_drive, 3, machine=_machine())
    assert not in_use(on_a_drive)


def test_a_machine_that_is_gone_is_watched_first_and_then_followed(on_a_drive: Path) -> None:
    put(on_a_drive, 7)
    notes: list[str] = []
    start = time.monotonic()
    with Store(on_a_drive).lock(note=notes.append):
        assert time.monotonic() - start > 0.5
        assert "Another machine had this folder" in notes[1]
    assert not (on_a_drive / FILE).exists()


def test_the_same_machine_need_not_wait_for_itself(
    on_a_drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its locks say already that the study that was killed is gone."""
    monkeypatch.setattr(holder, "WATCH", 10.0)
    put(on_a_drive, 7, _machine())
    start = time.monotonic()
    with Store(on_a_drive).lock():
        assert time.monotonic() - start < 5
        assert json.loads((on_a_drive / FILE).read_text())["token"] != "theirs"


def test_a_study_whose_folder_is_taken_writes_no_more(
    on_a_drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "BEAT", 1000.0)
    store = Store(on_a_drive)
    with store.lock():
        store.write_study({"study": "ours"})
        put(on_a_drive, 1)  # handed on late by the drive
        with pytest.raises(BadInput, match="a study on another machine"):
            store.write_study({"study": "theirs"})
    assert store.read_study() == {"study": "ours"}
    assert count(on_a_drive) == 1  # it is theirs
    store.write_study({"study": "not locked"})


def test_who_has_seen_another_one_once_does_not_forget_it(on_a_drive: Path) -> None:
    on_a_drive.mkdir()
    with held(on_a_drive, print) as ours:
        until = time.monotonic() + 10
        while not ours._taken:
            put(on_a_drive, 1)
            assert time.monotonic() < until
            time.sleep(0.005)
        (on_a_drive / FILE).unlink()
        with pytest.raises(BadInput):
            ours.check()
    assert not (on_a_drive / FILE).exists()


def test_one_of_two_that_come_at_once_sees_the_other(
    on_a_drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_drive.mkdir()
    write = Holder._write

    def theirs_after_ours(ours: Holder) -> None:
        write(ours)
        put(on_a_drive, 0)

    monkeypatch.setattr(Holder, "_write", theirs_after_ours)
    with pytest.raises(BadInput, match="another machine"), held(on_a_drive, print):
        pytest.fail("both could write")


def test_no_name_of_a_machine_is_written(on_a_drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "alices-laptop")
    with Store(on_a_drive).lock():
        assert "alice" not in (on_a_drive / FILE).read_text()


def test_a_machine_that_lets_go_is_not_waited_for(
    on_a_drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "WATCH", 3.0)
    put(on_a_drive, 7)
    timer = threading.Timer(0.1, (on_a_drive / FILE).unlink)
    start = time.monotonic()
    timer.start()
    with Store(on_a_drive).lock():
        assert time.monotonic() - start < 2.5
    timer.join()


def test_a_drive_that_shows_no_file_for_a_moment_is_watched_on(
    on_a_drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(on_a_drive, 7)
    found = [_Held("another", "theirs", count) for count in (7, 8)]
    shown = iter([found[0], None, None, found[1]])
    monkeypatch.setattr(holder, "_read", lambda folder: next(shown, found[1]))
    with pytest.raises(BadInput, match="another machine"), held(on_a_drive, print):
        pytest.fail("both could write")
    assert next(shown, None) is None
