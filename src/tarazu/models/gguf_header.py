"""What a GGUF file announces, checked against what it holds before anything is allocated.

The layout (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)::

    "GGUF" version u32 | tensors u64 | entries u64
    entries:  key string | type u32 | value          a string is its length u64 and its bytes
    tensors:  name string | dimensions u32 | dimensions × u64 | type u32 | offset u64
    padding to `general.alignment` | data

The file is mapped and walked with plain integers: a count or a length that does not fit is refused
where it stands, and no number of the file ever sizes an allocation.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tarazu.errors import bad

_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of metadata entries
_SMALLEST_ENTRY = 12  # bytes that the shortest metadata entry or tensor description can take
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes by type
_WHOLE = frozenset({0, 1, 2, 3, 4, 5, 10, 11})  # those that are whole numbers
_UINT32, _STRING, _ARRAY = 4, 8, 9
_ALIGNMENT = b"general.alignment"
_DEFAULT_ALIGNMENT = 32
_LARGEST_ALIGNMENT = 1 << 16

# By the last word of an entry's name, as in `config_limits`: a model is made of these.
_MOST = {
    b"block_count": 1_000,
    b"expert_count": 1 << 15,
    b"context_length": 1 << 24,
    b"embedding_length": 1 << 20,
    b"feed_forward_length": 1 << 20,
    b"head_count": 1 << 20,
    b"head_count_kv": 1 << 20,
    b"vocab_size": 1 << 28,
}

MAX_TENSORS = 100_000
MAX_ENTRIES = 10_000
MAX_NAME = 1 << 10
MAX_DIMENSIONS = 4
MAX_VALUES = 2_000_000
"""Values in all arrays together: readers make an object of each. Gemma's vocabulary of 262,144 with
its scores, types and merges is 1.4 million."""
MAX_STRING = 1 << 24
"""Bytes of one text: readers make a list of its bytes. A whole tokenizer as JSON is ten million."""
MAX_METADATA = 1 << 27


class _Damaged(Exception):
    """What is wrong, in words."""


@dataclass
class _Walk:
    """A place in the mapped file."""

    data: mmap.mmap
    end: int
    place: int = _HEADER.size
    values: int = 0

    def skip(self, count: int, what: str) -> int:
        """Go over `count` bytes and return where they begin."""
        start = self.place
        if count > self.end - start:
            raise _Damaged(f"{what} of {count} bytes at byte {start} of {self.end}")
        self.place = start + count
        return start

    def u32(self, what: str) -> int:
        return int.from_bytes(self.data[(at := self.skip(4, what)) : at + 4], "little")

    def u64(self, what: str) -> int:
        return int.from_bytes(self.data[(at := self.skip(8, what)) : at + 8], "little")

    def string(self, what: str, longest: int = MAX_STRING) -> int:
        """Go over a string and return its length; its bytes end at `place`."""
        length = self.u64(what)
        if length > longest:
            raise _Damaged(f"{what} of {length} bytes")
        self.skip(length, what)
        return length

    def name(self, what: str, seen: set[bytes]) -> bytes:
        """Read a name that no other one equals."""
        length = self.string(what, MAX_NAME)
        found = self.data[self.place - length : self.place]
        try:
            found.decode("utf-8")
        except UnicodeDecodeError:
            raise _Damaged(f"{what} that is not UTF-8") from None
        if found in seen:
            raise _Damaged(f"{what} '{found.decode()[:80]}' twice")
        seen.add(found)
        return found

    def value(self, kind: int, name: bytes) -> None:
        """Go over a value of metadata."""
        what = f"the value of '{name.decode()[:80]}'"
        if kind in _SCALARS:
            self.skip(_SCALARS[kind], what)
        elif kind == _STRING:
            self.string(what)
        elif kind == _ARRAY:
            self._array(what)
        else:
            raise _Damaged(f"{what} of the unknown type {kind}")

    def _array(self, what: str) -> None:
        kind, count = self.u32(what), self.u64(what)
        self.values += count
        if self.values > MAX_VALUES:
            raise _Damaged(f"{what} and those before it of {self.values} values in all")
        if kind in _SCALARS:
            self.skip(count * _SCALARS[kind], what)
        elif kind == _STRING:
            for _ in range(count):
                self.string(what)
        else:  # arrays of arrays are allowed by the format and used by no model
            raise _Damaged(f"{what}: an array of the type {kind}")


def check_header(path: Path, where: str) -> Counter[str]:
    """Refuse a file that is no GGUF file or whose header announces more than the file can hold.

    Args:
        path: The file.
        where: The place in the study file, for messages.

    Returns:
        How many weights it holds in each format, such as ``Q4_1``.

    Raises:
        BadInput: It is no GGUF file, its names are not unique, its counts, lengths or dimensions
            are absurd, or a tensor lies outside of it; or a model of such sizes does not exist.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
        size = path.stat().st_size
        if len(header) < _HEADER.size or header[:4] != b"GGUF":
            found = f"a file that starts {header[:4]!r}"
            raise bad(where, f"{path.name} must be a GGUF file", found)
        _, version, tensors, entries = _HEADER.unpack(header)
        if version not in (2, 3):
            raise bad(where, f"{path.name} must be of GGUF version 2 or 3", version)
        try:
            _check_counts(tensors, entries, size)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                walk = _Walk(data, size)
                alignment = _entries(walk, entries)
                return _tensors(walk, tensors, alignment)
        except _Damaged as damage:
            raise bad(
                where,
                f"{path.name} must hold what its header announces",
                damage,
                "The file is damaged or was not downloaded to its end; fetch it again.",
            ) from None


def _check_counts(tensors: int, entries: int, size: int) -> None:
    said = f"{tensors} tensors and {entries} entries in {size} bytes"
    if (tensors + entries) * _SMALLEST_ENTRY > size:
        raise _Damaged(said)
    if tensors > MAX_TENSORS or entries > MAX_ENTRIES:
        raise _Damaged(f"{said} (at most {MAX_TENSORS} and {MAX_ENTRIES} are read)")


def _entries(walk: _Walk, count: int) -> int:
    """Go over the metadata and return the alignment of the data."""
    # What readers list beside the file's own entries.
    names = {b"GGUF.version", b"GGUF.tensor_count", b"GGUF.kv_count"}
    alignment = _DEFAULT_ALIGNMENT
    for _ in range(count):
        name = walk.name("an entry's name", names)
        kind = walk.u32("an entry's type")
        start = walk.place
        walk.value(kind, name)
        _check_most(walk, kind, name, start)
        if walk.place > MAX_METADATA:
            raise _Damaged(f"metadata of more than {MAX_METADATA} bytes")
        if name == _ALIGNMENT:
            if kind != _UINT32:
                raise _Damaged(f"an alignment of the type {kind}")
            alignment = int.from_bytes(walk.data[start : walk.place], "little")
            if not 0 < alignment <= _LARGEST_ALIGNMENT or alignment & (alignment - 1):
                raise _Damaged("an alignment that is no power of two")
    return alignment


def _check_most(walk: _Walk, kind: int, name: bytes, start: int) -> None:
    """Refuse a size that no model has; the value has just been gone over."""
    most = _MOST.get(name.rpartition(b".")[2])
    if most is not None and kind in _WHOLE:
        value = int.from_bytes(walk.data[start : walk.place], "little")
        if value > most:
            raise _Damaged(f"'{name.decode()[:80]}' of {value} (at most {most})")


def _tensors(walk: _Walk, count: int, alignment: int) -> Counter[str]:
    """Go over the descriptions of tensors, check that each lies inside the file, and count."""
    formats = _formats()
    weights: Counter[str] = Counter()
    if not count:
        raise _Damaged("no tensors")
    names: set[bytes] = set()
    lying: list[tuple[int, int, str]] = []
    for _ in range(count):
        name = walk.name("a tensor's name", names).decode()[:80]
        dimensions = walk.u32(f"the dimensions of '{name}'")
        if dimensions > MAX_DIMENSIONS:
            raise _Damaged(f"'{name}' with {dimensions} dimensions")
        sizes = [walk.u64(f"the dimensions of '{name}'") for _ in range(dimensions)]
        kind = walk.u32(f"the type of '{name}'")
        if kind not in formats:
            raise _Damaged(f"'{name}' of the unknown type {kind}")
        values, size, form = formats[kind]
        elements = 1
        for one in sizes:  # Python's integers do not overflow
            elements *= one
        row = sizes[0] if sizes else 1
        if not elements or row % values:
            raise _Damaged(f"'{name}' of the shape {sizes} in blocks of {values}")
        weights[form] += elements
        lying.append((walk.u64(f"the place of '{name}'"), elements // values * size, name))
    start = -(-walk.place // alignment) * alignment
    free = 0
    for offset, size, name in sorted(lying):
        if offset < free:  # a small file would become a huge model
            raise _Damaged(f"'{name}' at {offset}, inside of another tensor")
        free = offset + size
        if offset % alignment:
            raise _Damaged(f"'{name}' at {offset}, which is no multiple of {alignment}")
        if offset + size > walk.end - start:
            raise _Damaged(f"'{name}' of {size} bytes at {offset} of {max(0, walk.end - start)}")
    return weights


def _formats() -> dict[int, tuple[int, int, str]]:
    """Return values and bytes of a block and the name, by the number of the tensor's type."""
    from gguf.constants import GGML_QUANT_SIZES

    return {
        int(kind): (int(values), int(size), kind.name)
        for kind, (values, size) in GGML_QUANT_SIZES.items()
    }
