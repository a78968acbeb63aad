"""What a table has to pass that unpacks to more than its file, from a Parquet file or the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tarazu.data.memory import limited_memory
from tarazu.errors import bad

Rows = list[dict[str, object]]

LONGEST = 1 << 24
"""Bytes of a line and characters of a cell: no model reads texts of sixteen million letters."""
# A file that says it holds more than this for its size is made to fill memory. Every row has a text
# of its own, so that there are never more rows than bytes.
_LARGEST_GROWTH = 200
_SMALL = 64 << 20
# What a file does not say about itself (one long text told ten thousand times, a page that lies) is
# stopped by the memory that reading may take beside that.
_MEMORY = 512 << 20
_FEW_ROWS = 100_000


@contextmanager
def plausible(name: str, *, rows: int, unpacked: int, size: int) -> Iterator[None]:
    """Refuse a small file that says it holds a huge table, and limit the memory of unpacking it.

    Args:
        name: The file or source, for messages.
        rows: How many it says it has.
        unpacked: Bytes that it says it unpacks to.
        size: Its bytes as it is stored.

    Raises:
        BadInput: It announces, or takes, more than any honest table of its size.
    """
    rule = "a table must unpack to a plausible size"
    if unpacked > _LARGEST_GROWTH * size + _SMALL or rows > size + _FEW_ROWS:
        found = f"{rows} rows of {unpacked} bytes in a file of {size}"
        raise bad(name, rule, found, "Write the file again.")
    try:
        with limited_memory(_MEMORY + _LARGEST_GROWTH * size):
            yield
    except MemoryError:
        raise bad(name, rule, f"{size} bytes that fill the memory", "Write it again.") from None


def check_cells(rows: Rows, name: str) -> None:
    """Refuse texts that are longer than a line of a text file may be.

    Args:
        rows: The rows.
        name: Their file or source, for messages.

    Raises:
        BadInput: The first such cell, by its row and column.
    """
    for number, row in enumerate(rows, 1):
        for column, value in row.items():
            if _is_long(value):
                rule = f"'{column}' has at most {LONGEST} characters"
                raise bad(f"{name}: row {number}", rule, "more", "Remove the row.")


def _is_long(value: object) -> bool:
    if isinstance(value, str | bytes):
        return len(value) > LONGEST
    if isinstance(value, dict):
        return any(map(_is_long, value.values()))
    return isinstance(value, list) and any(map(_is_long, value))


def named(rows: Rows, names: dict[str, list[str]], name: str) -> Rows:
    """Replace class numbers by their names; −1 stands for a row without a label."""
    for number, row in enumerate(rows, 1):
        for column, known in names.items():
            value = row.get(column)
            if not isinstance(value, int):
                continue
            if value >= len(known):
                rule = f"'{column}' must be a class below {len(known)}"
                raise bad(f"{name}: row {number}", rule, value)
            row[column] = known[value] if value >= 0 else None
    return rows
