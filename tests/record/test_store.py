from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tarazu.data.item import Item, Prediction
from tarazu.errors import BadInput
from tarazu.record import store as module
from tarazu.record.environment import environment
from tarazu.record.key import sha256_file, sha256_rows
from tarazu.record.record import Epoch, RunRecord, Tuned, VariantResult
from tarazu.record.spec import DataSpec, RunSpec
from tarazu.record.store import Store

KEY = "ab" * 32
ITEMS = [
    Item("0", "A cat sat.", {"premise": "A cat sat."}, ("neutral",), slices={"genre": "pets"}),
    Item("1", "A cat sat.", {"premise": "A dog sat."}, ("entailment",)),
]
PREDICTIONS = [
    Prediction("0", "neutral", "neutral", (-0.5, -1.5), 3, 20, "test", metrics={"accuracy": 1.0}),
    Prediction(
        "1", None, "سلام?", (), 0, 21, "test", "merged", metrics={"accuracy": 0.0, "f1": 0.5}
    ),
]


def spec(inputs: dict[str, str]) -> RunSpec:
    return RunSpec(
        study="s", entry="lora", method="lora", model=None, model_spec=None, model_files={},
        task="t", task_options={}, language="en", seed=0, settings={},
        data=DataSpec(train="a.csv", test="b.csv"), inputs=inputs, device="cpu", dtype="float32",
        threads=2, eval_batch_size=16,
    )  # fmt: skip


def record(
    key: str = KEY,
    status: Literal["done", "failed"] = "done",
    entry: str = "lora",
    seed: int = 0,
    **more: Any,
) -> RunRecord:
    return RunRecord(
        key=key, status=status, entry=entry, method="lora", model=None, task="t", seed=seed,
        spec=spec({"test": sha256_rows(item.content() for item in ITEMS)}), inputs={},
        environment=environment("cpu", "float32", 2), hyperparameters={}, **more,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out")


def everything_under(folder: Path) -> list[str]:
    return sorted(
        str(p.relative_to(folder)) for p in folder.rglob("*") if not p.name.endswith("lock")
    )


def test_a_run_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    weights = tmp_path / "work"
    (weights / "adapter").mkdir(parents=True)
    (weights / "adapter" / "w.safetensors").write_bytes(b"123")
    sha = sha256_file(weights / "adapter" / "w.safetensors")
    results = [VariantResult(variant="main", split="test", n=2, metrics={"accuracy": 0.5})]
    written = store.write_record(record(variants=results), PREDICTIONS, weights)
    assert [a.model_dump() for a in written.artifacts] == [
        {"path": "artifacts/adapter/w.safetensors", "sha256": sha, "bytes": 3}
    ]
    assert store.find(KEY) == written
    assert store.records() == [written]
    folder = store.folder / "runs" / "lora-s0-abababababab"
    assert folder == store.run_folder(written)
    assert everything_under(folder) == [
        "artifacts", "artifacts/adapter", "artifacts/adapter/w.safetensors",
        "predictions.parquet", "record.json",
    ]  # fmt: skip
    values = json.loads((folder / "record.json").read_text())
    assert values["schema"] == 1
    assert (folder / "record.json").read_text().startswith('{\n  "schema": 1,')


def test_predictions_have_exactly_the_agreed_columns(store: Store) -> None:
    written = store.write_record(record(), PREDICTIONS)
    table = store.read_predictions(written)
    assert table.schema.names == [
        "item_id", "split", "variant", "predicted", "raw", "scores", "m_accuracy", "m_f1",
        "cut_tokens", "prompt_tokens",
    ]  # fmt: skip
    assert table.schema.field("scores").type == pa.list_(pa.float32())
    assert table.to_pylist()[1] == {
        "item_id": "1", "split": "test", "variant": "merged", "predicted": None, "raw": "سلام?",
        "scores": [], "m_accuracy": 0.0, "m_f1": 0.5, "cut_tokens": 0, "prompt_tokens": 21,
    }  # fmt: skip
    assert table.to_pylist()[0]["m_f1"] is None


def test_equal_predictions_give_equal_bytes(store: Store) -> None:
    for key in (KEY, "cd" * 32):
        store.write_record(record(key), [*PREDICTIONS] * 500)
    first, second = sorted(store.folder.glob("runs/*/predictions.parquet"))
    assert first.read_bytes() == second.read_bytes()


def test_items_are_written_once(store: Store) -> None:
    file = store.write_items({"test": ITEMS})
    before = file.stat().st_mtime_ns
    assert store.write_items({"test": ITEMS}) == file
    assert file.stat().st_mtime_ns == before
    table = store.read_items(record())
    assert table.schema.names == [
        "item_id", "split", "group_id", "gold", "slice_genre", "text_premise",
    ]  # fmt: skip
    assert table.to_pylist()[1] == {
        "item_id": "1", "split": "test", "group_id": "A cat sat.", "gold": ["entailment"],
        "slice_genre": None, "text_premise": "A dog sat.",
    }  # fmt: skip
    assert store.write_items({"test": ITEMS[:1]}) != file


def test_a_redacted_study_holds_no_text(store: Store) -> None:
    file = store.write_items({"test": ITEMS})
    assert store.write_items({"test": ITEMS}, redacted=True) == file
    rows = pq.read_table(file).to_pylist()
    assert "sat." not in repr(rows)
    assert rows[0]["group_id"] == rows[1]["group_id"]


def test_failed_runs_are_kept_but_not_finished(store: Store) -> None:
    store.write_record(record(status="failed", error="out of memory"))
    assert store.find(KEY) is None
    assert [r.status for r in store.records()] == ["failed"]
    done = store.write_record(record())
    assert store.find(KEY) == done
    assert [r.status for r in store.records()] == ["done"]
    assert everything_under(store.folder / "runs") == [
        "lora-s0-abababababab", "lora-s0-abababababab/predictions.parquet",
        "lora-s0-abababababab/record.json",
    ]  # fmt: skip


def test_a_run_that_failed_by_its_settings_is_settled(store: Store) -> None:
    store.write_record(record(status="failed", error="killed", fault="process"))
    assert store.find(KEY, settled=True) is None
    failed = store.write_record(record(status="failed", error="NaN", fault="settings"))
    assert store.find(KEY, settled=True) == failed
    assert store.find(KEY) is None


def test_a_finished_run_is_adopted_under_its_own_name_when_somebody_else_chose(
    store: Store,
) -> None:
    written = store.write_record(record(), PREDICTIONS)
    file = store.run_folder(written) / "record.json"
    before = file.stat().st_mtime_ns
    assert store.adopt(written, written.spec, tuned=None) == written
    assert file.stat().st_mtime_ns == before, "nothing changed, so nothing is written"
    tuned = Tuned(budget=4, trials=4, seed=9, winner=0)
    adopted = store.adopt(written, written.spec, tuned=tuned)
    assert adopted.tuned == tuned
    assert store.find(KEY) == adopted
    assert store.read_predictions(adopted).num_rows == len(PREDICTIONS)
    assert [r.key for r in store.records()] == [KEY]


def test_a_budget_comes_back_and_a_broken_one_is_none(store: Store) -> None:
    assert store.read_budget() is None
    store.write_budget({"seconds": 60.0, "trials": 4})
    assert store.read_budget() == {"seconds": 60.0, "trials": 4}
    (store.folder / "tuning.json").write_text("{")
    assert store.read_budget() is None


def test_records_are_sorted_and_told_apart_by_the_whole_key(store: Store) -> None:
    for entry, seed, end in [("b", 0, "0"), ("a", 10, "1"), ("a", 2, "2")]:
        store.write_record(record(KEY[:-1] + end, entry=entry, seed=seed))
    assert [(r.entry, r.seed) for r in store.records()] == [("a", 2), ("a", 10), ("b", 0)]
    found = store.find(KEY[:-1] + "1")
    assert found is not None
    assert (found.entry, found.seed) == ("a", 10)
    assert store.find(KEY[:-1] + "9") is None


def test_an_empty_folder_has_no_records(store: Store) -> None:
    assert store.records() == []
    assert store.find(KEY) is None
    assert not store.folder.exists()


@pytest.mark.parametrize("entry", ["../../up", "/etc/x", "a b\n", "..", "ترازو@m", "語" * 300])
def test_entry_names_cannot_leave_the_folder(store: Store, entry: str) -> None:
    written = store.write_record(record(entry=entry))
    (folder,) = (store.folder / "runs").iterdir()
    assert folder == store.run_folder(written)
    assert store.find(KEY) == written


def test_t31_a_diverged_run_can_be_read_again(store: Store) -> None:
    epochs = [Epoch(epoch=1, train_loss=math.nan, metrics={"accuracy": math.inf})]
    store.write_record(record(epochs=epochs))
    found = store.find(KEY)
    assert found is not None
    assert math.isnan(found.epochs[0].train_loss)
    assert math.isnan(found.epochs[0].metrics["accuracy"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("before", [False, True])
def test_no_space_leaves_nothing_half_written(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, before: bool
) -> None:
    if before:
        store.write_record(record(status="failed"))
    (store.folder / "runs").mkdir(parents=True, exist_ok=True)
    kept = everything_under(store.folder)

    def full(path: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "sync", full)
    with pytest.raises(BadInput, match="--out") as caught:
        store.write_record(record(), PREDICTIONS)
    assert str(store.folder) in str(caught.value)
    assert everything_under(store.folder) == kept
    with pytest.raises(BadInput, match="must be writable"):
        store.write_items({"test": ITEMS})
    assert not list((store.folder / "data").iterdir())


def test_a_replacement_that_fails_keeps_the_old_record(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_record(record(status="failed"))

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(BadInput, match="no permission"):
        store.write_record(record())
    assert [r.status for r in store.records()] == ["failed"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with (
        pytest.raises(BadInput, match="a file stands where a folder is needed"),
        Store(tmp_path / "out").lock(),
    ):
        pass
    with pytest.raises(BadInput, match="a file stands where a folder is needed"):
        Store(tmp_path / "out").write_record(record())


KILLED = """
import os, pathlib, signal, sys
from tarazu.record import store as module

def die(path):
    os.kill(os.getpid(), signal.SIGKILL)

sys.path.insert(0, {tests!r})
from test_store import PREDICTIONS, record
module.{name} = die
module.Store(pathlib.Path({folder!r})).write_record(record(), PREDICTIONS)
"""


def test_t39_a_killed_write_leaves_no_record_and_is_cleared(store: Store) -> None:
    tests = str(Path(__file__).parent)
    code = KILLED.format(tests=tests, name="sync", folder=str(store.folder))
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert [p.name.startswith(".tmp-") for p in (store.folder / "runs").iterdir()] == [True]
    assert store.records() == []
    assert store.find(KEY) is None
    with store.lock():
        assert list((store.folder / "runs").iterdir()) == []


def test_t39_a_kill_between_the_renames_keeps_the_old_record(store: Store) -> None:
    written = store.write_record(record())
    folder = store.run_folder(written)
    folder.rename(folder.parent / f".old-{folder.name}")
    shutil.copytree(folder.parent / f".old-{folder.name}", folder.parent / ".tmp-x")
    with store.lock():
        assert store.find(KEY) == written
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_second_process_stops_with_a_clear_word(store: Store) -> None:
    code = (
        "import sys, pathlib\nfrom tarazu.record.store import Store\n"
        "from tarazu.errors import BadInput\n"
        "try:\n    with Store(pathlib.Path(sys.argv[1])).lock(): pass\n"
        "except BadInput as error: print(error); sys.exit(2)\n"
    )
    command = [sys.executable, "-c", code, str(store.folder)]
    with store.lock():
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert "only one process may write" in second.stdout
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


def test_broken_records_are_named(store: Store) -> None:
    file = store.run_folder(store.write_record(record())) / "record.json"
    good = json.loads(file.read_text())
    for text, words in [
        ("{", "readable record"),
        (json.dumps({**good, "schema": 99}), "schema 1, but got 99"),
        (json.dumps({**good, "seed": "x"}), "seed: Input should be a valid integer"),
    ]:
        file.write_text(text)
        with pytest.raises(BadInput, match=words) as caught:
            store.records()
        assert "record.json" in str(caught.value)
    (file.parent / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match="readable Parquet"):
        store.read_predictions(record())


def test_study_json(store: Store) -> None:
    with pytest.raises(BadInput, match=r"no study\.json"):
        store.read_study()
    store.write_study({"study": "ترازو"})
    assert store.read_study() == {"study": "ترازو"}
    assert everything_under(store.folder) == ["study.json"]
