"""Inputs that are nearly right: half are sound but for one value at most, half are bent files."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import nearly
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from nearly import EXTREME

STUDY: dict[str, Any] = {
    "version": 1,
    "study": "small",
    "task": {"family": "nli", "columns": {"premise": "premise"}, "language": "en"},
    "data": {
        "train": "train.csv",
        "test": {"a": "test.csv"},
        "validation": {"from": "train", "rows": 2},
        "sample": {"train": 0.5},
        "group_by": "premise",
    },
    "models": {"bert": {"source": "./bert"}, "m": {"source": "pypi:a==1/b", "sha256": "0" * 64}},
    "training": {"epochs": 2, "learning_rate": 1e-3},
    "methods": {
        "majority": {},
        "lora": {"model": ["bert", "m"], "r": 8, "dropout": 0.1},
        "own": {"method": "last-k", "model": "bert", "layers": [0, 1]},
    },
    "seeds": [0, 1],
    "tuning": {"trials": 2},
    "compute": {"device": "cpu", "threads": 1},
    "report": {"languages": ["en", "fa"], "price_per_hour": 1, "currency": "USD"},
}
YAML = [
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
    b"a: &a {<<: *a}\n", b"a: &a [*a]\n", b"<<: {a: 1}\n<<: [1]\n", b"? [a, b]\n: 1\n",
    b"a: !!python/object/apply:os.system [id]\n", b"a: !!binary x\n", b"%YAML 9.9\n---\na\n",
    b"a: 2001-99-99\nb: 0o9\nc: .nan\nd: 1:99:99\n", b"a: |\n x\n>\n", b"--- a\n--- b\n",
    b"[" * 60, b"{a: " * 60, b"- " * 200, b"a: '", b"\t", b"\xef\xbb\xbfversion: 1\n",
]  # fmt: skip
ROWS = [
    {"premise": f'p {i}, "q"', "hypothesis": f"h {i}", "label": label}
    for i, label in enumerate(["entailment", "neutral", "contradiction", "neutral"])
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20),
    st.sampled_from(["", "..", "/etc/passwd", "../x", "hf:a/b:c", "corpus:x", "=1+1", "[", "*"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def bent(draw: st.DrawFn, sound: bytes) -> bytes:
    """Return bytes with a few places changed: removed, doubled, overwritten or inserted."""
    data = bytearray(sound)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(["flip", "cut", "insert", "number", "double", "end"]))
        if how == "flip" and data:
            data[place] = draw(st.integers(0, 255))
        elif how == "cut":
            del data[place : place + draw(st.integers(1, 16))]
        elif how == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=12))
        elif how == "number":
            number = struct.pack("<Q", draw(st.sampled_from(EXTREME)))
            data[place : place + 8] = number[: draw(st.sampled_from([4, 8]))]
        elif how == "double":
            data[place:place] = data[place : place + draw(st.integers(1, 64))]
        else:
            del data[place:]
    return bytes(data)


def bend(draw: st.DrawFn, value: Any) -> Any:
    """Return a nested value with one place replaced, removed or added to."""
    if not isinstance(value, dict | list):
        return value
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys or draw(st.integers(0, 3)) == 0:
        if isinstance(value, dict):
            return {**value, draw(st.text(max_size=8)): draw(VALUES)}
        return draw(VALUES)
    key = draw(st.sampled_from(keys))
    inner = value[key]
    if isinstance(inner, dict | list) and draw(st.booleans()):
        new = bend(draw, inner)
    elif draw(st.integers(0, 4)) == 0 and isinstance(value, dict):
        return {k: v for k, v in value.items() if k != key}
    else:
        new = draw(VALUES)
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[key] = new
    return changed


@st.composite
def studies(draw: st.DrawFn) -> bytes:
    """Return study files."""
    how = draw(st.integers(0, 3))
    if how == 0:
        return draw(bent(draw(st.sampled_from(YAML))))
    study = STUDY
    for _ in range(draw(st.integers(0, 3))):
        study = bend(draw, study)
    text = json.dumps(study).encode()
    return draw(bent(text)) if how == 1 else text


def table(suffix: str, rows: list[dict[str, Any]]) -> bytes:
    """Return rows as a file."""
    if suffix == ".jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if suffix == ".parquet":
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), out)
        return out.getvalue()
    sign = "," if suffix == ".csv" else "\t"
    lines = [list(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    cells = [['"' + c.replace('"', '""') + '"' for c in line] for line in lines]
    return "".join(sign.join(line) + "\n" for line in cells).encode()


@st.composite
def tables(draw: st.DrawFn, suffix: str) -> bytes:
    """Return data files."""
    rows: Any = ROWS
    if suffix == ".jsonl":
        for _ in range(draw(st.integers(0, 2))):
            rows = bend(draw, rows)
        rows = rows if isinstance(rows, list) else [rows]
        sound = "".join(json.dumps(row) + "\n" for row in rows).encode()
    else:
        sound = table(suffix, rows)
    return draw(bent(sound)) if draw(st.integers(0, 2)) else sound


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def gguf() -> bytes:
    """Return a small GGUF file."""
    entries = [
        _string(b"general.architecture") + struct.pack("<I", 8) + _string(b"llama"),
        _string(b"general.alignment") + struct.pack("<II", 4, 32),
        _string(b"tokens") + struct.pack("<IIQ", 9, 8, 2) + _string(b"a") + _string(b"b"),
        _string(b"scores") + struct.pack("<IIQff", 9, 6, 2, 0.5, 1.0),
    ]
    tensors = [
        _string(b"w") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0),
        _string(b"q") + struct.pack("<IQIQ", 1, 32, 8, 32),
    ]
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries))
    head += b"".join(entries) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + bytes(32 + 34)


SAFETENSORS: dict[str, Any] = {
    "__metadata__": {"format": "pt"},
    "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b": {"dtype": "I64", "shape": [1], "data_offsets": [16, 24]},
}


def safetensors(header: Any = SAFETENSORS) -> bytes:
    """Return a small safetensors file, its header as given."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(24)


@st.composite
def weights(draw: st.DrawFn) -> bytes:
    """Return safetensors files."""
    header: Any = SAFETENSORS
    for _ in range(draw(st.integers(0, 2))):
        header = bend(draw, header)
    return draw(bent(safetensors(header))) if draw(st.booleans()) else safetensors(header)


@st.composite
def nearly_tables(draw: st.DrawFn, suffix: str) -> bytes:
    """Return data files of other rows, at most one cell of which is wrong."""
    rows = draw(nearly.rows(flat=suffix in (".csv", ".tsv")))
    if suffix == ".tsv":  # where a tab or the end of a line ends the cell
        rows = [{n: " ".join(str(c).split()) or "-" for n, c in row.items()} for row in rows]
    try:
        return table(suffix, rows)
    except (pa.ArrowException, OverflowError):  # a column has one type
        return table(suffix, [{name: str(cell) for name, cell in row.items()} for row in rows])


@st.composite
def half(draw: st.DrawFn, one: st.SearchStrategy[bytes], two: st.SearchStrategy[bytes]) -> bytes:
    """Return an input of one kind or of the other."""
    return draw(one if draw(st.booleans()) else two)


TABLES = ("csv", "tsv", "jsonl", "parquet")
KINDS: dict[str, st.SearchStrategy[bytes]] = {
    "study": half(nearly.study(STUDY), studies()),
    **{kind: half(nearly_tables(f".{kind}"), tables(f".{kind}")) for kind in TABLES},
    "gguf": half(nearly.gguf(), bent(gguf())),
    "safetensors": half(nearly.safetensors(), weights()),
}
