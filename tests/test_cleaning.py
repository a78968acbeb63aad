from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tarazu.cleaning import clean, freeable
from tarazu.cli import app
from tarazu.errors import BadInput
from tarazu.models.cache import trials_folder
from tarazu.overview import status
from tarazu.record.progress import PlannedRun, Silent
from tarazu.record.record import RunRecord, Trial
from tarazu.record.standing import RUNNING, Slot, Standing, in_use, read_plan
from tarazu.record.store import Store
from tarazu.testing.folders import make_folder, make_items
from tarazu.testing.records import make_record


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    return make_folder(tmp_path / "out", {"lora": 0.8, "majority": 0.4}, make_items(6))


def put(file: Path, size: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)


def _trial() -> RunRecord:
    made = make_record("lora", rank=2)
    return made.model_copy(update={"stage": "trial", "trial": Trial(number=0, rung=1)})


def fill(folder: Path) -> None:
    """Put everything there that may be freed, and what may not."""
    put(folder / "checkpoints" / "ab" / "000000001" / "tensors.safetensors", 1000)
    put(folder / ".tmp-1" / "variants" / "model.safetensors", 200)
    put(folder / "runs" / ".tmp-2" / "record.json", 30)
    put(folder / "runs" / ".old-lora" / "record.json", 7)
    put(folder / "runs" / "lora" / "artifacts" / "trained.safetensors", 5000)
    put(folder / "stale" / "lora-s0-ab-cd" / "record.json", 4)
    put(folder / RUNNING, 2)
    Store(folder).write_record(_trial())
    slot = asdict(Slot("a", "a", "trial", ""))
    (folder / "plan.json").write_text(json.dumps({"runs": [slot]}))
    for out in (folder, folder.with_name("of-another-study")):
        put(trials_folder(out) / "ab" / "01" / "tensors.safetensors", 120_000)


def names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder.parent)) for p in folder.parent.rglob("*") if p.is_file()}


@pytest.mark.parametrize("everything", [False, True])
def test_what_can_be_computed_again_is_freed_and_counted(folder: Path, everything: bool) -> None:
    fill(folder)
    before = names(folder) | {"out/.lock", "out/.runs.lock"}
    expected = {
        str(trials_folder(folder).relative_to(folder.parent)),
        "out/checkpoints",
        "out/.tmp-1",
        "out/runs/.tmp-2",
        "out/runs/.old-lora",
        "out/.running.json",
    }
    if everything:
        expected |= {"out/stale", "out/runs/lora/artifacts"}
    size = 121_239 + (5004 if everything else 0)
    found = freeable(folder, everything=everything)
    assert {str(one.path.relative_to(folder.parent)) for one in found} == expected
    assert sum(one.bytes for one in found) == size
    assert sum(one.bytes for one in clean(folder, everything=everything)) == size
    assert names(folder) == {
        name for name in before if not any(name.startswith(f"{gone}/") for gone in expected)
    } - {"out/.running.json"}
    assert [r.entry for r in Store(folder).records()] == ["lora", "lora", "majority"]
    assert clean(folder, everything=everything) == []


HOLDER = """
import sys, time
from pathlib import Path
from tarazu.record.store import Store

with Store(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_in_use_is_left_alone_and_its_run_is_shown(folder: Path) -> None:
    fill(folder)
    listener = Standing(Silent(), folder)
    records = Store(folder).records()
    key = records[0].key
    listener.planned(
        [
            PlannedRun("lora · seed 0", "lora", True, 1.0, key=key),
            PlannedRun("full · seed 0", "full", False, 1.0, key="cd" * 32),
            PlannedRun("late · seed 0", "late", False, 1.0),
        ]
    )
    listener.started(1)
    assert not in_use(folder)
    shown = {run.entry: run.state for run in status(folder).runs}
    # The holder is gone, so nothing runs; the records have versions that nobody has.
    assert shown == {"lora": "stale", "full": "waiting", "late": "waiting", "majority": "stale"}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        before = names(folder)
        assert in_use(folder)
        found = status(folder)
        assert found.in_use
        assert {run.entry: run.state for run in found.runs} == {**shown, "full": "running"}
        with pytest.raises(BadInput, match="one process"):
            clean(folder, everything=True)
        assert names(folder) == before
    finally:
        holder.kill()
        holder.wait()
    assert not in_use(folder)
    assert {run.entry: run.state for run in status(folder).runs} == shown


def test_the_plan_follows_what_happens(folder: Path) -> None:
    listener = Standing(Silent(), folder)
    done = make_record("full")
    plan = [PlannedRun(name, name, False, 1.0) for name in ("a", "full", "c")]
    listener.planned(plan)
    listener.dropped(0)
    listener.started(1)
    assert json.loads((folder / RUNNING).read_text())["place"] == 0
    listener.finished(1, done)
    assert not (folder / RUNNING).exists()
    slots = read_plan(folder)
    assert slots is not None
    assert [(slot.entry, slot.key) for slot in slots] == [("full", done.key), ("c", "")]
    # Entries that are not run this time keep their place; others of an older plan go.
    Standing(Silent(), folder, {"c"}).planned([PlannedRun("b", "b", False, 1.0)])
    assert [slot.entry for slot in read_plan(folder) or []] == ["b", "c"]


def test_a_plan_that_cannot_be_written_stops_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "full")

    listener = Standing(Silent(), folder)
    monkeypatch.setattr(os, "replace", full)
    listener.planned([PlannedRun("a", "a", False, 1.0)])
    listener.started(0)
    assert read_plan(folder) is None
    assert not list(folder.glob(".tmp-*"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runs": 3}', '{"runs": [{"label": 1}]}'])
def test_a_broken_plan_is_none(folder: Path, text: str) -> None:
    (folder / "plan.json").write_text(text)
    assert read_plan(folder) is None
    assert len(status(folder).runs) == 2


def test_the_commands(folder: Path) -> None:
    fill(folder)

    def invoke(*arguments: str, given: str | None = None) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*arguments, str(folder)], input=given)
        return result.exit_code, result.output

    code, told = invoke("status", "--format", "json")
    assert code == 0
    assert json.loads(told)["counts"] == {
        "done": 0, "running": 0, "failed": 0, "stale": 3, "waiting": 1,
    }  # fmt: skip
    code, told = invoke("status")
    assert code == 0
    assert "3 stale, 1 waiting." in told
    assert "Give the study's command again" in " ".join(told.split())
    before = names(folder)
    code, told = invoke("clean", given="n\n")
    assert code == 1
    assert "1,000 bytes  checkpoints" in told
    assert names(folder) == before
    code, told = invoke("clean", "--all", "--yes")
    assert code == 0
    assert "126,243 bytes freed" in told
    assert invoke("clean") == (
        0,
        "Nothing to free. --all frees trained weights and runs of other versions.\n",
    )


@pytest.mark.parametrize("command", [status, clean])
def test_a_folder_that_is_no_study_is_named_and_left_alone(tmp_path: Path, command: object) -> None:
    put(tmp_path / "checkpoints" / "mine", 3)
    with pytest.raises(BadInput, match="output folder of a study"):
        command(tmp_path)  # type: ignore[operator]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_neither_command_imports_torch(folder: Path) -> None:
    program = (
        "import sys; from tarazu.overview import status; from tarazu.cleaning import freeable;"
        "status(sys.argv[1]); freeable(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)
