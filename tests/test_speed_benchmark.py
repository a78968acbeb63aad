"""The harness that holds tarazu against its peers: ratios, turns, resuming, the table."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from tarazu.record.progress import Progress
from tarazu.testing.tiny import nli_items, qa_items
from tarazu.training.optimizer import make_schedule

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # programs and their parts, no package

from side_by_side import ours, pairs, peers, prepare, results, sides, works  # noqa: E402

Pair, Side = pairs.Pair, works.Side


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """Return the programs."""
    names = ("speed", "startup", "growth", "losses")
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    for name in names:
        del sys.modules[name]


def side(seconds: float, examples: int = 1, **more: Any) -> Any:
    return Side(seconds, examples, seconds + 1, score={"lora": 0.5}, **more)


def test_ratio_is_of_seconds_per_example() -> None:
    # 0.5 s for each of four examples against 1.5 s for each of two.
    assert Pair(side(2.0, 4), side(3.0, 2), "ours").ratio == 3.0


def test_ratio_of_several_pairs_is_their_median_with_the_range() -> None:
    many = [Pair(side(1.0), side(r), "ours") for r in (2.0, 9.0, 3.0, 4.0, 2.5)]
    assert pairs.ratio_of(many) == pairs.Ratio(3.0, 2.0, 9.0)


@given(st.lists(st.tuples(*[st.floats(0.01, 1e4)] * 2), min_size=1, max_size=9))
def test_ratio_lies_in_its_range_and_turns_round_with_the_sides(times: Any) -> None:
    one = pairs.ratio_of([Pair(side(a), side(b), "ours") for a, b in times])
    other = pairs.ratio_of([Pair(side(b), side(a), "ours") for a, b in times])
    assert one.smallest <= one.median <= one.largest
    assert one.smallest * other.largest == pytest.approx(1)


def test_sides_take_turns_and_the_order_is_turned_round(tmp_path: Path) -> None:
    order: list[str] = []

    def run(name: str) -> Callable[[int], Any]:
        return lambda index: order.append(f"{name}{index}") or side(1.0)  # type: ignore[func-returns-value]

    found = pairs.run_pairs(4, run("us"), run("them"), tmp_path, "k")
    assert order == ["us0", "them0", "them1", "us1", "us2", "them2", "them3", "us3"]
    assert [pair.first for pair in found] == ["ours", "theirs", "ours", "theirs"]


def test_interrupted_pairs_are_resumed_and_no_side_is_confused(tmp_path: Path) -> None:
    calls: list[int] = []

    def theirs(index: int) -> Any:
        calls.append(index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return side(3.0)

    def mine(index: int) -> Any:
        return side(1.0)

    with pytest.raises(KeyboardInterrupt):
        pairs.run_pairs(4, mine, theirs, tmp_path, "k")
    found = pairs.run_pairs(4, mine, theirs, tmp_path, "k")
    assert calls == [0, 1, 2, 2, 3]
    assert [pair.ratio for pair in found] == [3.0] * 4
    assert found == pairs.run_pairs(4, mine, theirs, tmp_path, "k")  # read back as written
    assert len(calls) == 5
    pairs.run_pairs(1, mine, theirs, tmp_path, "another key")
    assert len(calls) == 6


@pytest.mark.parametrize("name", works.WORKS)
def test_every_pair_has_seeds_of_its_own(
    bench: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Else a difference of losses would have an interval of no width, over the same seeds."""
    work = works.WORKS[name]
    prepared: list[int] = []

    def prepare_only(work: Any, seeds: list[int], threads: int, folder: Path) -> Any:
        prepared.extend(seeds)
        raise KeyboardInterrupt

    monkeypatch.setattr(bench.speed, "prepare", prepare_only)
    with pytest.raises(KeyboardInterrupt):
        bench.speed.run_works([work], list(work.peers), 3, tmp_path, tmp_path)
    assert len(prepared) == len(set(prepared)) == 3 * len(work.seeds)
    assert prepared == [seed for pair in range(3) for seed in work.seeds_of(pair)]


def test_pairs_of_other_sizes_settings_or_code_are_others(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, peer = works.WORKS["lora-squad"], peers.PEERS["trainer-tuned"]
    monkeypatch.setattr(bench.speed, "code_hash", lambda: "code")

    def key(**changes: Any) -> str:
        settings = changes.pop("settings", peer.settings)
        threads = changes.pop("threads", 1)
        return bench.speed.key_of(replace(work, **changes), peer, settings, threads)

    fewer = dict(list(peer.settings.items())[:1])
    keys = [key(), key(examples=8), key(settings=fewer), key(threads=2)]
    monkeypatch.setattr(bench.speed, "code_hash", lambda: "other code")
    assert len({*keys, key()}) == 5


def test_code_hash_covers_tarazu_and_the_peers_scripts(
    bench: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.speed, "ROOT", tmp_path)
    files = ("src/tarazu/x.py", "benchmarks/side_by_side/x.py", "benchmarks/peers/trl/run.py")
    found = {bench.speed.code_hash()}
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
        found.add(bench.speed.code_hash())
    assert len(found) == 4


def test_fastest_documented_settings_are_taken(bench: SimpleNamespace, tmp_path: Path) -> None:
    took = {"slow": 9.0, "fast": 2.0, "broken": None, "middle": 3.0}
    settings = {name: peers.Settings({}, "") for name in took}

    def run(name: str, one: Any) -> Any:
        if took[name] is None:
            raise sides.Unavailable("broken")
        return side(took[name], 2)

    best, tried = bench.speed.fastest(settings, run, tmp_path, "w--p--k")
    assert best == "fast"
    assert tried == {"slow": 4.5, "fast": 1.0, "middle": 1.5}
    took["fast"] = 99.0  # kept from before: not tried again
    assert bench.speed.fastest(settings, run, tmp_path, "w--p--k")[0] == "fast"
    only = {"broken": settings["broken"], "also": settings["broken"]}
    took["also"] = None
    with pytest.raises(sides.Unavailable, match="broken; broken"):
        bench.speed.fastest(only, run, tmp_path, "w--p--other")


def test_sides_that_did_other_work_are_refused(bench: SimpleNamespace) -> None:
    work = works.WORKS["lora-squad"]

    def check(mine: Any, other: Any) -> None:
        bench.speed.must_be_same_work(work, [Pair(mine, other, "ours")])

    check(side(1.0, 8, updates=2), side(1.0, 8, updates=2))
    with pytest.raises(ValueError, match="8 examples against 7"):
        check(side(1.0, 8, updates=2), side(1.0, 7, updates=2))
    with pytest.raises(ValueError, match="2 updates against 3"):
        check(side(1.0, 8, updates=2), side(1.0, 8, updates=3))


def row(ratio: float = 2.0, peer: str = "trl") -> dict[str, Any]:
    one = Pair(
        side(1.0, 4, loss=0.5, versions={"torch": "1"}),
        side(ratio, 4, loss=0.25, settings="bf16", versions={"torch": "2"}),
        "ours",
    )
    return results.row_of(works.WORKS["lora-squad"], peer, [one], {"bf16": 0.5}, "a machine")


def test_row_has_what_readers_of_the_file_expect() -> None:
    made = row()
    wanted = "work peer pairs ratio_median ratio_min ratio_max ours theirs machine versions"
    assert set(wanted.split()) <= set(made)
    assert (made["ratio_median"], made["aim"], made["pairs"]) == (2.0, 4.0, 1)
    assert made["ours"]["seconds_per_example"] == [0.25]
    assert made["theirs"]["tried"] == {"bf16": 0.5}
    assert made["versions"] == {"ours": {"torch": "1"}, "theirs": {"torch": "2"}}


def test_table_shows_ratios_both_sides_and_reasons() -> None:
    missing = results.missing_row(works.WORKS["full-squad"], "trainer-tuned", "no | pip\nx", "m")
    lines = results.table([row(), missing]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(one) for one in cells}) == 1
    assert cells[2] == [
        *("lora-squad", "trl (bf16)", "1", "64", "**2.00 ×** [2.00, 2.00]", "4 ×", "4.00", "2.00"),
        *("2 / 3", "0.500 / 0.250", "–", "0.500 / 0.500"),
    ]
    assert "not run: no / pip x" in cells[3]


def test_the_difference_of_losses_has_the_interval_of_a_paired_t_test() -> None:
    ours, theirs = [1.0, 1.2, 0.9, 1.4, None], [0.9, 1.3, 0.9, 1.1, None]
    low, high = ttest_rel(ours[:4], theirs[:4]).confidence_interval(0.95)
    said = f"{(low + high) / 2:+.3f} ± {(high - low) / 2:.3f}"
    assert results._difference(ours, theirs) == said
    assert results._difference(ours[:1], theirs[:1]) == "–"


def test_the_command_in_the_results_names_no_folder(bench: SimpleNamespace) -> None:
    words = ["--works", "a", "b", "--work-dir", "/x", "--out=/y", "--pairs", "2", "--out", "z"]
    assert bench.speed._what(words) == ["--works", "a", "b", "--pairs", "2"]


def test_newer_rows_take_the_place_of_older_ones(tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    results.merge(file, [row(2.0, "llamafactory"), row(2.0)])
    merged = results.merge(file, [row(3.0)])
    # In the order of the work's peers, whoever came first.
    assert [(one["peer"], one["ratio_median"]) for one in merged] == [
        ("trl", 3.0),
        ("llamafactory", 2.0),
    ]
    # Settings that were asked for by name have rows of their own beside the fastest.
    assert len(results.merge(file, [row(1.5) | {"asked": "bf16"}])) == 3
    merged = results.merge(file, [row(1.7) | {"asked": "bf16"}])
    assert [one["ratio_median"] for one in merged] == [3.0, 1.7, 2.0]
    assert json.loads(file.read_text()) == merged
    results.write_table(merged, tmp_path / "speed.md", "make bench")
    assert "torch 1/2" in (tmp_path / "speed.md").read_text()


def test_every_machine_has_a_table_of_its_own_the_newest_first(tmp_path: Path) -> None:
    """A ratio of another processor is neither replaced nor shown beside this one's."""
    file = tmp_path / "speed.json"
    old = {"machine": "old", "date": "2026-11-22"}
    new = {"machine": "new", "date": "2026-11-28"}
    results.merge(file, [row(2.0) | old, row(2.5, "llamafactory") | old])
    merged = results.merge(file, [row(3.0) | new])
    assert [(one["machine"], one["ratio_median"]) for one in merged] == [
        ("new", 3.0),
        ("old", 2.0),
        ("old", 2.5),
    ]
    results.write_table(merged, tmp_path / "speed.md", "make bench")
    first, second = (tmp_path / "speed.md").read_text().split("\n## ")[1:]
    assert first.startswith("new\n")
    assert ("3.00 ×" in first, "2.00 ×" in first, "2026-11-28" in first) == (True, False, True)
    assert second.startswith("old\n")
    assert ("2.50 ×" in second, "3.00 ×" in second.split("\nRatio:")[0]) == (True, False)


def test_rows_of_other_machines_and_works_stay(tmp_path: Path) -> None:
    file = tmp_path / "new" / "limit.json"
    mine = {"machine": "here", "work": "a", "n": 1}
    results.keep_rows([mine, mine | {"work": "b"}, mine | {"machine": "there"}], file, "work")
    results.keep_rows([mine | {"n": 2}], file, "work")
    kept = [(row["machine"], row["work"], row["n"]) for row in json.loads(file.read_text())]
    assert kept == [("here", "a", 2), ("here", "b", 1), ("there", "a", 1)]


def test_every_kept_row_says_where_when_and_on_which_code_it_was_measured() -> None:
    files = sorted((BENCHMARKS / "results").glob("*.json"))
    rows = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}
    kept = {name: found for name, found in rows.items() if isinstance(found, list)}
    assert {"growth.json", "limit.json", "speed.json", "startup.json"} <= kept.keys()
    for name, found in kept.items():
        assert found
        for row in found:
            assert row["machine"], name
            assert datetime.fromisoformat(row["date"]), name


def test_every_peer_is_pinned_and_says_who_recommends_its_settings() -> None:
    assert {name for work in works.WORKS.values() for name in work.peers} == set(peers.PEERS)
    for peer in peers.PEERS.values():
        for one in [*peer.settings.values(), *(peer.quantised or {}).values()]:
            assert one.source.startswith("https://") or (BENCHMARKS.parent / one.source).exists()
        if peer.folder:
            assert peer.script.exists()
            lines = peer.requirements.read_text().split()
            assert "torch==2.13.0" in lines
            assert all("==" in line for line in lines)


def test_environments_are_made_once_and_never_left_half_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []
    failing = [True]

    def fake(command: list[str], **_: Any) -> Any:
        commands.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        broken = "pip" in command and failing[0]
        return SimpleNamespace(returncode=int(broken), stderr="no such version")

    monkeypatch.setenv("TARAZU_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(peers.subprocess, "run", fake)
    trl = peers.PEERS["trl"]
    with pytest.raises(peers.CannotInstall, match="no such version"):
        peers.python_of(trl)
    failing[0] = False
    python = peers.python_of(trl)
    assert len(commands) == 4  # from the start again
    assert commands[-1][0] == str(python)
    assert str(trl.requirements) in commands[-1]
    assert peers.python_of(trl) == python
    assert len(commands) == 4
    assert python.is_relative_to(tmp_path)


def test_frozen_base_in_bf16_is_no_setting_of_full_fine_tuning() -> None:
    tuned = peers.PEERS["trainer-tuned"]
    assert len(tuned.settings_for({"lora"})) == 3
    assert len(tuned.settings_for({"full"})) == 2
    assert tuned.settings_for({"qlora-text"}) == tuned.quantised


def test_clock_covers_every_update_from_the_begin_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = iter((10.0, 11.0, 12.0, 13.0, 15.0))
    monkeypatch.setattr(ours.time, "perf_counter", lambda: next(now))
    clock = ours.Clock()
    clock(Progress("load"))
    clock(Progress("train"))
    for done in (0, 1, 1, 2):  # two epochs, and each says where it goes on
        clock(Progress("train", done, 2))
    clock(Progress("evaluate", 1, 1))
    assert clock.stop()[0] == 5.0
    assert clock.updates == 2


def test_phases_of_tarazus_own_count_for_it() -> None:
    phases = {name: SimpleNamespace(seconds=2.0) for name in ("load", "train", "trunk", "evaluate")}
    assert ours.besides(phases) == 2.0  # type: ignore[arg-type]


@pytest.fixture
def tiny_work(tiny: Callable[[str], Path], tmp_path: Path) -> Callable[..., Any]:
    """Return a way to make a work on a tiny model and made-up items."""

    def make(kind: str, like: str, task: str, items: Callable[..., Any], **changes: Any) -> Any:
        source = {"group_by": "context" if task == "corpus-qa" else "premise"}
        for name, count, seed in (("train", 60, 1), ("test", 20, 2)):
            file = tmp_path / f"{name}.jsonl"
            prepare._write(file, (prepare._row(item) for item in items(count, seed=seed)))
            source[name] = str(file)
        work = works.WORKS[like]
        (entry,) = work.entries.items()
        return replace(
            work,
            task=task,
            entries={entry[0]: {**entry[1], "model": "tiny"}},
            training={**work.training, "batch_size": 4},
            examples=8,
            held_out=4,
            models={"tiny": {"source": str(tiny(kind))}},
            source=source,
            **changes,
        )

    return make


def run(bench: SimpleNamespace, work: Any, peer: str, folder: Path) -> dict[str, Any]:
    folders = (folder / "work", folder / "out")
    (made,) = bench.speed.run_works([work], [peer], 1, *folders, lambda _: Path(sys.executable))
    (kept,) = json.loads((folder / "out" / "speed.json").read_text())
    assert kept == made
    assert (folder / "out" / "speed.md").exists()
    return made


def test_peers_get_tarazus_tokens_and_nobody_trains_on_what_is_judged(
    tiny_work: Callable[..., Any], tmp_path: Path
) -> None:
    work = tiny_work("llama", "lora-squad", "corpus-qa", qa_items)
    folder = tmp_path / "files"
    folder.mkdir()
    ready = prepare.prepare(work, [0], 1, folder)
    parts = (ready.warm, ready.splits.train, ready.held_out)
    assert [len(part) for part in parts] == [4, 8, 4]
    assert len({item.id for part in parts for item in part}) == 16
    job = prepare.write_tokens(ready, ready.specs[0])
    lines = (Path(job["folder"]) / "train.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [one["id"] for one in rows] == [item.id for item in ready.splits.train]
    for one in rows:
        labelled = [i for i, label in enumerate(one["labels"]) if label >= 0]
        assert labelled == list(range(labelled[0], len(one["input_ids"])))
        assert [one["labels"][i] for i in labelled] == one["input_ids"][labelled[0] :]
        assert labelled[0] == len(one["prompt_ids"])


@pytest.mark.parametrize(("share", "updates"), [(0.2, 0), (0.3, 1)])
def test_peers_warm_the_rate_up_over_the_updates_of_tarazu(
    tiny_work: Callable[..., Any], tmp_path: Path, share: float, updates: int
) -> None:
    """Of two updates Trainer would take one for either share: the first at a rate of zero."""
    from transformers import TrainingArguments

    work = tiny_work("llama", "lora-squad", "corpus-qa", qa_items)
    work = replace(work, training={**work.training, "warmup": share})
    folder = tmp_path / "files"
    folder.mkdir()
    ready = prepare.prepare(work, [0], 1, folder)
    given = prepare.write_tokens(ready, ready.specs[0])["settings"]["warmup"]
    theirs = TrainingArguments(output_dir=str(tmp_path), warmup_steps=given, use_cpu=True)
    assert theirs.get_warmup_steps(2) == updates

    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    ours = make_schedule(optimizer, name="linear", warmup=share, steps=2)
    assert ours.get_last_lr() == [0.0 if updates else 1.0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "like", "task", "items"),
    [
        ("bert", "lora-nli-encoder", "corpus-nli", nli_items),
        ("llama", "lora-squad", "corpus-qa", qa_items),
        ("llama", "last-k-decoder", "corpus-nli", nli_items),
    ],
)
def test_tiny_models_run_against_the_tuned_trainer(
    bench: SimpleNamespace,
    tiny_work: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    like: str,
    task: str,
    items: Any,
) -> None:
    work = tiny_work(kind, like, task, items)
    work = replace(work, seeds=work.seeds[:2])
    tuned = peers.PEERS["trainer-tuned"]
    few = dict(list(tuned.settings.items())[:1])  # nothing is tried first
    monkeypatch.setitem(peers.PEERS, tuned.name, replace(tuned, settings=few))
    made = run(bench, work, "trainer-tuned", tmp_path)
    assert "reason" not in made
    # The same items, hardly trained on; an encoder's new head starts at random on each side.
    tolerance = 0.5 if kind == "bert" else 0.05
    assert made["ours"]["loss"][0] == pytest.approx(made["theirs"]["loss"][0], rel=tolerance)
    assert (
        made["ours"]["updates"]
        == made["theirs"]["updates"]
        == 2 * len(work.seeds) * (work.training["epochs"])
    )
    assert made["theirs"]["settings"] in few
    assert made["ratio_median"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("like", "task", "items"),
    [("full-squad", "corpus-qa", qa_items), ("last-k-decoder", "corpus-nli", nli_items)],
)
def test_without_chance_a_plain_script_reaches_the_same_loss(
    bench: SimpleNamespace, tiny_work: Callable[..., Any], like: str, task: str, items: Any
) -> None:
    work = bench.losses.certain(tiny_work("llama", like, task, items), 8, 4)
    made = bench.losses.compare(work, 1, Path(sys.executable))
    assert made["updates"] == [4, 4]
    assert made["difference"] == pytest.approx(0, abs=1e-4)
    # That it is the loss after training: a smaller rate ends elsewhere.
    (entry,) = work.entries.items()
    slow = replace(work, entries={entry[0]: {**entry[1], "learning_rate": 1e-6}})
    other = bench.losses.compare(slow, 1, Path(sys.executable))
    assert abs(other["ours"] - made["ours"]) > 1e-3


@dataclass(frozen=True)
class Switches:
    """What is on."""

    attention: bool
    norm: bool


@pytest.mark.parametrize(("on", "said"), [((), None), (("norm",), "norm"), (None, "no switch")])
def test_plain_tarazu_is_compared_only_when_everything_is_off(
    monkeypatch: pytest.MonkeyPatch, on: tuple[str, ...] | None, said: str | None
) -> None:
    monkeypatch.setenv("TARAZU_PLAIN", "")

    def switches() -> Switches:
        assert os.environ["TARAZU_PLAIN"] == "all"
        return Switches("attention" in on, "norm" in on)  # type: ignore[operator]

    def find(name: str) -> Any:
        if on is None:
            raise ModuleNotFoundError(name)
        return SimpleNamespace(switches=switches)

    monkeypatch.setattr(ours.importlib, "import_module", find)
    if said is None:
        ours.switch_off_optimisations()
    else:
        with pytest.raises(ours.Unavailable, match=said):
            ours.switch_off_optimisations()


def test_side_that_cannot_run_leaves_a_row_with_the_reason(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(self: Any, command: list[str], job: Any, *, ours: bool = False) -> Any:
        return sides._checked({"unavailable": "not to be had"})

    monkeypatch.setattr(sides.Runner, "_call", refuse)
    work, peer = works.WORKS["lora-squad"], peers.PEERS["own-unoptimised"]
    runner = sides.Runner(SimpleNamespace(work=work, folder=tmp_path), 1)
    made = bench.speed.measure(work, peer, runner, 1, tmp_path, lambda _: Path())
    assert (made["pairs"], made["reason"]) == (0, "not to be had")
    made = bench.speed.measure(
        work, peers.PEERS["trl"], runner, 1, tmp_path, lambda _: Path(), "none such"
    )
    assert (made["pairs"], made["asked"]) == (0, "none such")
    assert "defaults; bf16, no checkpointing" in made["reason"]


@pytest.mark.parametrize(("kind", "counted"), [("study", 9.0), ("seeds", 2.0)])
def test_whole_processes_count_for_studies_on_both_sides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, counted: float
) -> None:
    def call(self: Any, command: list[str], job: Any, *, ours: bool = False) -> Any:
        told = {"seconds": 2.0, "examples": 4, "updates": 1, "loss": 0.5}
        return {**told, **({} if ours else {"answers": {}})}, 9.0

    monkeypatch.setattr(sides.Runner, "_call", call)
    monkeypatch.setattr(sides.Runner, "_score", lambda self, answers: 1.0)
    monkeypatch.setattr(sides, "write_tokens", lambda prepared, spec: {})
    work = replace(works.WORKS["last-k-encoder"], kind=kind, seeds=(3,))
    prepared = SimpleNamespace(
        work=work, folder=tmp_path, spec=lambda entry, seed: SimpleNamespace(seed=seed)
    )
    runner = sides.Runner(prepared, 1)
    one = peers.Settings({}, "")
    other = runner.theirs(peers.PEERS["trl"], one, "", Path("python"), 0)
    assert (runner.ours(0).seconds, other.seconds) == (counted, counted)


def test_startup_rows_say_whether_the_aim_is_reached(bench: SimpleNamespace) -> None:
    taken = {"python": [0.1], "tarazu --help": [0.1, 0.2, 0.9], "tarazu methods": [1.5]}
    rows = bench.startup.rows_of(taken)
    assert [(one["median"], one["reached"]) for one in rows] == [
        (0.1, None),
        (0.2, True),
        (1.5, False),
    ]


def test_growth_is_measured_as_a_power(bench: SimpleNamespace) -> None:
    sizes = (10, 20, 80)
    assert bench.growth.exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert bench.growth.exponent(sizes, [7.0] * 3) == pytest.approx(0)


@pytest.mark.parametrize("tokens", [32, 512])
def test_made_up_items_have_the_length_asked_for(bench: SimpleNamespace, tokens: int) -> None:
    one = next(bench.growth.items(1, tokens, 0))
    assert len(one["premise"].split()) + len(one["hypothesis"].split()) + 3 == tokens


def test_growth_points_are_computed_and_drawn(
    bench: SimpleNamespace, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    models = {"tiny": {"source": str(tiny("bert"))}}
    job = {"kind": "memory", "size": 640, "models": models, "threads": 1}
    point = bench.growth.in_own_process(job)
    assert point["peak_bytes"] > 1e7
    rows = bench.growth.rows_of("memory", {1: point, 640: point})
    bench.growth.plot(rows, tmp_path / "growth.svg")
    assert "<svg" in (tmp_path / "growth.svg").read_text()
