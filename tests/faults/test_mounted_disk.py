"""A study on a small disk of its own, which fills up, turns read-only, or is unmounted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tarazu import runner
from tarazu.cleaning import clean
from tarazu.errors import BadInput
from tarazu.overview import status
from tarazu.record.ledger import Ledger
from tarazu.record.record import RunRecord
from tarazu.record.store import Store
from tarazu.study import run_study
from tarazu.testing.folders import answer, make_items
from tarazu.testing.records import make_record
from tarazu.testing.tiny import nli_items, write_nli
from tarazu.work import Work

STUDY = """
version: 1
study: small-disk
task: {family: nli, name: tiny-nli}
data: {train: train.csv, test: test.csv, validation: {rows: 6}}
methods: {majority: {}}
seeds: [3]
compute: {device: cpu, dtype: float32, threads: 1}
"""
MIB = 1 << 20


def _mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of two MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        made = _mount("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place))
    except FileNotFoundError as error:
        pytest.skip(f"NOT TESTED: a real disk that fills up. No mount here: {error}")
    if made.returncode != 0:
        pytest.skip(f"NOT TESTED: a real disk that fills up. Mounting is refused: {made.stderr}")
    yield place
    _mount("umount", "-l", str(place))


def _write(store: Store, seed: int, scratch: Path) -> RunRecord:
    """Store a run with 300 KiB of weights."""
    weights = scratch / f"weights-{seed}"
    weights.mkdir(parents=True)
    (weights / "w.safetensors").write_bytes(os.urandom(300 * 1024))
    record = make_record("lora", seed=seed)
    Ledger(store.folder, lambda message: None).count(record)
    return store.write_record(record, [answer(item, 0.7, "x") for item in make_items(6)], weights)


def _check_whole(store: Store) -> int:
    for record in store.records():
        folder = store.run_folder(record)
        assert (folder / "predictions.parquet").stat().st_size > 0
        for artifact in record.artifacts:
            assert (folder / artifact.path).stat().st_size == artifact.bytes
    return len(store.records())


def test_a_disk_that_is_really_full_keeps_every_finished_run(disk: Path, tmp_path: Path) -> None:
    store, seeds = Store(disk / "out"), list(range(20))

    def fill() -> None:
        with store.lock():
            while seeds:
                _write(store, seeds[0], tmp_path)
                del seeds[0]

    with pytest.raises(BadInput, match="there is no space left"):
        fill()
    written = 20 - len(seeds)
    assert 2 < written < 7
    assert _check_whole(store) == written
    assert len(status(disk / "out").runs) == written
    with store.lock():  # clears away what was left half-written
        assert list(store.folder.rglob(".tmp-*")) == []
    freed = clean(disk / "out", everything=True)
    assert sum(one.bytes for one in freed) >= written * 300 * 1024
    with store.lock():
        _write(store, 19, tmp_path)
    assert len(store.records()) == written + 1


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def here(work: Callable[..., Work], *arguments: object, tell: object) -> Work:
        return work(*arguments, tell=tell)

    monkeypatch.setattr(runner, "in_own_process", here)
    write_nli(tmp_path / "train.csv", nli_items(22, seed=1))
    write_nli(tmp_path / "test.csv", nli_items(6, seed=2))
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def test_a_study_does_not_begin_on_a_full_disk(disk: Path, study: Path) -> None:
    filler = disk / "filler"
    filler.write_bytes(bytes(MIB + MIB // 2))
    with pytest.raises(BadInput, match=r"for the smallest run, but got .* free.*tarazu clean"):
        run_study(study, out=disk / "out")
    with suppress(OSError), filler.open("ab", buffering=0) as stream:
        while stream.write(bytes(4096)):
            pass
    with pytest.raises(BadInput, match="there is no space left"):
        run_study(study, out=disk / "out")
    filler.unlink()
    assert run_study(study, out=disk / "out").failed == 0


def test_an_unmounted_disk_stops_the_study_and_nothing_is_written_below(
    disk: Path, tmp_path: Path
) -> None:
    store = Store(disk)
    with store.lock():
        _write(store, 0, tmp_path)
        assert _mount("umount", "-l", str(disk)).returncode == 0
        (disk / ".lock").touch()  # even where the folder below looks like one
        with pytest.raises(BadInput, match="it has vanished"):
            store.write_record(make_record("full"))
    assert [path.name for path in disk.iterdir()] == [".lock"]


@pytest.fixture
def read_only(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder with a finished run that may not be written to; root needs a disk for that."""
    root = os.geteuid() == 0
    place: Path = request.getfixturevalue("disk") / "out" if root else tmp_path / "out"
    store = Store(place)
    with store.lock():
        _write(store, 0, tmp_path)
    if root:
        assert _mount("mount", "-o", "remount,ro", str(place.parent)).returncode == 0
        yield place
        return
    for folder in (place, *place.rglob("*")):
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    yield place
    for folder in (place, *place.rglob("*")):
        folder.chmod(0o755)


def test_a_read_only_folder_is_read_and_not_written_to(read_only: Path, study: Path) -> None:
    before = sorted(read_only.rglob("*"))
    assert [run.state for run in status(read_only).runs] == ["stale"]
    for write in (lambda: clean(read_only), lambda: run_study(study, out=read_only)):
        with pytest.raises(BadInput, match=r"read-only|no permission") as caught:
            write()
        assert str(read_only) in str(caught.value)
    assert sorted(read_only.rglob("*")) == before
