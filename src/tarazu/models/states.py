"""Hidden states by sequence: in memory up to a bound, then on disk up to a bound, then not at all.

::

    <folder>/<sha256 of what computed them>/<random>/states.bin    one sequence after another
                                                    /index.json    where each begins, and its cost
    <folder>/<sha256 …>/.tmp-<random>/                             being written, or left by a kill

A shard is renamed into place when it is complete and never changed, so two processes may write at
once: at worst both keep the same states. Files are read piece by piece rather than mapped, so that
what the kernel keeps of them is not counted as memory of the run.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from tarazu.models.cache import cache_root
from tarazu.record.key import canonical_json, sha256_text
from tarazu.record.spec import ComputeSpec

_MIB = 2**20
_SHARE = 0.25  # of a disk's free space
_TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class Shelves:
    """Where the runs of a study share states, and tokens (`tarazu.readings.tables`).

    Attributes:
        learnt: Folder for training and validation items.
        tests: Folder for test items. A trial of tuning has none (trap T30).
        disk: Bytes that all states may take together; tokens may take as many, and never make the
            states' part smaller.
        memory: Bytes that a run may hold in memory.
    """

    learnt: Path
    tests: Path | None
    disk: int
    memory: int = ComputeSpec().trunk_memory * _MIB

    def for_trial(self) -> Shelves:
        """Return the same without the test items' folder."""
        return replace(self, tests=None)


@contextmanager
def shelves(compute: ComputeSpec) -> Iterator[Shelves | None]:
    """Give a study folders for what its runs share, below `cache_root`, and remove them.

    What a killed study left is removed by the next one.

    Args:
        compute: Bounds of memory and disk.

    Yields:
        The folders; None where nothing can be written.
    """
    root = cache_root() / "states"
    folder = root / uuid.uuid4().hex
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        root.mkdir(parents=True, exist_ok=True)
        _clear(root)
        lock.acquire()
        folder.mkdir()
    except OSError:
        lock.release()
        yield None
        return
    disk, memory = compute.trunk_disk, compute.trunk_memory * _MIB
    room = int(_SHARE * shutil.disk_usage(folder).free) if disk is None else disk * _MIB
    try:
        yield Shelves(folder / "learnt", folder / "tests", room, memory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        with suppress(OSError):  # the next study removes it
            Path(lock.lock_file).unlink(missing_ok=True)


def _clear(root: Path) -> None:
    """Remove the folders of studies that are gone: nobody holds their lock."""
    for file in root.glob("*.lock"):
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        shutil.rmtree(root / file.stem, ignore_errors=True)
        lock.release()
        file.unlink(missing_ok=True)


@dataclass
class _Place:
    """Where a sequence's states stand on disk."""

    shard: Path
    start: int
    rows: int
    seconds: float
    foreign: bool


@dataclass
class Spent:
    """What computing states came to, in this process.

    Attributes:
        sequences: Sequences computed.
        seconds: Time that this took.
        shared: Time that it took other runs to compute what was read here instead.
    """

    sequences: int = 0
    seconds: float = 0.0
    shared: float = 0.0


class States:
    """Keeps the states of sequences, all of one width and dtype.

    Args:
        identity: What decides about the states beside the sequence: weights, layer, precision,
            versions.
        shelves: Folders shared with other runs; without, there is memory only.
        keep: Whether anything is kept at all.
    """

    def __init__(
        self, identity: Mapping[str, Any], shelves: Shelves | None = None, *, keep: bool = True
    ) -> None:
        memory = shelves.memory if shelves else ComputeSpec().trunk_memory * _MIB
        self.spent = Spent()
        self.key = sha256_text(canonical_json(dict(identity)))
        self._shelves = shelves
        self._memory = memory if keep else 0
        self._room = shelves.disk if shelves else 0
        self._target = shelves.learnt if shelves and keep else None
        self._held: dict[bytes, Tensor] = {}
        self._bytes = 0
        self._unwritten: dict[bytes, float] = {}
        self._shape: tuple[int, torch.dtype] | None = None
        self._disk: dict[bytes, _Place] = {}
        if shelves and keep:
            for folder in (shelves.learnt, shelves.tests):
                if folder is not None:
                    self._read_indices(folder / self.key)

    def get(self, sequence: bytes, compute: Callable[[], Mapping[bytes, Tensor]]) -> Tensor:
        """Return the states of a sequence [n, h], computed where they are not kept.

        Args:
            sequence: Its name.
            compute: Gives its states by name, on the CPU, with those of sequences that are
                computed together with it; the same at every call.
        """
        found = self._held.get(sequence)
        if found is None:
            found = self._from_disk(sequence)
        if found is None:
            start = time.perf_counter()
            computed = compute()
            seconds = time.perf_counter() - start
            self.spent.sequences += len(computed)
            self.spent.seconds += seconds
            for one, states in computed.items():
                if one not in self._held and one not in self._disk:
                    self._keep(one, states, seconds / len(computed))
            found = computed[sequence]
        return found

    def fits(self, sequences: Mapping[bytes, int]) -> bool:
        """Say whether states can be kept until they are asked for again.

        Args:
            sequences: Their sizes in bytes by name.
        """
        new = sum(size for sequence, size in sequences.items() if sequence not in self._disk)
        room = self._memory
        if self._target is not None:
            room = max(room, self._room - self._used())
        return new <= room

    @contextmanager
    def of(self, what: Literal["learnt", "tests"]) -> Iterator[None]:
        """Say what the items are whose states are asked for inside, and write them at the end.

        Args:
            what: ``learnt`` for training and validation items, or ``tests``, whose states go to a
                folder of their own, and nowhere without one.
        """
        self.flush()
        before = self._target
        self._target = getattr(self._shelves, what) if before is not None else None
        try:
            yield
        finally:
            self.flush()
            self._target = before

    def flush(self) -> None:
        """Write what is only in memory, so that other runs find it. Nothing when there is no room.

        States that could not be written stay in memory.
        """
        size = sum(_bytes(self._held[sequence]) for sequence in self._unwritten)
        if self._target is not None and size and self._used() + size <= self._room:
            self._write_shard(self._target)
        self._unwritten.clear()

    def _write_shard(self, target: Path) -> None:
        temporary = target / self.key / f"{_TEMPORARY}{uuid.uuid4().hex}"
        shard = temporary.parent / temporary.name.removeprefix(_TEMPORARY)
        try:
            temporary.mkdir(parents=True)
            places = self._write(temporary, shard)
            temporary.rename(shard)
        except OSError:  # a full disk takes the cache away, not the run
            shutil.rmtree(temporary, ignore_errors=True)
            self._room = 0
        else:
            self._disk |= places

    def _write(self, folder: Path, shard: Path) -> dict[bytes, _Place]:
        assert self._shape is not None
        places, start = {}, 0
        with (folder / "states.bin").open("wb") as file:
            for sequence, seconds in self._unwritten.items():
                states = self._held[sequence]
                file.write(states.contiguous().view(torch.uint8).numpy().data)
                places[sequence] = _Place(shard, start, len(states), seconds, foreign=False)
                start += len(states)
        width, dtype = self._shape
        index = {
            "width": width,
            "dtype": str(dtype).removeprefix("torch."),
            "sequences": {s.hex(): (p.start, p.rows, p.seconds) for s, p in places.items()},
        }
        (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
        return places

    def _keep(self, sequence: bytes, states: Tensor, seconds: float) -> None:
        size = _bytes(states)
        if size > self._memory:
            return
        if self._bytes + size > self._memory:
            self.flush()
            written = [one for one in self._held if one in self._disk]
            for one in written:
                self._bytes -= _bytes(self._held.pop(one))
        if self._bytes + size > self._memory:
            return
        self._shape = (states.shape[-1], states.dtype)
        self._held[sequence] = states
        self._bytes += size
        self._unwritten[sequence] = seconds

    def _from_disk(self, sequence: bytes) -> Tensor | None:
        place = self._disk.get(sequence)
        if place is None or self._shape is None:
            return None
        width, dtype = self._shape
        buffer = torch.empty(place.rows * width * dtype.itemsize, dtype=torch.uint8)
        try:
            with (place.shard / "states.bin").open("rb", buffering=0) as file:
                file.seek(place.start * width * dtype.itemsize)
                whole = file.readinto(buffer.numpy().data) == len(buffer)
        except OSError:
            whole = False
        if not whole:  # somebody cleared the cache
            del self._disk[sequence]
            return None
        if place.foreign:
            self.spent.shared += place.seconds
            place.foreign = False
        return buffer.view(dtype).view(place.rows, width)

    def _read_indices(self, folder: Path) -> None:
        for file in sorted(folder.glob("[!.]*/index.json")):
            index = json.loads(file.read_text(encoding="utf-8"))
            self._shape = (index["width"], getattr(torch, index["dtype"]))
            for sequence, (start, rows, seconds) in index["sequences"].items():
                place = _Place(file.parent, start, rows, seconds, foreign=True)
                self._disk[bytes.fromhex(sequence)] = place

    def _used(self) -> int:
        assert self._shelves is not None
        folders = [f for f in (self._shelves.learnt, self._shelves.tests) if f is not None]
        return sum(_size(f) for f in folders)


def _size(folder: Path) -> int:
    """Return the bytes of all states in a folder, where others rename shards at the same time."""
    total = 0
    for place, _, names in os.walk(folder):  # passes over what vanishes; Path.rglob raises
        if "states.bin" in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, "states.bin")).st_size
    return total


def _bytes(states: Tensor) -> int:
    return states.numel() * states.element_size()
