"""Nothing let in: what a study file, a record, a package or a folder cannot do."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import tarazu
from tarazu import catalog
from tarazu.archive import bundle
from tarazu.catalog import find_method
from tarazu.errors import BadInput
from tarazu.record.record import Artifact
from tarazu.record.spec import ModelSpec
from tarazu.record.store import Store
from tarazu.study_file import load_study, read_knobs
from tarazu.study_yaml import parse_override, read_document
from tarazu.testing.records import make_record

STUDY: dict[str, Any] = {
    "version": 1,
    "study": "s",
    "task": {"family": "nli"},
    "data": {"train": "train.csv", "test": "test.csv"},
    "models": {"bert": {"source": "./bert"}},
    "methods": {"lora": {"model": "bert"}},
}


def refused(tmp_path: Path, text: str) -> str:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(BadInput) as error:
        load_study(tmp_path / "s.yaml")
    return str(error.value)


@pytest.mark.parametrize("place", ["models", "methods", "compute", "data", ""])
def test_a_study_file_cannot_switch_foreign_code_on(tmp_path: Path, place: str) -> None:
    study = json.loads(json.dumps(STUDY))
    target = {
        "models": study["models"]["bert"], "methods": study["methods"]["lora"],
        "compute": study.setdefault("compute", {}), "data": study["data"], "": study,
    }[place]  # fmt: skip
    target["trust_remote_code"] = True
    assert "trust_remote_code" in refused(tmp_path, json.dumps(study))


def test_no_call_trusts_foreign_code() -> None:
    calls = 0
    for file in Path(tarazu.__file__).parent.rglob("*.py"):
        text = file.read_text()
        calls += text.count("trust_remote_code")
        assert text.count("trust_remote_code") == text.count("trust_remote_code=False"), file
    assert calls >= 4
    assert "trust_remote_code" not in ModelSpec.model_fields


def test_plug_ins_are_never_found_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\nMETHOD = None\n"
    for folder in ("methods", "tasks", "plugins", "tarazu_plugins"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "evil.py").write_text(code)
    (tmp_path / "tarazu_evil.py").write_text(code)
    info = tmp_path / "tarazu_evil-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: tarazu-evil\nVersion: 1\n")
    groups = ("tarazu", "tarazu.methods", "tarazu.tasks", "tarazu.plugins")
    lines = "".join(f"[{group}]\nevil = tarazu_evil\n" for group in groups)
    (info / "entry_points.txt").write_text(lines)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.metadata.entry_points(group="tarazu.methods").names == {"evil"}
    code = "from tarazu import catalog; print(*catalog.methods(), *catalog.tasks())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == [*catalog.methods(), *catalog.tasks()]
    assert not ran.exists()


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


LIMITED = pytest.mark.parametrize(
    ("text", "found"),
    [
        (LAUGHS, "values may be"),
        ("a: &a [*a]", "nested at most"),
        ("a: " + "[" * 50 + "]" * 50, "nested at most 40 deep"),
        ("a: [" + "x," * 20_001 + "]", "at most 20000 values"),
        ("a: " + "x" * 500_001, "at most 500000 bytes"),
        ("a: !!python/object/apply:os.system [id]", "without tags"),
        ("a: !!binary aGk=", "without tags"),
        ("a: !own x", "without tags"),
        ("a: 1\na: 2", "may stand only once"),
        ("a: \x1b[2J", "valid YAML"),
    ],
    ids=range(10),
)


@LIMITED
def test_yaml_is_limited(tmp_path: Path, text: str, found: str) -> None:
    begun = time.process_time()
    assert found in refused(tmp_path, text)
    assert time.process_time() - begun < 5


@LIMITED
def test_an_override_has_the_limits_of_a_study_file(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps(STUDY))
    begun = time.process_time()
    for given in (f"methods.lora={text}", f"r={text}"):
        with pytest.raises(BadInput) as error:
            read_knobs(find_method("lora"), [given])
        assert found.replace("bytes", "letters") in str(error.value)
        with pytest.raises(BadInput) as error:
            load_study(tmp_path / "s.yaml", [given])
        assert found.replace("bytes", "letters") in str(error.value)
        assert all(len(problem.where) < 200 + len(LAUGHS) for problem in error.value.problems)
    assert time.process_time() - begun < 20


def test_the_path_of_an_override_is_limited() -> None:
    with pytest.raises(BadInput, match="nested at most 40 deep") as error:
        parse_override(f"{'a.' * 10_000}b=1")
    assert len(error.value.problems[0].where) <= 80


def test_shipped_studies_are_within_the_limits() -> None:
    studies = sorted((Path(__file__).parents[1] / "studies").glob("*.yaml"))
    assert len(studies) >= 3
    for study in studies:
        assert read_document(study).values


@pytest.mark.parametrize(
    "name", ["..", "../x", "/x", "a/b", "A", "a b", ".x", "a\\b", "", "a" * 65]
)
def test_a_studys_name_is_no_path(tmp_path: Path, name: str) -> None:
    assert "study" in refused(tmp_path, json.dumps({**STUDY, "study": name}))


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", "", "a\\b"])
def test_names_of_entries_and_models_are_no_paths(tmp_path: Path, name: str) -> None:
    study = {**STUDY, "methods": {name: {"method": "majority"}}}
    assert "a name must be letters" in refused(tmp_path, json.dumps(study))
    study = {**STUDY, "models": {name: {"source": "./bert"}}}
    assert "a name must be letters" in refused(tmp_path, json.dumps(study))


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "..", "a\\..\\x"])
def test_a_record_names_no_file_outside_of_its_run(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValidationError):
        Artifact(path=path, sha256="0" * 64, bytes=1)
    (tmp_path / "x").write_text("not yours")
    store = Store(tmp_path / "out")
    folder = store.run_folder(store.write_record(make_record("lora")))
    said = json.loads((folder / "record.json").read_text())
    said["artifacts"] = [{"path": path, "sha256": "0" * 64, "bytes": 1}]
    (folder / "record.json").write_text(json.dumps(said))
    store.write_study({"methods": {"lora": {}}})
    with pytest.raises(BadInput):
        bundle(tmp_path / "out", weights=True)
    assert not list(tmp_path.glob("*.zip"))


def test_a_bundle_holds_plain_files_inside_its_own_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    store.write_record(make_record("../../lora"))
    store.write_study({"methods": {"../../lora": {}}})
    with zipfile.ZipFile(bundle(tmp_path / "out")) as packed:
        for member in packed.infolist():
            assert not member.filename.startswith("/")
            assert ".." not in member.filename.split("/")
            assert (member.external_attr >> 16) == 0o644


def test_a_bundle_follows_no_link_out_of_its_run(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("not yours")
    store = Store(tmp_path / "out")
    folder = store.run_folder(store.write_record(make_record("lora")))
    said = json.loads((folder / "record.json").read_text())
    said["artifacts"] = [{"path": "a.bin", "sha256": "0" * 64, "bytes": 9}]
    (folder / "record.json").write_text(json.dumps(said))
    (folder / "a.bin").symlink_to(tmp_path / "x")
    store.write_study({"methods": {"lora": {}}})
    with pytest.raises(BadInput, match="must lie in its run's folder"):
        bundle(tmp_path / "out", weights=True)
    assert not list(tmp_path.glob("*.zip"))
