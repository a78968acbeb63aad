"""Tokens of items: made once, kept as numbers in one file each, and shared by the runs of a study.

::

    <folder>/tokens/<sha256 of what was asked>     a table
                   /.tmp-<random>                  being written, or left by a kill

A table has rows of cells, and a cell is a sequence of whole numbers. Its file has a head, then
where each cell begins (int64), then all numbers (int32). A file is renamed into place when it is
complete and never changed; one whose length or checksum is wrong is not used. Where nothing can be
written, a table stays in memory.
"""

from __future__ import annotations

import os
import struct
import time
import uuid
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from tarazu.models.states import Shelves
from tarazu.record.key import canonical_json, sha256_text

Made = TypeVar("Made")
Row = Sequence[Sequence[int]]

_FOLDER = "tokens"
_MAGIC = b"tarazu tokens 1\n"
_HEAD = struct.Struct("<16sQQQdQ")  # rows, columns, numbers, seconds; the checksum comes last
_CHECKED = _HEAD.size - 8
_PART = 1 << 20  # bytes that are checked at a time, so that a file is not in memory for it


class Lazy(Sequence[Made]):
    """A sequence whose members are made whenever they are asked for, so that few are in memory.

    Args:
        count: How many there are.
        make: Makes one by its place; the same at every call.
    """

    def __init__(self, count: int, make: Callable[[int], Made]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Made: ...

    @overload
    def __getitem__(self, place: slice) -> list[Made]: ...

    def __getitem__(self, place: int | slice) -> Made | list[Made]:
        if isinstance(place, slice):
            return [self._make(one) for one in range(self._count)[place]]
        return self._make(range(self._count)[place])

    def __iter__(self) -> Iterator[Made]:
        return map(self._make, range(self._count))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class Table:
    """Rows of cells of whole numbers, in memory or in a file.

    Args:
        columns: Cells of each row.
        starts: Where each cell begins, row by row, and where the last one ends.
        numbers: The numbers of all cells.
        seconds: What making it took.
    """

    def __init__(
        self,
        columns: int,
        starts: NDArray[np.int64],
        numbers: NDArray[np.int32],
        seconds: float = 0.0,
    ) -> None:
        self.columns = columns
        self.seconds = seconds
        self._starts = starts
        self._numbers = numbers

    @classmethod
    def of(cls, rows: Iterable[Row], columns: int) -> Table:
        """Return a table in memory: 4 bytes a number, and 8 a cell.

        Args:
            rows: Its rows; of each only the numbers are kept.
            columns: Cells of each row.
        """
        begin = time.perf_counter()
        starts, numbers = array("q", [0]), array("i")
        for row in rows:
            for cell in row:
                numbers.extend(cell)
                starts.append(len(numbers))
        kept = np.frombuffer(numbers, np.int32) if numbers else np.empty(0, np.int32)
        return cls(columns, np.frombuffer(starts, np.int64), kept, time.perf_counter() - begin)

    def __len__(self) -> int:
        return (len(self._starts) - 1) // self.columns

    def row(self, place: int) -> list[list[int]]:
        """Return the cells of a row."""
        first = place * self.columns
        edges = self._starts[first : first + self.columns + 1].tolist()
        numbers = self._numbers[edges[0] : edges[-1]].tolist()
        begins = [edge - edges[0] for edge in edges]
        return [numbers[begins[i] : begins[i + 1]] for i in range(self.columns)]

    def sizes(self, column: int) -> list[int]:
        """Return how many numbers stand in a column's cells, by row."""
        sizes: list[int] = np.diff(self._starts)[column :: self.columns].tolist()
        return sizes

    @property
    def bytes(self) -> int:
        """The size of its file."""
        return _HEAD.size + self._starts.nbytes + self._numbers.nbytes

    def write(self, file: Path) -> None:
        """Write it into a file.

        Raises:
            OSError: It cannot be written whole.
        """
        told = (_MAGIC, len(self), self.columns, len(self._numbers), self.seconds)
        checksum = zlib.crc32(_HEAD.pack(*told, 0)[:_CHECKED])
        for part in (self._starts, self._numbers):
            checksum = zlib.crc32(part.data, checksum)
        with file.open("wb") as stream:
            stream.write(_HEAD.pack(*told, checksum))
            stream.write(self._starts.data)
            stream.write(self._numbers.data)

    @classmethod
    def read(cls, file: Path) -> Table | None:
        """Return a table that stays in its file, mapped into memory; None unless it is whole."""
        try:
            with file.open("rb") as stream:
                head = stream.read(_HEAD.size)
                if len(head) < _HEAD.size:
                    return None
                magic, rows, columns, numbers, seconds, checksum = _HEAD.unpack(head)
                found, size = zlib.crc32(head[:_CHECKED]), len(head)
                while part := stream.read(_PART):
                    found, size = zlib.crc32(part, found), size + len(part)
                middle = _HEAD.size + 8 * (rows * columns + 1)
                if (magic, found, size) != (_MAGIC, checksum, middle + 4 * numbers):
                    return None
                data = np.asarray(np.memmap(stream, np.uint8, "r"))
        except OSError:
            return None
        starts, kept = data[_HEAD.size : middle].view(np.int64), data[middle:].view(np.int32)
        return cls(columns, starts, kept, seconds)


class Tables:
    """The tables of a run: each is made when it is first asked for, unless another run made it.

    Args:
        identity: What decides about the numbers beside what is asked: tokenizer, demonstrations.
        shelves: Folders shared with other runs; without, there is memory only.
        keep: Whether anything is kept at all.

    Attributes:
        shared: Seconds that it took other runs to make what was read here instead.
    """

    def __init__(
        self, identity: Mapping[str, Any], shelves: Shelves | None = None, *, keep: bool = True
    ) -> None:
        self.keep = keep
        self.shared = 0.0
        self._identity = dict(identity)
        self._shelves = shelves
        self._target = shelves.learnt if shelves else None
        self._room = shelves.disk if shelves else 0
        self._held: dict[str, Table] = {}

    def get(
        self, asked: Mapping[str, Any], rows: Callable[[], Iterable[Row]], columns: int
    ) -> Table:
        """Return a table.

        Args:
            asked: What names it, beside the identity; anything that JSON can hold.
            rows: Makes its rows.
            columns: Cells of each row.
        """
        if not self.keep:
            return Table.of(rows(), columns)
        key = sha256_text(canonical_json({**self._identity, **asked}))
        found = self._held.get(key)
        if found is None:
            found = self._shared(key)
        if found is None:
            found = self._kept(key, Table.of(rows(), columns))
        self._held[key] = found
        return found

    @contextmanager
    def of(self, what: Literal["learnt", "tests"]) -> Iterator[None]:
        """Say what the items are that are asked for inside.

        Args:
            what: ``learnt`` for training and validation items, or ``tests``, whose tokens go to a
                folder of their own, and nowhere without one (trap T30).
        """
        before = self._target
        self._target = getattr(self._shelves, what) if before is not None else None
        try:
            yield
        finally:
            self._target = before

    def _shared(self, key: str) -> Table | None:
        """Return what another run made."""
        found = Table.read(self._target / _FOLDER / key) if self._target is not None else None
        if found is not None:
            self.shared += found.seconds
        return found

    def _kept(self, key: str, table: Table) -> Table:
        """Write a table for others and return it out of its file; itself where that fails."""
        if self._target is None or self._used() + table.bytes > self._room:
            return table
        folder = self._target / _FOLDER
        temporary = folder / f".tmp-{uuid.uuid4().hex}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            table.write(temporary)
            temporary.rename(folder / key)
        except OSError:  # a full disk takes the tables away, not the run
            with suppress(OSError):
                temporary.unlink()
            self._room = 0
            return table
        written = Table.read(folder / key)
        return table if written is None else written

    def _used(self) -> int:
        assert self._shelves is not None
        shelves = (self._shelves.learnt, self._shelves.tests)
        return sum(_size(folder / _FOLDER) for folder in shelves if folder is not None)


def _size(folder: Path) -> int:
    """Return the bytes of a folder's files, where others rename them at the same time."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            with suppress(FileNotFoundError):
                total += file.stat().st_size
    return total
