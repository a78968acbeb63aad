"""The smoke test for CUDA cards: each of its checks fails on what is wrong, and all of it runs."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tarazu.record.disk import write_whole
from tarazu.record.record import Event, Phase, RunRecord
from tarazu.record.store import Store
from tarazu.record.tables import to_bytes
from tarazu.study_file import load_study
from tarazu.testing.records import make_record

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


def part(name: str) -> ModuleType:
    return importlib.import_module(f"gpu.{name}")


checks, small, sizes = part("smoke_checks"), part("smoke_study"), part("smoke_sizes")
smoke, worker = part("smoke"), part("smoke_worker")
PROMPTED, TRAINED, EXACT = checks.PROMPTED, checks.TRAINED, checks.EXACT


def answers(count: int = 40, **changes: Any) -> list[dict[str, Any]]:
    row = {
        "split": "matched",
        "variant": "main",
        "predicted": "neutral",
        "raw": "neutral",
        "scores": [-1.0, -0.5, -2.0],
        "prompt_tokens": 20,
    }
    return [{**row, "item_id": f"item-{number}", **changes} for number in range(count)]


def with_first(rows: Sequence[Mapping[str, Any]], **changes: Any) -> list[dict[str, Any]]:
    return [{**rows[0], **changes}, *map(dict, rows[1:])]


def test_equal_answers_are_equal() -> None:
    found = checks.check_answers("x", answers(), answers(), EXACT)
    assert found.verdict == "ok"
    assert found.figures == {"items": 40, "same": 1.0, "scores_apart": 0.0}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (answers(39), "one side only"),
        (answers(variant="merged"), "nothing to compare"),
        ([], "nothing to compare"),
        (answers(predicted="entailment"), "0.0% of answers"),
        (answers(raw="something else"), "0.0% of answers"),
        (with_first(answers(), scores=[-1.0, -0.502, -2.0]), "0.002 apart"),
        (with_first(answers(), scores=[-1.0, math.nan, -2.0]), "inf apart"),
        (with_first(answers(), scores=[]), "inf apart"),
        (with_first(answers(), prompt_tokens=21), "other lengths"),
    ],
)
def test_other_answers_are_seen(changed: list[dict[str, Any]], reason: str) -> None:
    found = checks.check_answers("x", changed, answers(), PROMPTED)
    assert found.verdict == "failed"
    assert reason in found.detail


def test_texts_have_a_bound_of_their_own() -> None:
    texts = answers(scores=[])
    changed = [*texts[:20], *answers(scores=[], raw="something else")[20:]]
    assert checks.check_answers("x", changed, texts, checks.OWN_PROMPTED).verdict == "ok"
    found = checks.check_answers("x", changed, texts, PROMPTED)
    assert found.detail == "50.0% of texts are equal, not 95%"
    chosen = [*answers()[:20], *answers(raw="something else")[20:]]
    found = checks.check_answers("x", chosen, answers(), checks.OWN_PROMPTED)
    assert found.detail == "50.0% of answers are equal, not 80%"


def test_nan_on_both_sides_is_no_agreement() -> None:
    rows = answers(scores=[math.nan])
    assert checks.check_answers("x", rows, rows, PROMPTED).verdict == "failed"


def test_one_answer_of_forty_may_turn_where_there_is_a_model() -> None:
    changed = with_first(answers(), predicted=None, raw="")
    assert checks.check_answers("x", changed, answers(), PROMPTED).verdict == "ok"
    assert checks.check_answers("x", changed, answers(), EXACT).verdict == "failed"


def losses(*values: float) -> RunRecord:
    return make_record("full", losses=values)


@pytest.mark.parametrize(
    ("ours", "reason"),
    [
        ((1.1, 0.902), "apart"),
        ((1.1, math.nan), "inf apart"),
        ((1.1,), "2 losses instead of 4"),
        ((), "0 losses instead of 4"),
    ],
)
def test_other_losses_are_seen(ours: tuple[float, ...], reason: str) -> None:
    assert checks.check_losses("x", losses(1.1, 0.9), losses(1.1, 0.9), TRAINED).verdict == "ok"
    found = checks.check_losses("x", losses(*ours), losses(1.1, 0.9), TRAINED)
    assert found.verdict == "failed"
    assert reason in found.detail


def test_a_training_that_does_not_move_compares_nothing() -> None:
    same = losses(1.1, 1.1)
    assert "compares nothing" in checks.check_losses("x", same, same, TRAINED).detail
    assert "compares nothing" in checks.check_losses("x", same, same, EXACT).detail


def on_card(record: RunRecord, **changes: Any) -> RunRecord:
    there = record.environment.model_copy(update={"device": "cuda", **changes})
    phase = Phase(seconds=1.0, rss=5, allocated=3, reserved=4)
    return record.model_copy(update={"environment": there, "measured": {"load": phase}})


def test_a_run_on_another_device_is_seen() -> None:
    there = on_card(make_record("full"))
    assert checks.check_device("x", there, "cuda", "float32").verdict == "ok"
    assert checks.check_device("x", there, "cpu", "float32").verdict == "failed"
    assert "bfloat16" in checks.check_device("x", there, "cuda", "bfloat16").detail
    assert checks.check_device("x", there, "cuda", "auto").verdict == "ok"
    # It says so, but nothing was ever there.
    only_said = make_record("full").model_copy(update={"environment": there.environment})
    assert "no phase has memory" in checks.check_device("x", only_said, "cuda", "auto").detail
    without = only_said.model_copy(update={"model": None})
    assert checks.check_device("x", without, "cuda", "auto").verdict == "ok"


@pytest.mark.parametrize("missing", ["rss", "allocated", "reserved"])
def test_memory_that_is_missing_from_a_phase_is_seen(missing: str) -> None:
    there = on_card(make_record("full"))
    assert checks.check_memory("x", there, "cuda").verdict == "ok"
    phase = there.measured["load"].model_copy(update={missing: 0})
    found = there.model_copy(update={"measured": {**there.measured, "train": phase}})
    assert "train" in checks.check_memory("x", found, "cuda").detail
    assert checks.check_memory("x", found, "cuda").verdict == "failed"
    assert checks.check_memory("x", make_record(measured={}), "cpu").verdict == "failed"


def test_events_that_the_reference_has_not_are_seen() -> None:
    quiet, loud = make_record("full"), make_record("full", events=(("trunk", "runs whole"),))
    assert checks.check_events("x", loud, loud).verdict == "ok"
    assert checks.check_events("x", loud, quiet).verdict == "failed"
    memory = quiet.model_copy(update={"events": [Event(kind="memory", message="fewer rows")]})
    assert checks.check_events("x", memory, memory).verdict == "failed"
    collapsed = quiet.model_copy(update={"events": [Event(kind="collapsed", message="all")]})
    assert checks.check_events("x", collapsed, quiet).verdict == "ok"


def test_every_entry_must_have_one_record() -> None:
    records = [make_record("full"), make_record("lora")]
    assert checks.check_entries("x", ["full", "lora"], records).verdict == "ok"
    assert "last-k: 0" in checks.check_entries("x", ["full", "lora", "last-k"], records).detail
    assert "lora" in checks.check_entries("x", ["full"], records).detail
    assert "full: 2" in checks.check_entries("x", ["full"], [*records[:1], *records[:1]]).detail


def test_a_failed_run_and_one_that_began_anew_are_seen() -> None:
    failed = make_record("full", status="failed", error="no card")
    assert "no card" in checks.check_done("x", failed).detail
    assert checks.check_done("x", failed).verdict == "failed"
    anew = make_record("full")
    assert "anew" in checks.check_resumed("x", anew).detail
    went_on = make_record("full", measured={"train": Phase(seconds=2.0, before=1.0)})
    assert checks.check_resumed("x", went_on).verdict == "ok"
    assert checks.check_resumed("x", failed).verdict == "failed"


def test_bounds_are_those_of_the_kind_of_run() -> None:
    def bounds(entry: str, *, own: bool = False, model: str | None = "m") -> Any:
        return checks.bounds_for(make_record(entry, model=model), own_precision=own)

    assert bounds("majority", model=None) is EXACT
    assert bounds("majority", model=None, own=True) is EXACT
    assert bounds("zero-shot") is PROMPTED
    assert bounds("full") is TRAINED
    assert bounds("qlora-head") is checks.FOUR_BIT
    assert bounds("few-shot", own=True) is checks.OWN_PROMPTED
    assert bounds("qlora-text", own=True) is checks.OWN_TRAINED


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("name", small.STUDIES)
def test_the_small_study_has_every_entry_of_the_worked_one(
    name: str, dropout: bool, tmp_path: Path
) -> None:
    side = small.Side("one", "cpu", "float32", 1, dropout=dropout)
    worked = small.read_study(name)
    study = load_study(small.write_study(name, tmp_path, side))
    assert [entry.id for entry in study.entries] == list(worked["methods"])
    assert len(study.entries) == {"nli": 16, "squad": 7}[name]
    for entry, told in zip(study.entries, worked["methods"].values(), strict=True):
        for key in set(told) & {"k", "select", "layers", "r", "alpha", "virtual_tokens", "answer"}:
            assert getattr(entry.knobs, key, None) is not None
    adapters = [entry for entry in study.entries if hasattr(entry.knobs, "dropout")]
    assert adapters
    assert {entry.knobs.dropout > 0 for entry in adapters} == {dropout}


def test_an_entry_that_is_added_is_covered(tmp_path: Path) -> None:
    worked = small.read_study("nli")
    worked["methods"]["last-3"] = {"method": "last-k", "model": "roberta", "k": 3}
    side = small.Side("one", "cpu", "float32", 1)
    assert "last-3" in small.derived("nli", worked, tmp_path, side)["methods"]
    worked["models"]["another"] = {"source": "x"}
    with pytest.raises(ValueError, match="another"):
        small.derived("nli", worked, tmp_path, side)


def test_the_plain_side_keeps_the_batches(tmp_path: Path) -> None:
    plain = small.environment(tmp_path, small.Side("p", "cpu", "float32", 1, plain=True))
    off = plain["TARAZU_PLAIN"].split(",")
    assert "attention" in off
    assert "length_buckets" not in off
    assert plain["HF_HUB_OFFLINE"] == "1"
    assert "TARAZU_PLAIN" not in small.environment(tmp_path, small.Side("f", "cpu", "float32", 1))


def test_a_command_ends_with_its_budget_and_leaves_no_process(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    side = small.Side("one", "cpu", "float32", 1)
    done = small.command(["-c", program], tmp_path, side, time.monotonic() + 1.5)
    assert done.code is None
    assert done.seconds < 20
    child = int(done.output)
    for _ in range(100):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        pytest.fail("a child lives on")


def test_what_does_not_fit_says_what_it_needs_and_what_there_is() -> None:
    cases = {case.name: case for case in sizes.CASES}
    t4 = sizes.Room(card=15 * 2**30, host=12 * 2**30, disk=60 * 2**30)

    def lack(name: str, has: Any = t4, *, made: bool = False) -> str:
        return str(sizes.lacking(cases[name], has, tiny=False, made=made))

    assert lack("roberta full") == lack("roberta lora") == ""
    assert "needs 17.0 GiB, has 15.0" in lack("llama zero-shot")
    assert lack("llama qlora-head") == lack("llama qlora-text") == ""
    big = sizes.Room(card=139 * 2**30, host=120 * 2**30, disk=64 * 2**30)
    assert [name for name in cases if lack(name, big)] == []
    assert "disk" in lack("llama qlora-text", replace(big, disk=10 * 2**30))
    assert lack("llama qlora-text", replace(big, disk=0), made=True) == ""
    assert sizes.lacking(cases["llama zero-shot"], sizes.Room(0, 0, 0), tiny=True, made=False) == ""


def test_time_that_is_up_while_a_model_is_written_is_not_reached(tmp_path: Path) -> None:
    side = small.Side("sizes", "cpu", "auto", 1)
    found = sizes.measure(sizes.CASES[0], tmp_path, side, time.monotonic() - 1, tiny=True)
    assert found.verdict == "not reached"
    assert not sizes.weights.is_made(
        tmp_path / "models" / "sizes" / "roberta", "roberta", tiny=True
    )


def measured(**changes: Any) -> dict[str, Any]:
    phase = {"rss": 5, "allocated": 3, "reserved": 4, "seconds": 1.0}
    found = {
        "device": "cuda",
        "updates": 12,
        "answers": 64,
        "finite": True,
        "losses": [1.0],
        "tokens_per_second": {"train": 100.0, "evaluate": 200.0},
        "phases": {"train": phase, "evaluate": phase},
    }
    return {**found, **changes}


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "cpu"},
        {"updates": 11},
        {"answers": 0},
        {"finite": False},
        {"losses": [math.nan]},
        {"losses": []},
        {"tokens_per_second": {"evaluate": 200.0}},
        {"phases": {"train": {"allocated": 0}, "evaluate": {"allocated": 0}}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_measurement_is_seen(wrong: dict[str, Any]) -> None:
    case = sizes.CASES[0]
    assert sizes.judge(case, measured(), "cuda", {}).verdict == "ok"
    assert sizes.judge(case, measured(**wrong), "cuda", {}).verdict == "failed"


def test_rates_leave_the_first_tick_out() -> None:
    assert worker.rate([(1, 10.0), (2, 11.0), (4, 13.0)], 400) == pytest.approx(100.0)
    assert worker.rate([(1, 10.0)], 400) is None
    assert worker.rate([], 400) is None


def board(tmp_path: Path) -> Any:
    return smoke.Board(tmp_path / "made" / "smoke.json", {"tiny": True})


class Parts:
    """Stands for a `Smoke` with parts of its own."""

    def __init__(self, deadline: float, **parts: Any) -> None:
        self.deadline, self._parts = deadline, parts

    def parts(self) -> dict[str, Any]:
        return self._parts


def test_a_part_that_breaks_is_a_failed_check_and_the_others_are_done(tmp_path: Path) -> None:
    made, good = board(tmp_path), smoke.Check("a", "b", "ok")
    smoke.do_all(Parts(math.inf, one=lambda: 1 / 0, two=lambda: [good]), made)
    assert [one.verdict for one in made.checks] == ["failed", "ok"]
    told = json.loads(made.file.read_text())
    assert told["exit_status"] == made.code == smoke.FAILED
    assert told["finished"]
    assert "ZeroDivisionError" in told["checks"][0]["detail"]


def test_what_was_not_reached_is_listed_and_the_exit_status_says_so(tmp_path: Path) -> None:
    made = board(tmp_path)
    smoke.do_all(Parts(time.monotonic() - 1, one=lambda: 1 / 0), made)
    told = json.loads(made.file.read_text())
    assert told["not_reached"] == ["one: part"]
    assert told["exit_status"] == made.code == smoke.UNREACHED


def test_what_does_not_fit_is_no_failure_and_nothing_done_is(tmp_path: Path) -> None:
    made = board(tmp_path)
    assert made.code == smoke.FAILED
    made.add([smoke.Check("size", "llama", "does not fit", "needs 17, has 15")])
    assert made.code == 0
    assert "no room size: needs 17, has 15" in smoke.table(made)


def test_without_a_card_it_says_how_to_try_the_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert smoke.main([]) == 2
    assert "--device cpu --tiny" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_whole_script_on_a_cpu_and_mistakes_that_are_put_in(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "smoke.json"
    words = ["--device=cpu", "--tiny", "--minutes=20", f"--work-dir={work}", f"--out={out}"]
    code = smoke.main(words)
    told = json.loads(out.read_text())
    assert [one for one in told["checks"] if one["verdict"] != "ok"] == []
    assert code == told["exit_status"] == 0
    assert told["finished"]
    done = {one["of"] for one in told["checks"] if one["name"] == "done"}
    for name in small.STUDIES:
        entries = list(small.read_study(name)["methods"])
        assert told["studies"][name] == entries
        assert {f"cpu {name} {entry}" for entry in entries} <= done
    rates = {
        c["of"]: c["figures"]["tokens_per_second"] for c in told["checks"] if c["name"] == "size"
    }
    assert list(rates) == [case.name for case in sizes.CASES]
    assert {"killed", "resumed", "verify"} <= {one["name"] for one in told["checks"]}

    (side,) = smoke.sides_of("cpu")
    again = smoke.Smoke(work, [side], time.monotonic() + 300, True)
    see_wrong_predictions(again, side)
    see_wrong_weights(again, work)


def verdicts(again: Any, side: Any) -> dict[tuple[str, str], str]:
    well = small.Done(0, "", 1.0)
    return {(one.of, one.name): one.verdict for one in again.judge(side, "nli", well, well)}


def see_wrong_predictions(again: Any, side: Any) -> None:
    store = Store(again.out(side, "nli"))
    record = again.records(side, "nli")["few-shot"]
    file = store.run_folder(record) / "predictions.parquet"
    before, rows = file.read_bytes(), pq.read_table(file)
    assert verdicts(again, side)[f"{side.name} nli few-shot", "answers"] == "ok"
    place = rows.column_names.index("scores")
    column = rows.schema.field(place)
    moved = [[value + 0.01 for value in row] for row in rows["scores"].to_pylist()]
    write_whole(file, to_bytes(rows.set_column(place, column, pa.array(moved, column.type))))
    found = verdicts(again, side)
    assert [of for of, verdict in found.items() if verdict != "ok"] == [
        (f"{side.name} nli few-shot", "answers")
    ]
    write_whole(file, before)


def see_wrong_weights(again: Any, work: Path) -> None:
    """One bias of one layer is lost: answers and losses both show it."""
    from safetensors.torch import load_file, save_file

    file = work / "models" / "plain" / "roberta" / "model.safetensors"
    weights = load_file(file)
    name = "roberta.encoder.layer.11.attention.self.value.bias"
    weights[name].zero_()
    save_file(weights, file, {"format": "pt"})
    bad = small.Side("bad", "cpu", "float32", 1)
    study = small.write_study("nli", work, bad)
    words = ["run", str(study), "--out", str(again.out(bad, "nli")), "--only", "lora"]
    assert again.tarazu(words, bad, "nli").code == 0
    found = verdicts(again, bad)
    of = f"{bad.name} nli lora"
    assert found[of, "done"] == "ok"
    assert found[of, "answers"] == found[of, "losses"] == "failed"
    assert found[f"{bad.name} nli", "entries"] == "failed"
