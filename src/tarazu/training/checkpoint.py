"""Checkpoints of a training: all of its state, so that what follows is as if it had not stopped.

On the CPU that is the same to the last bit. On a card it is where `compute.deterministic` is set:
else two trainings differ by rounding, with or without a stop, since sums are made in the order in
which threads happen to come.

::

    <folder>/<update>/tensors.safetensors     weights, optimiser, best weights, random states
    <folder>/<update>/state.json              the rest, and SHA-256 of both

A checkpoint is written beside its place, synced and renamed. When it is read its checksums are
compared; a torn or corrupted one, one of other package versions, or one from whose state training
cannot go on for whatever reason, is named, and the one before it is used. What could not be used
goes when the next one is written. Nothing is a pickle.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tarazu.memory_errors import out_of_memory
from tarazu.models.fast import switches
from tarazu.record.disk import make_folder, sync
from tarazu.record.environment import environment
from tarazu.record.key import (
    canonical_json,
    sha256_file,
    sha256_text,
    training_key,
    training_name,
)
from tarazu.record.spec import RunSpec
from tarazu.scrub import scrub

_TENSORS, _STATE = "tensors.safetensors", "state.json"
_TEMPORARY = ".tmp-"
KEPT = 2  # the newest one may turn out to be torn
SHARE_AT_END = 0.02  # what all checkpoints of a training may take of its time
SHARE_OF_TIME = 0.015  # below the two hundredths that are promised
PRESUMED_RATE = 4e8  # bytes a second that a disk is presumed to take, checksum included


@dataclass(frozen=True)
class State:
    """The state of a training after some updates.

    Attributes:
        done: Updates made.
        values: What JSON can hold.
        tensors: The rest, by name.
    """

    done: int
    values: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


@dataclass
class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        folder: Of this run alone; made when it is needed.
        made_by: What must be the same for a checkpoint to be used: the run and the versions of what
            computes it.
        every: Seconds of training between two checkpoints, at least; more where writing one would
            take more than `SHARE_OF_TIME` of that. 0 writes one after every update.
    """

    folder: Path
    made_by: str
    every: float = 60.0
    _last: float = field(default_factory=time.monotonic)
    _cost: float = 0.0
    _refused: bool = False
    _began: float = field(default_factory=time.monotonic)
    _spent: float = 0.0
    _useless: set[Path] = field(default_factory=set)

    def due(self) -> bool:
        """Say whether the time for another checkpoint has come."""
        if self._refused:
            return False
        wait = max(self.every, self._cost / SHARE_OF_TIME) if self.every > 0 else 0.0
        return time.monotonic() - self._last >= wait

    def expect(self, size: int) -> None:
        """Reckon what writing costs from a checkpoint's size in bytes, until one is written."""
        self._cost = self._cost or size / PRESUMED_RATE

    def due_at_end(self) -> bool:
        """Say whether a training that has come to its end is worth a checkpoint.

        Answering is not resumed and may take long. So the end is kept although none is due, where
        that leaves the cost of all of them below what is promised.
        """
        if self._refused:
            return False
        trained = time.monotonic() - self._began
        affordable = self._spent + self._cost <= SHARE_AT_END * trained
        return trained >= self.every and (affordable or self.every == 0)

    def save(self, state: State, note: Callable[[str], None] = lambda message: None) -> None:
        """Write a checkpoint, whole or not at all, and drop what is not needed any more.

        That is what was found to be useless, and the ones before the last two. Checkpoints further
        on than this one stay: a trial that is made again up to a lower rung shall not cost a higher
        one its state.

        Where the disk does not take it, no other one is tried: training needs none.

        Args:
            state: The state.
            note: Hears that the disk did not take it.
        """
        if self._refused:
            return
        try:
            self._save(state)
        except (OSError, SafetensorError) as error:
            self._refused = True
            note(f"training goes on without checkpoints from update {state.done:,}: {_why(error)}")

    def _save(self, state: State) -> None:
        start = time.monotonic()
        temporary = self.folder / f"{_TEMPORARY}{uuid.uuid4().hex}"
        try:
            make_folder(self.folder)
            temporary.mkdir()
            save_file(dict(state.tensors), temporary / _TENSORS)
            body = {"made_by": self.made_by, "done": state.done, "values": dict(state.values)}
            sums = {
                "tensors": sha256_file(temporary / _TENSORS),
                "body": sha256_text(canonical_json(body)),
            }
            text = json.dumps({**body, "sha256": sums})
            (temporary / _STATE).write_text(text, encoding="utf-8")
            for path in (temporary / _TENSORS, temporary / _STATE, temporary):
                sync(path)
            place = self.folder / f"{state.done:09d}"
            shutil.rmtree(place, ignore_errors=True)  # of an earlier attempt
            os.replace(temporary, place)
            sync(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._useless.discard(place)
        before = [one for one in self._newest_first() if one.name <= place.name]
        for old in {*before[KEPT:], *self._useless}:
            shutil.rmtree(old, ignore_errors=True)
        self._useless.clear()
        self._last = time.monotonic()
        self._cost = self._last - start
        self._spent += self._cost

    def latest(
        self,
        at_most: int,
        note: Callable[[str], None] = lambda message: None,
        restore: Callable[[State], None] = lambda state: None,
    ) -> State | None:
        """Return the newest checkpoint that can be used; None when there is none.

        Whoever asks goes on from it, and is alone here: what a killed process left half-written is
        removed.

        Args:
            at_most: Updates that it may have made.
            note: Hears of checkpoints that cannot be used.
            restore: Goes on from a checkpoint. Whatever error it raises, all is to be as it was
                before, and the checkpoint cannot be used. Only where memory runs out does that say
                nothing about the checkpoint, and is raised.
        """
        self._began = time.monotonic()
        for left in self.folder.glob(f"{_TEMPORARY}*"):
            shutil.rmtree(left, ignore_errors=True)
        for place in self._newest_first():
            try:
                state = self._read(place, at_most)
                if state is not None:
                    restore(state)
                    return state
            except Exception as error:  # of other code than ours, too, and of any kind
                if out_of_memory(error):
                    raise
                self._useless.add(place)
                note(f"checkpoint {place.name} cannot be used: {_why_unusable(error)}")
        return None

    def seconds(self) -> float:
        """Return the seconds that the newest checkpoint keeps, metrics included; 0 without one."""
        for place in self._newest_first():
            with suppress(Exception):  # whatever stands in one that is torn
                body = json.loads((place / _STATE).read_text(encoding="utf-8"))
                if body["made_by"] == self.made_by:
                    values = body["values"]
                    return float(values["seconds"]) + float(values.get("watched", 0.0))
        return 0.0

    def _read(self, place: Path, at_most: int) -> State | None:
        """Read a checkpoint; None for one that is further on. Of that the tensors are not read."""
        body = json.loads((place / _STATE).read_text(encoding="utf-8"))
        sums = body.pop("sha256")
        if sums["body"] != sha256_text(canonical_json(body)):
            raise ValueError("its state does not have the checksum that was written")
        if body["made_by"] != self.made_by:  # it would not be the same training
            raise ValueError("other package versions made it")
        if body["done"] > at_most:
            return None
        if sums["tensors"] != sha256_file(place / _TENSORS):
            raise ValueError("its tensors do not have the checksum that was written")
        return State(body["done"], body["values"], load_file(place / _TENSORS))

    def _newest_first(self) -> Iterator[Path]:
        places = self.folder.glob("[0-9]*") if self.folder.is_dir() else ()
        yield from sorted(places, reverse=True)

    def clear(self) -> None:
        """Remove all: the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # other runs have some, or there never were any
            self.folder.parent.rmdir()


def _why(error: Exception) -> str:
    """Say what went wrong without a path: an event names no machine."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # Libraries that are no Python say it in their text, perhaps with a path.
    full = os.strerror(errno.ENOSPC)
    return full if full in str(error) or "os error 28" in str(error) else type(error).__name__


def _why_unusable(error: Exception) -> str:
    """Say why a checkpoint cannot be used, in one line and without a path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    first = scrub(str(error)).partition("\n")[0]
    return first if type(error) is ValueError else f"{type(error).__name__}: {first}"


def checkpoints_for(spec: RunSpec, parent: Path, every: float) -> Checkpoints:
    """Return where a run leaves its checkpoints.

    Args:
        spec: The run.
        parent: Holds the checkpoints of all runs.
        every: Seconds between two of them, at least.
    """
    key = training_key(spec)
    # All switches by name: one that is new draws or rounds otherwise, too.
    ways = [f"{name}={on}" for name, on in asdict(switches()).items()]
    made_by = [key, environment(spec.device, spec.dtype, spec.threads).hash, *ways]
    return Checkpoints(parent / training_name(spec), " ".join(made_by), every)
