"""What a safetensors file announces, checked against what it holds before it is opened.

The layout (https://huggingface.co/docs/safetensors): the length of the header as u64, the header as
JSON with type, shape and place of every tensor, the data. The library checks the same and gives up
with an error of its own inside a run; here the file is named before anything is started.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tarazu.errors import BadInput, Problem, bad

MAX_HEADER = 10_000_000
"""Bytes. A description takes about a hundred: room for 100,000 tensors in a file; the library
allows 100 MB, of which Python's JSON would make gigabytes."""
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


def widest_float(folder: Path) -> str:
    """Return the precision that holds every weight of a model's files exactly, 64 bits aside.

    Args:
        folder: Holds safetensors files whose headers were checked.

    Returns:
        ``float32``, ``bfloat16`` or ``float16``.
    """
    kinds: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        kinds |= {entry["dtype"] for name, entry in header.items() if name != "__metadata__"}
    floats = kinds & {"F64", "F32", "BF16", "F16"}
    return {"BF16": "bfloat16", "F16": "float16"}.get("".join(floats), "float32")


class _Damaged(Exception):
    """What is wrong, in words."""


def check_weights(folder: Path, where: str) -> None:
    """Check the header of every safetensors file in a model's folder.

    Args:
        folder: The folder.
        where: The place in the study file, for messages.

    Raises:
        BadInput: With every damaged file.
    """
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            check_safetensors(path, where)
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(*problems)


def check_safetensors(path: Path, where: str) -> None:
    """Refuse a file whose header is absurd or announces something else than the file holds.

    Args:
        path: The file.
        where: The place in the study file, for messages.

    Raises:
        BadInput: The header is too long or no JSON, a name stands twice, or tensors do not fill the
            data without gaps and overlaps.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            if size < 8 or length > size - 8:
                raise _Damaged(f"a header of {length} bytes in a file of {size}")
            if length > MAX_HEADER:
                raise _Damaged(f"a header of {length} bytes (at most {MAX_HEADER} are read)")
            _check(_header(file.read(length)), size - 8 - length)
        except _Damaged as damage:
            raise bad(
                where,
                f"{path.name} must be a whole safetensors file",
                damage,
                "The file is damaged or was not downloaded to its end; fetch it again.",
            ) from None


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"a header that is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise _Damaged("a header that is no JSON object")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Damaged("a name twice in the header")
    return found


def _check(header: dict[str, Any], size: int) -> None:
    """Check that the tensors fill the data, one after the other."""
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise _Damaged("metadata that are no texts")
    spans = sorted(_span(name, tensor) for name, tensor in header.items())
    place = 0
    for start, end, name in spans:
        if start != place:
            raise _Damaged(f"'{name}' at byte {start} of the data, where {place} is next")
        place = end
    if place != size:
        raise _Damaged(f"tensors of {place} bytes and data of {size}")


def _span(name: str, tensor: Any) -> tuple[int, int, str]:
    shown = name[:80]
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        raise _Damaged(f"'{shown}' without type, shape and place")
    kind, shape, place = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if not isinstance(kind, str) or kind not in _BITS:
        raise _Damaged(f"'{shown}' of the unknown type {str(kind)[:40]}")
    if not _whole(shape) or not _whole(place) or len(place) != 2:
        raise _Damaged(f"'{shown}' with a shape or a place that is no list of whole numbers")
    bits = _BITS[kind]
    for one in shape:  # Python's integers do not overflow
        bits *= one
    if bits % 8 or place[1] - place[0] != bits // 8:
        raise _Damaged(f"'{shown}' of {bits // 8} bytes in {place[1] - place[0]}")
    return place[0], place[1], name


def _whole(numbers: Any) -> bool:
    """Tell whether a value is a list of whole numbers that fit into 64 bits."""
    return (
        isinstance(numbers, list)
        and len(numbers) <= 64
        and all(type(one) is int and 0 <= one < 1 << 64 for one in numbers)
    )
