"""Headers of weights: what they announce is checked before anything is allocated."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tarazu.errors import BadInput
from tarazu.models import gguf_header
from tarazu.models.gguf_header import check_header
from tarazu.models.safetensors_header import MAX_HEADER, check_safetensors
from tarazu.models.source import fetch
from tarazu.record.spec import ModelSpec

WHERE = "models.m.source"


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def entry(name: bytes, kind: int, value: bytes) -> bytes:
    return string(name) + struct.pack("<I", kind) + value


def tensor(name: bytes, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + sizes + struct.pack("<IQ", kind, offset)


ARCHITECTURE = entry(b"general.architecture", 8, string(b"llama"))


def gguf(entries: list[bytes], tensors: list[bytes], data: int = 64) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries))
    head += b"".join(entries) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + bytes(data)


def refused_gguf(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(BadInput) as error:
        check_header(path, WHERE)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert str(error.value).startswith(f"{WHERE}: x.gguf must hold what its header announces")
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        (b"llama.block_count", 1_000),
        (b"llama.expert_count", 1 << 15),
        (b"llama.attention.head_count_kv", 1 << 20),
        (b"qwen2.context_length", 1 << 24),
        (b"llama.vocab_size", 1 << 28),
    ],
)
@pytest.mark.parametrize(("kind", "form"), [(4, "<I"), (10, "<Q"), (11, "<q")])
def test_sizes_that_no_model_has_are_refused(
    tmp_path: Path, name: bytes, most: int, kind: int, form: str
) -> None:
    def made(value: int) -> bytes:
        return gguf(
            [ARCHITECTURE, entry(name, kind, struct.pack(form, value))], [tensor(b"w", (2,))]
        )

    assert f"'{name.decode()}' of {most + 1} (at most {most})" in refused_gguf(
        tmp_path, made(most + 1)
    )
    (tmp_path / "y.gguf").write_bytes(made(most))
    assert check_header(tmp_path / "y.gguf", WHERE).total() == 2


def test_sound_headers_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    array = entry(b"a", 9, struct.pack("<IQ", 8, 2) + string(b"x") + string(b""))
    tensors = [tensor(b"w", (4, 4)), tensor(b"s", (), 1, 64)]
    path.write_bytes(gguf([ARCHITECTURE, array], tensors, 96))
    assert check_header(path, WHERE) == {"F32": 16, "F16": 1}
    path.write_bytes(gguf([], [tensor(b"q", (64,), 8)], 68))  # two blocks of Q8_0
    assert check_header(path, WHERE) == {"Q8_0": 64}
    save_file({"w": torch.zeros(2, 3), "s": torch.tensor(1)}, tmp_path / "m.safetensors")
    check_safetensors(tmp_path / "m.safetensors", WHERE)


@pytest.mark.parametrize(
    ("entries", "tensors", "found"),
    [
        ([struct.pack("<Q", 1 << 63) + bytes(40)], [], "an entry's name of 9223372036854775808"),
        ([entry(b"a", 8, struct.pack("<Q", 1 << 40))], [], "value of 'a' of 1099511627776 bytes"),
        ([entry(b"a", 9, struct.pack("<IQ", 0, 1 << 62))], [], "4611686018427387904 values"),
        ([entry(b"a", 9, struct.pack("<IQ", 10, 1 << 20))], [], "8388608 bytes"),
        ([entry(b"a", 9, struct.pack("<IQ", 9, 5) + bytes(60))], [], "an array of the type 9"),
        ([entry(b"a", 77, bytes(8))], [], "unknown type 77"),
        ([entry(b"a", 0, b"x"), entry(b"a", 0, b"x")], [], "name 'a' twice"),
        ([entry(b"\xff", 0, b"x")], [], "not UTF-8"),
        ([entry(b"general.alignment", 4, struct.pack("<I", 3))], [], "no power of two"),
        ([entry(b"general.alignment", 4, struct.pack("<I", 0))], [], "no power of two"),
        ([], [tensor(b"w", (1 << 40,))], "of 4398046511104 bytes at 0 of 64"),
        ([], [tensor(b"w", (1 << 32, 1 << 32))], "bytes at 0 of 64"),  # 2^64 elements: 0 in 64 bits
        ([], [tensor(b"w", (1 << 63, 2))], "bytes at 0 of 64"),
        ([], [tensor(b"w", (0,))], "of the shape"),
        ([], [tensor(b"w", (4,), 0, 1 << 60)], "at 1152921504606846976"),
        ([], [tensor(b"w", (4,), 0, 4)], "no multiple of 32"),
        ([], [tensor(b"w", (4,), 8)], "blocks of 32"),
        ([], [tensor(b"w", (), 8)], "blocks of 32"),  # of one value, and no block of none
        ([], [tensor(b"w", (4,), 200)], "unknown type 200"),
        ([], [tensor(b"w", (1,) * 5)], "5 dimensions"),
        ([], [tensor(b"w", (4,)), tensor(b"w", (4,), 0, 32)], "name 'w' twice"),
        ([ARCHITECTURE], [], "no tensors"),
        ([], [tensor(b"w", (4,)), tensor(b"v", (4,))], "'w' at 0, inside of another tensor"),
        ([], [tensor(b"w", (4,), 0, 32), tensor(b"v", (12,))], "'w' at 32, inside of another"),
        ([entry(b"general.alignment", 8, string(b"x"))], [], "alignment of the type 8"),
    ],
)
def test_absurd_gguf_headers_are_refused(
    tmp_path: Path, entries: list[bytes], tensors: list[bytes], found: str
) -> None:
    assert found in refused_gguf(tmp_path, gguf(entries, tensors))


def test_more_than_a_model_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_header, "MAX_VALUES", 10)
    monkeypatch.setattr(gguf_header, "MAX_TENSORS", 2)
    monkeypatch.setattr(gguf_header, "MAX_NAME", 9)
    many = [entry(name, 9, struct.pack("<IQ", 0, 6) + bytes(6)) for name in (b"a", b"b")]
    assert "12 values in all" in refused_gguf(tmp_path, gguf(many, []))
    tensors = [tensor(bytes([65 + i]), (1,)) for i in range(3)]
    assert "3 tensors and 0 entries" in refused_gguf(tmp_path, gguf([], tensors))
    monkeypatch.setattr(gguf_header, "MAX_METADATA", 99)
    several = [entry(bytes([65 + i]), 8, string(b"x" * 30)) for i in range(3)]
    assert "metadata of more than 99 bytes" in refused_gguf(tmp_path, gguf(several, []))
    assert "name of 10 bytes" in refused_gguf(tmp_path, gguf([], [tensor(b"x" * 10, (1,))]))


def test_a_long_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    long = gguf_header.MAX_STRING + 1
    for name in (b"a", b"general.alignment"):
        start = entry(name, 8, struct.pack("<Q", long))
        content = refused_gguf(tmp_path, gguf([start], [], long + 64))
        assert f"of {long} bytes" in content


def test_a_real_vocabulary_is_read_in_a_moment(tmp_path: Path) -> None:
    """Gemma's has 262,144 tokens; a tenth of it here, in well under a tenth of five seconds."""
    count = 26_214
    texts = entry(b"t", 9, struct.pack("<IQ", 8, count) + string("▁word".encode()) * count)
    scores = entry(b"s", 9, struct.pack("<IQ", 6, count) + bytes(4 * count))
    (tmp_path / "x.gguf").write_bytes(gguf([ARCHITECTURE, texts, scores], [tensor(b"w", (4,))]))
    begun = time.process_time()
    check_header(tmp_path / "x.gguf", WHERE)
    assert time.process_time() - begun < 0.4


def weights(header: Any, data: int = 16) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def one(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **changes}}


ABSURD = {
    "header longer than the file": (struct.pack("<Q", 1 << 62) + bytes(16), "4611686018427387904"),
    "header cut": (b"\x01\x02", "in a file of 2"),
    "no JSON": (weights(b"{]"), "no JSON"),
    "deep": (weights(b"[" * 100_000), "no JSON"),
    "no object": (weights([1]), "no JSON object"),
    "twice": (weights(b'{"w": 1, "w": 2}'), "twice"),
    "type": (weights(one(dtype="F99")), "unknown type F99"),
    "type that is no text": (weights(one(dtype=[])), "unknown type"),
    "negative": (weights(one(shape=[-2, -2])), "no list of whole numbers"),
    "not whole": (weights(one(shape=[2.0, True])), "no list of whole numbers"),
    "huge": (weights(one(shape=[1 << 62, 4])), "'w' of 73786976294838206464 bytes in 16"),
    "product that overflows": (weights(one(shape=[1 << 32, 1 << 32])), "bytes in 16"),
    "beyond the file": (weights(one(shape=[8], data_offsets=[0, 32])), "32 bytes and data of 16"),
    "backwards": (weights(one(data_offsets=[16, 0])), "in -16"),
    "gap": (weights(one(shape=[2], data_offsets=[8, 16])), "at byte 8 of the data, where 0"),
    "rest": (weights(one(), 24), "16 bytes and data of 24"),
    "overlap": (weights({**one(), "v": one()["w"]}), "where 16 is next"),
    "notes": (weights({"__metadata__": {"a": 1}}, 0), "metadata"),
    "unknown part": (weights(one(more=1)), "without type, shape and place"),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_safetensors_headers_are_refused(tmp_path: Path, name: str) -> None:
    content, found = ABSURD[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"model\.safetensors must be a whole safetensors file") as e:
        check_safetensors(path, WHERE)
    assert found in str(e.value)


def test_a_long_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER + 1))
        file.truncate(MAX_HEADER + 100)
    tracemalloc.start()
    with pytest.raises(BadInput, match=f"a header of {MAX_HEADER + 1} bytes"):
        check_safetensors(path, WHERE)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def folder_with(tmp_path: Path, name: str, content: bytes) -> str:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gpt2", "n_embd": 8, "n_layer": 2}')
    (folder / "tokenizer.json").write_text("{}")
    save_file({"w": torch.zeros(1)}, folder / "model.safetensors")
    (folder / name).write_bytes(content)
    with pytest.raises(BadInput) as error:
        fetch(ModelSpec(source="./mine"), "m", base=tmp_path, note=print)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("model.safetensors", weights(one(), 3), "model.safetensors must be a whole"),
        ("model-2.safetensors", b"", "model-2.safetensors must be a whole"),
        ("model.safetensors.index.json", b"[]", "a readable model.safetensors.index.json"),
        ("model.safetensors.index.json", b'{"weight_map": {"w": "../x.safetensors"}}', "../x"),
        ("config.json", b"[1]", "no JSON object but a list"),
        ("config.json", b"[" * 200_000, "a readable config.json"),
    ],
)
def test_a_damaged_folder_is_refused_before_anything_runs(
    tmp_path: Path, name: str, content: bytes, found: str
) -> None:
    assert found in folder_with(tmp_path, name, content)
