"""Where hidden states are kept: bounds, other processes, killed writers, leftovers."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch import Tensor

from tarazu.models import states as states_module
from tarazu.models.states import Shelves, States, shelves
from tarazu.record.spec import ComputeSpec

WIDTH = 8
ROW = WIDTH * 4  # bytes


def value(number: int, rows: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return (torch.arange(rows * WIDTH) + 1000.0 * number).view(rows, WIDTH).to(dtype)


def name(number: int) -> bytes:
    return number.to_bytes(16, "little")


class Asked:
    """Asks for the states of numbers and counts which ones had to be computed."""

    def __init__(self, states: States, dtype: torch.dtype = torch.float32) -> None:
        self.states = states
        self.dtype = dtype
        self.computed: list[int] = []

    def __call__(self, *numbers: int) -> list[int]:
        self.computed.clear()
        for number in numbers:
            found = self.states.get(name(number), lambda n=number: self._compute(n))  # type: ignore[misc]
            assert torch.equal(found, value(number, dtype=self.dtype))
            assert found.dtype == self.dtype
        return list(self.computed)

    def _compute(self, number: int) -> dict[bytes, Tensor]:
        self.computed.append(number)
        return {name(number): value(number, dtype=self.dtype)}


@pytest.fixture
def place(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path / "learnt", tmp_path / "tests", disk=2**20, memory=2**20)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("states.bin"))


def test_nothing_is_computed_twice(place: Shelves) -> None:
    for shared in (None, place):
        ask = Asked(States({}, shared))
        assert ask(1, 2, 1, 3) == [1, 2, 3]
        assert ask(3, 2, 1) == []
        assert ask.states.spent.sequences == 3
        assert ask.states.spent.shared == 0


def test_what_is_computed_together_is_kept_together(place: Shelves) -> None:
    states = States({}, place)
    together = {name(number): value(number) for number in (1, 2, 3)}
    assert torch.equal(states.get(name(2), lambda: together), value(2))
    for number in (1, 2, 3):
        found = states.get(name(number), lambda: pytest.fail("not kept"))
        assert torch.equal(found, value(number))
    assert states.spent.sequences == 3
    states.flush()
    other = Asked(States({}, place))
    assert other(3, 1, 2) == []
    assert other.states.spent.shared == pytest.approx(states.spent.seconds)


def test_whether_states_fit_is_known_beforehand(place: Shelves) -> None:
    sizes = {name(number): 2 * ROW for number in range(4)}
    assert States({}, replace(place, memory=0, disk=8 * ROW)).fits(sizes)
    assert not States({}, replace(place, memory=0, disk=8 * ROW - 1)).fits(sizes)
    assert States({}, replace(place, memory=8 * ROW, disk=0)).fits(sizes)
    assert not States({}, place, keep=False).fits(sizes)
    ask = Asked(States({}, replace(place, disk=8 * ROW)))
    ask(0, 1)
    ask.states.flush()
    # Half of the room is taken, by two of the four.
    assert States({}, replace(place, memory=0, disk=8 * ROW)).fits(sizes)
    assert not States({"other": 1}, replace(place, memory=0, disk=8 * ROW)).fits(sizes)


def test_without_keeping_everything_is_computed_every_time(place: Shelves) -> None:
    ask = Asked(States({}, place, keep=False))
    assert ask(1, 1) == [1, 1]
    ask.states.flush()
    assert not files(place.learnt)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_does_not_fit_into_memory_is_read_from_disk(
    place: Shelves, dtype: torch.dtype
) -> None:
    ask = Asked(States({}, replace(place, memory=3 * 2 * ROW)), dtype)
    assert ask(*range(20)) == list(range(20))
    assert ask.states._bytes <= 3 * 2 * ROW
    assert sum(one.numel() for one in ask.states._held.values()) <= 3 * 2 * ROW // dtype.itemsize
    assert files(place.learnt)
    assert ask(*range(20)) == []
    assert ask(*reversed(range(20))) == []


def test_the_disk_is_bounded_and_what_fits_nowhere_is_computed_again(place: Shelves) -> None:
    bounded = replace(place, memory=4 * 2 * ROW, disk=8 * 2 * ROW)
    ask = Asked(States({}, bounded))
    assert ask(*range(20)) == list(range(20))
    ask.states.flush()
    assert sum(file.stat().st_size for file in files(place.learnt)) <= 8 * 2 * ROW
    again = ask(*range(20))
    assert 0 < len(again) <= 20 - 8
    assert len(ask.states._held) <= 4


def test_memory_alone_is_bounded_too(place: Shelves) -> None:
    ask = Asked(States({}, replace(place, memory=4 * 2 * ROW, disk=0)))
    ask(*range(10))
    assert ask(*range(10)) == list(range(4, 10))
    assert not files(place.learnt)


def test_a_disk_that_is_full_takes_the_cache_away_and_nothing_else(
    place: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Asked(States({}, replace(place, memory=4 * 2 * ROW)))

    def full(*inputs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        assert ask(*range(10)) == list(range(10))
    assert list(place.learnt.rglob("*.bin")) == []
    assert ask(*range(10)) == list(range(4, 10))


def test_other_runs_read_what_was_computed_and_are_told_what_it_took(place: Shelves) -> None:
    first = Asked(States({"weights": "a"}, place))
    first(1, 2)
    first.states.flush()
    second = Asked(States({"weights": "a"}, place))
    assert second(1, 2, 1, 2, 3) == [3]
    assert second.states.spent.shared == pytest.approx(first.states.spent.seconds)
    assert second.states.spent.sequences == 1


def test_other_weights_have_other_states(place: Shelves) -> None:
    first = Asked(States({"weights": "a", "below": 1}, place))
    first(1)
    first.states.flush()
    for other in ({"weights": "b", "below": 1}, {"weights": "a", "below": 2}, {"weights": "a"}):
        assert Asked(States(other, place))(1) == [1]


def test_t30_states_of_test_items_are_kept_apart_from_what_a_trial_may_read(
    place: Shelves,
) -> None:
    ask = Asked(States({}, place))
    ask(1)
    with ask.states.of("tests"):
        ask(2)
    ask(3)
    ask.states.flush()
    assert Asked(States({}, place.for_trial()))(1, 2, 3) == [2]
    assert Asked(States({}, place))(1, 2, 3) == []
    assert len(files(place.learnt)) == 2
    assert len(files(place.tests or Path())) == 1


def test_t30_without_a_folder_for_them_states_of_test_items_are_not_written(
    place: Shelves,
) -> None:
    ask = Asked(States({}, place.for_trial()))
    with ask.states.of("tests"):
        ask(2)
    ask(3)
    ask.states.flush()
    assert Asked(States({}, place))(2, 3) == [2]


def test_what_a_killed_process_left_is_never_read(place: Shelves) -> None:
    ask = Asked(States({}, place))
    ask(1)
    ask.states.flush()
    (shard,) = (place.learnt / ask.states.key).iterdir()
    shard.rename(shard.with_name(f".tmp-{shard.name}"))
    assert Asked(States({}, place))(1) == [1]


def test_a_file_that_is_cut_or_gone_is_computed_again(place: Shelves) -> None:
    ask = Asked(States({}, place))
    ask(1, 2)
    ask.states.flush()
    (file,) = files(place.learnt)
    os.truncate(file, 3 * ROW)
    assert Asked(States({}, place))(1, 2) == [2]
    file.unlink()
    assert Asked(States({}, place))(1, 2) == [1, 2]


def _killed(place: Shelves, started: object) -> None:
    states = States({}, replace(place, memory=2 * 2 * ROW))
    number = 0
    while True:
        states.get(name(number), lambda n=number: {name(n): value(n)})  # type: ignore[misc]
        number += 1
        if number == 9:
            started.set()  # type: ignore[attr-defined]


def test_a_writer_that_is_killed_at_any_moment_leaves_only_whole_states(place: Shelves) -> None:
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    process = context.Process(target=_killed, args=(place, begun))
    process.start()
    assert begun.wait(60)
    process.kill()
    process.join()
    ask = Asked(States({}, place))
    assert len(ask(*range(8))) <= 2  # every value was compared


def _written(place: Shelves) -> None:
    ask = Asked(States({}, replace(place, memory=4 * 2 * ROW)))
    ask(*range(40))
    ask.states.flush()


def test_two_processes_may_write_at_once(place: Shelves) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_written, args=(place,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert Asked(States({}, place))(*range(40)) == []


def test_a_shard_that_vanishes_while_sizes_are_summed_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process renames its temporary shard between listing and reading."""
    for shard, size in (("a", 5), (".tmp-b", 7), ("c", 11)):
        (tmp_path / shard).mkdir()
        (tmp_path / shard / "states.bin").write_bytes(bytes(size))
    scan = os.scandir

    def vanishing(folder: Any) -> Any:
        if str(folder).endswith(".tmp-b"):
            os.rename(folder, tmp_path.parent / "renamed")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert states_module._size(tmp_path) == 16


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "states"


def test_a_study_removes_its_states_also_when_it_fails(cache: Path) -> None:
    def study(fail: bool) -> None:
        with shelves(ComputeSpec(trunk_memory=3, trunk_disk=5)) as shared:
            assert shared is not None
            assert (shared.memory, shared.disk) == (3 * 2**20, 5 * 2**20)
            shared.learnt.mkdir()
            assert len(list(cache.iterdir())) == 2
            if fail:
                raise KeyboardInterrupt

    study(False)
    assert list(cache.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        study(True)
    assert list(cache.iterdir()) == []


def test_what_a_killed_study_left_is_removed_and_a_running_one_is_left_alone(cache: Path) -> None:
    dead, alive = cache / "dead", cache / "alive"
    for folder in (dead, alive):
        folder.mkdir(parents=True)
        folder.with_suffix(".lock").touch()
    with FileLock(alive.with_suffix(".lock")), shelves(ComputeSpec()):
        assert not dead.exists()
        assert not dead.with_suffix(".lock").exists()
        assert alive.is_dir()


def test_a_lock_file_that_cannot_be_removed_stays_and_costs_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with shelves(ComputeSpec()), monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with shelves(ComputeSpec()) as shared:
            assert shared is not None
    assert len(list(cache.glob("*.lock"))) == 1
    with shelves(ComputeSpec()):
        assert len(list(cache.glob("*.lock"))) == 1  # its own
    assert list(cache.iterdir()) == []


def test_without_a_cache_that_can_be_written_there_is_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("TARAZU_CACHE", str(file))
    with shelves(ComputeSpec()) as shared:
        assert shared is None
        ask: Callable[..., list[int]] = Asked(States({}, shared))
        assert ask(1, 1) == [1]
