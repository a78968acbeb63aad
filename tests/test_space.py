from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tarazu.catalog import find_method, find_task
from tarazu.counting import count
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.record.progress import PlannedRun
from tarazu.space import Space, check_space, space_of, total
from tarazu.study_file import Entry

MIB = 1 << 20


def test_trained_weights_and_checkpoints_follow_from_counted_parameters() -> None:
    card = find_card("minilm")
    assert card is not None
    info = info_from_config(card.id, card.config, card=card)
    task, method = find_task("multinli"), find_method("lora")
    entry = Entry("lora", method, "minilm", method.knobs(), {}, {})
    counted = count(method, info, task, entry.knobs)
    numbers = counted.trained + counted.head
    # fp32; three checkpoints while the third is written: weights, best weights and two moments.
    assert space_of(entry, info, task) == Space(MIB + 4 * numbers, 0, 3 * 4 * 4 * numbers)
    assert space_of(Entry("majority", find_method("majority"), None, None, {}, {}), None, task) == (  # type: ignore[arg-type]
        Space(MIB)
    )


def test_what_passes_is_counted_once_and_what_stays_every_time() -> None:
    runs = [Space(10, 5, 100), Space(20, 300, 1), Space(30)]
    assert total(runs) == 60 + 301
    assert total([]) == 0


@pytest.fixture
def lora() -> tuple[Entry, ModelInfo, int]:
    """An entry, its model, and the bytes of one of its checkpoints."""
    card = find_card("minilm")
    assert card is not None
    info = info_from_config(card.id, card.config, card=card)
    method = find_method("lora")
    entry = Entry("lora", method, "minilm", method.knobs(), {}, {})
    return entry, info, space_of(entry, info, find_task("multinli")).checkpoints // 3


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("states", [0, 10**9])
@pytest.mark.parametrize("short", [False, True])
def test_what_trials_and_frozen_layers_leave_in_the_cache_is_counted_where_it_lies(
    lora: tuple[Entry, ModelInfo, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    apart: bool,
    states: int,
    short: bool,
) -> None:
    entry, info, checkpoint = lora
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    runs = [
        *(PlannedRun(f"trial {n}", "lora", n == 0, 1.0, "trial") for n in range(5)),
        PlannedRun("seed 0", "lora", False, 1.0),
    ]
    final = space_of(entry, info, find_task("multinli"))
    here = 4 * MIB + final.kept + final.checkpoints
    there = 4 * checkpoint + states  # one trial is finished
    free = {"out": here + (0 if apart else there), "cache": there}
    free["cache" if apart else "out"] -= short

    def usage(folder: Path) -> SimpleNamespace:
        on = "cache" if apart and folder == tmp_path / "cache" else "out"
        return SimpleNamespace(total=1, free=free[on])

    stat = Path.stat

    def device(path: Path, **named: bool) -> object:
        found = stat(path, **named)
        other = apart and path == tmp_path / "cache"
        return SimpleNamespace(st_dev=found.st_dev + other, st_mode=found.st_mode)

    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(Path, "stat", device)
    notes: list[str] = []
    out = tmp_path / "out"
    out.mkdir()
    infos = {"minilm": info}
    check_space(out, runs, [entry], infos, find_task("multinli"), notes.append, states=states)
    assert len(notes) == short
    if short:
        assert ("disk of the cache" in notes[0]) == apart


def test_a_baseline_leaves_nothing_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=1, free=MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    entry = Entry("majority", find_method("majority"), None, None, {}, {})  # type: ignore[arg-type]
    runs = [PlannedRun("seed 0", "majority", False, 1.0)]
    notes: list[str] = []
    check_space(tmp_path, runs, [entry], {}, find_task("multinli"), notes.append, states=10**9)
    assert notes == []


def test_each_merged_form_that_is_asked_for_takes_a_model_of_room() -> None:
    card = find_card("gpt2")
    assert card is not None
    info = info_from_config(card.id, card.config, card=card)
    method, task = find_method("qlora-text"), find_task("multinli")

    def merged(asked: str) -> int:
        knobs = method.knobs(merge=asked)
        return space_of(Entry("e", method, "m", knobs, {}, {}), info, task).merged

    total = count(method, info, task, method.knobs()).total
    one = 2 * total
    assert [merged(a) for a in ("none", "dequantised", "16bit", "both")] == [0, one, one, 2 * one]
