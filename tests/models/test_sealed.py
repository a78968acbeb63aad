"""The cache of models after a crash or an edit: what is not as it was written is made again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tarazu.errors import BadInput
from tarazu.models import cache, gguf_file, sealed
from tarazu.models.cache import build_once
from tarazu.models.sealed import MANIFEST, fault, read_manifest, write_manifest
from tarazu.record import disk, environment

FILES = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "[]"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def build(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    write_manifest(folder, origin="here")


def refuse(folder: Path) -> None:
    raise AssertionError("built again")


def whole(folder: Path) -> bool:
    return all((folder / name).read_text() == text for name, text in FILES.items())


def _keep_time(file: Path, text: str) -> None:
    state = file.stat()
    file.write_text(text)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn manifest": (lambda f: (f / MANIFEST).write_text('{"contents"'), "cannot be read"),
    "empty manifest": (lambda f: (f / MANIFEST).write_text(""), "cannot be read"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "cannot be read"),
    "odd manifest": (lambda f: (f / MANIFEST).write_text('{"contents": [1]}'), "cannot be read"),
    "torn weights": (lambda f: (f / "model.safetensors").write_text("weig"), "another size"),
    "torn at its time": (lambda f: _keep_time(f / "model.safetensors", "weig"), "another size"),
    "other weights": (lambda f: (f / "model.safetensors").write_text("WEIGHTS"), "another SHA-256"),
    "lost file": (lambda f: (f / "config.json").unlink(), "config.json is missing"),
    "new file": (lambda f: (f / "chat_template.jinja").write_text("x"), "jinja was added"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_is_not_as_it_was_written_is_made_again_and_that_is_said(
    root: Path, damage: str
) -> None:
    place, notes = root / "gguf" / "abc", list[str]()
    assert build_once(place, build, notes.append) == place
    assert build_once(place, refuse, notes.append) == place
    assert notes == []
    harm, word = DAMAGES[damage]
    harm(place)
    build_once(place, build, notes.append)
    (note,) = notes
    assert note.startswith("a model in the cache is not as it was written (")
    assert word in note
    assert whole(place)
    assert {path.name for path in place.iterdir()} == {*FILES, MANIFEST}
    build_once(place, refuse, notes.append)
    assert len(notes) == 1
    assert not list((root / "partial").iterdir())


def test_what_cannot_be_made_again_stays_until_it_can(root: Path) -> None:
    place = build_once(root / "wheels" / "abc", build, print)
    (place / "model.safetensors").write_text("WEIGHTS")

    def offline(folder: Path) -> None:
        raise BadInput

    with pytest.raises(BadInput):
        build_once(place, offline, lambda note: None)
    assert (place / "tokenizer.json").exists()


def test_a_copied_cache_is_read_once_and_believed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = build_once(root / "gguf" / "abc", build, print)
    copy = Path(shutil.copytree(place, root / "gguf" / "copy", copy_function=shutil.copy))
    os.utime(copy / "model.safetensors", (1, 1))
    read: list[str] = []
    real = sealed.sha256_file
    monkeypatch.setattr(sealed, "sha256_file", lambda path: read.append(path.name) or real(path))
    assert fault(copy) is None
    assert "model.safetensors" in read
    read.clear()
    assert fault(copy) is None
    assert read == []
    assert read_manifest(copy)["origin"] == "here"


def test_a_folder_from_before_contents_were_noted_is_compared_with_its_checksums(
    root: Path,
) -> None:
    place = build_once(root / "wheels" / "abc", build, print)
    files = {name: content["sha256"] for name, content in read_manifest(place)["contents"].items()}
    (place / "README.md").write_text("not noted")
    (place / MANIFEST).write_text(json.dumps({"files": files}))
    assert fault(place) is None
    assert "contents" in read_manifest(place)
    (place / MANIFEST).write_text(json.dumps({"files": files}))
    (place / "config.json").write_text("[]")
    assert fault(place) == "config.json has another SHA-256"


def test_all_is_on_the_disk_before_the_folder_has_its_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    sync, replace = disk.sync, Path.replace

    def synced(path: Path) -> None:
        said.append(path.name)
        sync(path)

    def replaced(path: Path, target: Path) -> Path:
        said.append(f"{path.name} → {target.name}")
        return replace(path, target)

    for module in (disk, sealed, cache):
        monkeypatch.setattr(module, "sync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    build_once(root / "gguf" / "abc", build, print)
    renamed = said.index("gguf-abc → abc")
    for name in (*FILES, "gguf-abc"):
        assert name in said[:renamed]
    assert "cache" in said[:renamed]  # where the folder of conversions is new
    assert said[renamed + 1 :] == ["gguf"]


def test_other_versions_of_what_converts_make_another_conversion(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, converted = tmp_path / "m.gguf", list[Path]()
    file.write_bytes(b"x")
    monkeypatch.setattr(gguf_file, "check_header", lambda path, where: {"F32": 1})
    monkeypatch.setattr(gguf_file, "_origin", lambda name, counts: "here")

    def convert(path: Path, folder: Path) -> None:
        converted.append(folder)
        (folder / "model.safetensors").write_text("weights")

    monkeypatch.setattr(gguf_file, "_convert", convert)
    real = environment._version

    def fetch(newer: str = "") -> Path:
        def version(package: str) -> str:
            return "0" if package == newer else real(package)

        monkeypatch.setattr(environment, "_version", version)
        return gguf_file.convert_gguf(file, "1" * 64, "models.m", lambda note: None)

    assert fetch() == fetch() == fetch("peft")
    assert len({fetch(), fetch("transformers"), fetch("gguf")}) == 3
    assert len(converted) == 3
