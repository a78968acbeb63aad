"""Inputs that are sound but for one value at most: they reach the checks behind the first ones.

Bytes that are bent at random rarely get past a parser. Here everything parses: sizes, counts and
offsets agree, names are known, rows have their columns. In up to half of the inputs one value is
wrong.
"""

from __future__ import annotations

import copy
import json
import struct
from typing import Any

from hypothesis import strategies as st

EXTREME = (0, 1, 2, 7, 255, 256, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)

# Where in a study, values that its reader takes (others may refuse them later), and values that it
# does not.
PLACES: list[tuple[tuple[str, ...], list[Any], list[Any]]] = [
    (("study",), ["a", "0-b", "x" * 64], ["", "A", "a/b", "-a", "x" * 65, 1]),
    (("task",), [{"family": "nli"}, "corpus-nli", {"family": "qa"}, "squad",
      {"family": "classification", "labels": ["a", "b"]}],
     [{"family": "no"}, {"family": "nli", "labels": ["a"]}, "no", {}, [], {"family": ["nli"]}]),
    (("task", "language"), ["fa", "deu"], ["", "English", 1, "../x"]),
    (("task", "columns"), [{"label": "l"}, {"id": "a b", "genre": "ژانر"}], [{"x": "y"}, [], 1]),
    (("data", "train"), ["*.csv", "hf:a/b:c", "corpus:nli", "../x.jsonl", ""], [1, None, []]),
    (("data", "test"), ["t.csv", {"a": "b.csv", "c": "d.csv"}], [{}, {"train": "x"}, 1, [""]]),
    (("data", "validation"), ["v.csv", {"rows": 1}], [{"rows": 0}, {"from": "test"}, 0]),
    (("data", "sample"), [{}, {"train": [1, 2]}, {"test": 1.0}],
     [{"train": []}, {"train": [1, 1]}, {"test": 1.5}, {"train": -1}, {"train": 1e400}]),
    (("data", "leakage"), ["drop", "refuse"], ["no", True, None]),
    (("data", "near_duplicates"), [None, 0.5, 1], [0, 1.1, float("nan"), "x"]),
    (("models", "bert", "source"), ["a/b", "a/b@c", "x.gguf", "x.bin", "ftp:x", " "], ["", 1]),
    (("models", "bert", "kind"), ["encoder", "decoder"], ["x", 1]),
    (("models", "m", "sha256"), ["f" * 64], ["f" * 63, "F" * 64, 1]),
    (("training", "epochs"), [1, 10**9, None, 10**400], [0, -1, 1.5, "2", True]),
    (("training", "learning_rate"), [1e-30, 1], [0, -1, float("inf"), "x"]),
    (("training", "warmup"), [0, 0.5], [1, -0.1]),
    (("training", "max_length"), [1, 2**31, 2**70], [0, []]),
    (("methods", "lora", "r"), [1, 64, 10**30], [0, -1, 1.5, "8"]),
    (("methods", "lora", "dropout"), [0, 0.9], [1, -1, "x"]),
    (("methods", "lora", "model"), ["bert", ["bert"]], ["no", [], 1, ["bert", "bert"]]),
    (("methods", "own", "layers"), [[0], [0, 2], []], [[-1], ["x"], 1]),
    (("methods", "new"), [{"method": "tfidf"}, {"method": "last-k", "model": "m"}],
     [{"method": "no"}, {}, None, [], {"method": "tfidf", "no": 1}]),
    (("seeds",), [[0], [2**31, 5], [1, 2, 3], [-1]], [[], [0, 0], [0.5], 1, ["x"]]),
    (("tuning",), [{"trials": 1000}, {"seconds": 1}],
     [{}, {"trials": 0}, {"trials": 1, "seed": 0}]),
    (("compute", "threads"), [1, 1000], [0, -1, "x"]),
    (("compute", "trunk_memory"), [0, 2**40], [-1, 0.5]),
    (("report", "languages"), [["fa"], []], [["de"], "en", [1]]),
    (("report", "currency"), ["EUR"], ["eur", "EURO", 1]),
    (("comparison",), [{"margin": 0.5}], [{"margin": 0}, {"margin": 1}, {"no": 1}]),
]  # fmt: skip


def _put(study: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        inner = study.get(key)
        if not isinstance(inner, dict):
            return  # another change took the place away
        study = inner
    study[path[-1]] = value


@st.composite
def study(draw: st.DrawFn, sound: dict[str, Any]) -> bytes:
    """Return study files with other settings, in one of three ways of writing YAML."""
    made = copy.deepcopy(sound)
    for place in draw(st.lists(st.integers(0, len(PLACES) - 1), max_size=3, unique=True)):
        path, allowed, _ = PLACES[place]
        _put(made, path, copy.deepcopy(draw(st.sampled_from(allowed))))
    if draw(st.integers(0, 2)) == 0:
        path, _, wrong = draw(st.sampled_from(PLACES))
        _put(made, path, copy.deepcopy(draw(st.sampled_from(wrong))))
    how = draw(st.sampled_from(["json", "lines", "indented"]))
    if how == "lines":
        return "".join(f"{key}: {json.dumps(value)}\n" for key, value in made.items()).encode()
    return json.dumps(made, indent=2 if how == "indented" else None, ensure_ascii=False).encode()


LABELS = ("entailment", "neutral", "contradiction")
# No control characters but those that text has, no surrogates: what a person could have written.
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
ODD = st.sampled_from(["", " ", "\t", "a\nb", '"', '""', "'", ",", "a\u202eb", "\ufeff", "=1+1",
                       "x" * 500, "\u2028", "‌", "\x1b[2J", "a\0b", "NA", "-1", "−"])  # fmt: skip


@st.composite
def rows(draw: st.DrawFn, *, flat: bool) -> list[dict[str, Any]]:
    """Return rows of pairs of texts; in half of the cases one cell is not as it should be.

    Args:
        draw: Of hypothesis.
        flat: Every cell is a text, as in csv and tsv.
    """
    count = draw(st.integers(2, 8))
    optional = draw(st.sets(st.sampled_from(["id", "genre", "other"])))
    made: list[dict[str, Any]] = []
    for number in range(count):
        row: dict[str, Any] = {
            "premise": f"{number} {draw(TEXTS)}", "hypothesis": f"h {draw(TEXTS)}",
            "label": LABELS[number % 3] if number < 2 else draw(st.sampled_from(LABELS)),
        }  # fmt: skip
        more = {"id": f"i{number}", "genre": draw(TEXTS), "other": "o"}
        made.append({**row, **{name: more[name] for name in more if name in optional}})
    if draw(st.booleans()):
        row = made[draw(st.integers(0, count - 1))]
        column = draw(st.sampled_from(sorted(row)))
        odd: list[st.SearchStrategy[Any]] = [ODD]
        if not flat:
            odd += [st.none(), st.integers(), st.floats(), st.lists(TEXTS, max_size=2),
                    st.dictionaries(TEXTS, TEXTS, max_size=2)]  # fmt: skip
        row[column] = draw(st.one_of(odd))
    return made


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


# Types of values in GGUF: the format of `struct` of each that is a number.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
            12: "d"}  # fmt: skip
_KINDS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34), 26: (1, 4)}  # values and bytes of a block


@st.composite
def gguf(draw: st.DrawFn) -> bytes:
    """Return GGUF files of a few entries and tensors; in half of them one number is another one."""
    numbers: list[tuple[str, int]] = []  # every count, length, size and place, with its format

    def number(form: str, value: int) -> bytes:
        numbers.append((form, value))
        if len(numbers) - 1 == wrong:
            most = (1 << 8 * struct.calcsize(form)) - 1
            value = draw(st.sampled_from([e for e in EXTREME if e <= most]))
        return struct.pack(f"<{form}", value)

    def string(text: bytes) -> bytes:
        return number("Q", len(text)) + text

    def entry(index: int) -> bytes:
        name = string(f"key.{index}".encode())
        kind = draw(st.sampled_from([*_NUMBERS, 8, 9]))
        if kind == 8:
            return name + number("I", 8) + string(draw(TEXTS).encode())
        if kind == 9:
            inner, count = draw(st.sampled_from([*_NUMBERS, 8])), draw(st.integers(0, 5))
            one = string(b"ab") if inner == 8 else struct.pack(f"<{_NUMBERS[inner]}", 1)
            return name + number("I", 9) + number("I", inner) + number("Q", count) + one * count
        return name + number("I", kind) + struct.pack(f"<{_NUMBERS[kind]}", 1)

    wrong = draw(st.integers(0, 40)) if draw(st.booleans()) else -1
    alignment = draw(st.sampled_from([8, 16, 32, 64, 1024]))
    count, tensors = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    head = b"GGUF" + number("I", draw(st.sampled_from([2, 3])))
    head += number("Q", tensors) + number("Q", count + 2)
    head += string(b"general.architecture") + number("I", 8) + string(b"llama")
    head += string(b"general.alignment") + number("I", 4) + number("I", alignment)
    head += b"".join(entry(index) for index in range(count))
    place = 0
    for index in range(tensors):
        kind = draw(st.sampled_from(sorted(_KINDS)))
        values, size = _KINDS[kind]
        shape = [values * draw(st.integers(1, 3))]
        shape += draw(st.lists(st.integers(1, 3), max_size=3))
        head += string(f"blk.{index}.w".encode()) + number("I", len(shape))
        head += b"".join(number("Q", one) for one in shape)
        head += number("I", kind) + number("Q", place)
        weights = 1
        for one in shape:
            weights *= one
        place += -(-weights // values * size // alignment) * alignment
    return head + bytes(-len(head) % alignment) + bytes(place)


_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "BOOL": 1, "F64": 8}


@st.composite
def safetensors(draw: st.DrawFn) -> bytes:
    """Return safetensors files of a few tensors; in half of them one value is another one."""
    header: dict[str, Any] = {}
    place = 0
    if draw(st.booleans()):
        header["__metadata__"] = {"format": "pt", draw(TEXTS): draw(TEXTS)}
    for index in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(sorted(_BYTES)))
        shape = draw(st.lists(st.integers(0, 4), max_size=4))
        size = _BYTES[kind]
        for one in shape:
            size *= one
        header[f"layer.{index}.{draw(TEXTS)}"] = {
            "dtype": kind, "shape": shape, "data_offsets": [place, place + size],
        }  # fmt: skip
        place += size
    names = [name for name in header if name != "__metadata__"]
    if names and draw(st.booleans()):
        one = header[draw(st.sampled_from(names))]
        key = draw(st.sampled_from(sorted(one)))
        one[key] = draw(
            st.one_of(
                st.lists(st.sampled_from([*EXTREME, -1]), max_size=3),
                st.sampled_from(["F32", "F4", "no", None, 0, [0.5, 1], [True, 4], [[0], 4]]),
            )
        )
    text = json.dumps(header, ensure_ascii=draw(st.booleans())).encode()
    text += b" " * draw(st.integers(0, 7))
    return struct.pack("<Q", len(text)) + text + bytes(place)
