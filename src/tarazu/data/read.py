"""Reading rows: csv, tsv, jsonl and parquet files, the Hub, and the text that ships with tarazu.

A row is a mapping from column to value. What cannot be read is named by file and line; nothing is
skipped. Class numbers become their names wherever the data say what they are (T16).
"""

from __future__ import annotations

import csv
import glob
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from tarazu.data.corpus_source import corpus_file
from tarazu.data.hub import hub_rows
from tarazu.data.plausible import LONGEST, Rows, check_cells, named, plausible
from tarazu.errors import bad, did_you_mean

_REWRITE = "Mend this line, or convert the file to jsonl or parquet."


def read_rows(source: str, *, base: Path, where: str) -> Rows:
    """Read all rows of a source.

    Args:
        source: A path or glob of csv, tsv, jsonl or parquet files,
            ``hf:ORG/NAME[/CONFIG][@REV]:SPLIT``, or ``corpus:NAME``.
        base: Folder to which paths are relative.
        where: Place of the source in the study, for messages.

    Returns:
        The rows in order; the files of a glob are read in the order of their names.

    Raises:
        BadInput: The source does not exist, is empty, or cannot be read.
    """
    if source.startswith("corpus:"):
        file = corpus_file(source.removeprefix("corpus:"), where=where)
        with file.open("rb") as stream:
            return _some(list(_jsonl(stream, source)), source, where)
    if source.startswith("hf:"):
        return _some(hub_rows(source, where), source, where)
    rows: Rows = []
    columns: dict[str, object] = {}
    for path in _paths(source, base, where):
        read = _some(_file(path, where), str(path), where)
        columns = columns or dict.fromkeys(read[0])
        if set(columns) != set(read[0]) and path.suffix.lower() != ".jsonl":
            rule = "all files of one source must have the same columns"
            raise bad(str(path), rule, ", ".join(read[0]), f"Expected: {', '.join(columns)}.")
        rows += read
    return rows


def _some(rows: Rows, source: str, where: str) -> Rows:
    if not rows:
        raise bad(where, "a source must hold at least one row", f"'{source}' without any")
    return rows


def _paths(source: str, base: Path, where: str) -> list[Path]:
    path = base / source
    if path.is_file():
        return [path]
    if path.is_dir():
        remedy = f"Name a file, or a glob such as '{source.rstrip('/')}/*.parquet'."
        raise bad(where, "a source must be a file", f"the folder '{source}'", remedy)
    if any(sign in source for sign in "*?["):
        found = [base / name for name in glob.glob(source, root_dir=base, recursive=True)]
        files = sorted(path for path in found if path.is_file())
        if not files:
            raise bad(where, "a glob must match at least one file", f"'{source}'", _near(path))
        return files
    raise bad(where, "the file must exist", f"'{source}'", _near(path))


def _near(path: Path) -> str:
    """Say which files stand where a missing one was looked for."""
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    if folder != path.parent:
        return f"There is no folder '{path.parent}'."
    names = [p.name for p in folder.iterdir() if p.suffix.lower() in _READERS]
    if not names:
        return f"There is no data file in '{folder}'."
    return did_you_mean(path.name, names)


def _file(path: Path, where: str) -> Rows:
    read = _READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(_READERS)
        raise bad(where, f"the file's suffix must be one of {known}", f"'{path.name}'")
    try:
        if path.stat().st_size == 0:
            return []
        with path.open("rb") as stream:
            return list(read(stream, str(path)))
    except OSError as error:
        raise bad(str(path), "the file must be readable", error.strerror or error) from None


def _lines(stream: IO[bytes], name: str) -> Iterator[str]:
    """Yield the lines of a text file; what is not text in UTF-8 is named by its line."""
    for number, raw in enumerate(iter(lambda: stream.readline(LONGEST + 1), b""), 1):
        if len(raw) > LONGEST:
            raise bad(f"{name}:{number}", f"a line has at most {LONGEST} bytes", "more", _REWRITE)
        if b"\0" in raw:
            raise bad(f"{name}:{number}", "a text file has no NUL bytes", "one", _REWRITE)
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            found = f"byte 0x{raw[error.start]:02x} at position {error.start} of the line"
            raise bad(f"{name}:{number}", "must be UTF-8", found, "Convert the file.") from None


def _jsonl(stream: IO[bytes], name: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(_lines(stream, name), 1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            row = json.loads(line)
            if "\\u" in line:
                json.dumps(row, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            rule = "text must be Unicode"
            raise bad(where, rule, "half of a surrogate pair", _REWRITE) from None
        except (ValueError, RecursionError) as error:
            raise bad(where, "every line must be one JSON object", error, _REWRITE) from None
        if not isinstance(row, dict):
            raise bad(where, "every line must be one JSON object", type(row).__name__, _REWRITE)
        yield row


def _csv(stream: IO[bytes], name: str) -> Iterator[dict[str, object]]:
    csv.field_size_limit(LONGEST)
    reader = csv.reader(_lines(stream, name), strict=True)

    def numbered() -> Iterator[tuple[int, list[str]]]:
        while True:
            start = reader.line_num + 1
            try:
                yield start, next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise bad(f"{name}:{start}", "must be a CSV row", error, _REWRITE) from None

    return _table(numbered(), name)


def _tsv(stream: IO[bytes], name: str) -> Iterator[dict[str, object]]:
    """Read one row per line. Quotes are part of the text unless they enclose a whole cell.

    Published files of this kind hold stray quotes, which a CSV reader would take for the start of a
    cell over many lines.
    """
    lines = enumerate(_lines(stream, name), 1)
    cells = ((n, [_unquoted(c) for c in line.rstrip("\r\n").split("\t")]) for n, line in lines)
    return _table(((n, [] if row == [""] else row) for n, row in cells), name)


def _unquoted(cell: str) -> str:
    inner = cell[1:-1].replace('""', "")
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner
    return cell[1:-1].replace('""', '"') if quoted else cell


def _table(rows: Iterable[tuple[int, list[str]]], name: str) -> Iterator[dict[str, object]]:
    """Turn a header and cells into rows; empty lines are no rows."""
    header: list[str] = []
    for number, cells in rows:
        if not cells:
            continue
        if not header:
            header = cells
            if len(set(header)) < len(header) or not all(cell.strip() for cell in header):
                rule = "the first line must name every column, each differently"
                raise bad(f"{name}:{number}", rule, ", ".join(map(repr, header)))
        elif len(cells) != len(header):
            rule = f"a row must have {len(header)} cells like the header"
            raise bad(f"{name}:{number}", rule, len(cells), _REWRITE)
        else:
            yield dict(zip(header, cells, strict=True))


def _parquet(stream: IO[bytes], name: str) -> Iterator[dict[str, object]]:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    try:
        file = pq.ParquetFile(stream)
        groups = (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
        unpacked = sum(group.total_byte_size for group in groups)
        with plausible(name, rows=file.metadata.num_rows, unpacked=unpacked, size=size):
            table = file.read(use_threads=False)
            _check_columns(table, name)
            rows = _as_rows(table, name)
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise bad(name, "must be a readable Parquet file", first, "Fetch it again.") from None
    check_cells(rows, name)
    return iter(named(rows, _class_names(table.schema.metadata or {}), name))


def _check_columns(table: pa.Table, name: str) -> None:
    if len(set(table.column_names)) < table.num_columns:
        found = ", ".join(map(repr, table.column_names))
        raise bad(name, "every column must have a name of its own", found)


def _as_rows(table: pa.Table, name: str) -> Rows:
    """Return a table as rows; text that is no UTF-8 or a date out of range is named by its row."""
    try:
        rows: Rows = table.to_pylist()
    except (ValueError, OverflowError):
        pass
    else:
        return rows
    found: Rows = []
    for number in range(table.num_rows):
        row = {}
        for column in table.column_names:
            try:
                row[column] = table[column][number].as_py()
            except (ValueError, OverflowError) as error:
                where = f"{name}: row {number + 1}"
                raise bad(where, f"'{column}' must be readable", error, _REWRITE) from None
        found.append(row)
    return found


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names behind class numbers that `datasets` stores in a Parquet file."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: list(map(str, feature["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


_READERS: dict[str, Callable[[IO[bytes], str], Iterator[dict[str, object]]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
