"""Random weights in the on-disk layout of published models, written tensor by tensor.

Nothing but one block of random numbers is ever in memory (67 MB in bf16, 134 MB in fp32). Every
tensor reads that block from its own offset and wraps around; the block's length is a prime, so
that no two rows of a matrix are equal. Norms are ones. The safetensors header is written by hand:
the library's writers want all tensors of a file at once.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from tarazu.models.cards import find_card
from tarazu.testing.tiny import TinyKind, tiny_tokenizer

Note = Callable[[str], None]

BLOCK = 33_554_393  # the largest prime below 2**25
DEVIATION = 0.02  # `initializer_range` of both models
_STEP = 7_368_787  # numbers between the offsets of two tensors, prime, too
_MARKER = "whole.json"
_VERSION = 1  # of what is written: a marker of another version makes the model anew
_NAMES = {torch.bfloat16: "BF16", torch.float32: "F32", torch.int64: "I64"}
_MULTIPLE = 8  # safetensors aligns the data behind its header to so many bytes


@dataclass(frozen=True)
class Layout:
    """A published model's files.

    Attributes:
        card: Id of the built-in card that holds its configuration.
        kind: Of the tiny tokenizer that goes with it.
        dtype: Of its floating-point weights.
        shard: Bytes that one file may have; None writes one file.
        tiny: What the configuration has in miniature.
        tiny_shard: As `shard`, in miniature.
    """

    card: str
    kind: TinyKind
    dtype: torch.dtype
    shard: int | None
    tiny: Mapping[str, int]
    tiny_shard: int | None


LAYOUTS = {
    "llama": Layout(
        "meta-llama/Meta-Llama-3-8B",
        "llama",
        torch.bfloat16,
        shard=5_000_000_000,
        tiny={
            "hidden_size": 64,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 128,
            "vocab_size": 2048,
        },
        tiny_shard=265_000,
    ),
    "roberta": Layout(
        "FacebookAI/roberta-large",
        "roberta",
        torch.float32,
        shard=None,
        # As many layers as the large one: an entry of the study names a layer by number.
        tiny={
            "hidden_size": 32,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "vocab_size": 2048,
        },
        tiny_shard=None,
    ),
}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        name: Its name there.
        shape: Its shape.
        dtype: Its type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        return torch.Size(self.shape).numel()

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.numbers * self.dtype.itemsize


def config_of(layout: Layout, *, tiny: bool) -> Any:
    """Return the configuration, with the special tokens of the tokenizer that goes with it.

    Args:
        layout: The model.
        tiny: In miniature.
    """
    card = find_card(layout.card)
    assert card is not None
    tokenizer = tiny_tokenizer(layout.kind)
    special = {
        name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    changed = {**card.config, **special, **(layout.tiny if tiny else {})}
    return AutoConfig.for_model(**changed, dtype=layout.dtype)


def tensors_of(layout: Layout, *, tiny: bool) -> list[Tensor]:
    """Return the tensors that the published files have, in the order of the layers.

    Tied weights stand in a file once. RoBERTa's has its language-model head, no pooler, and the
    positions' numbers, which older versions of transformers kept with the weights.

    Args:
        layout: The model.
        tiny: In miniature.
    """
    config = config_of(layout, tiny=tiny)
    encoder = config.model_type == "roberta"
    auto = AutoModelForMaskedLM if encoder else AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(config)
    found = [
        Tensor(name, tuple(parameter.shape), layout.dtype)
        for name, parameter in model.named_parameters()
    ]
    if encoder:
        positions = (1, config.max_position_embeddings)
        found.append(Tensor("roberta.embeddings.position_ids", positions, torch.int64))
    return found


def shards_of(tensors: Sequence[Tensor], most: int | None) -> dict[str, list[Tensor]]:
    """Return the tensors of every file by its name, cut in order as transformers cuts them.

    Args:
        tensors: All tensors.
        most: Bytes of one file; None for one file.
    """
    parts: list[list[Tensor]] = [[]]
    for tensor in tensors:
        held = sum(other.bytes for other in parts[-1])
        if most is not None and parts[-1] and held + tensor.bytes > most:
            parts.append([])
        parts[-1].append(tensor)
    if len(parts) == 1:
        return {"model.safetensors": parts[0]}
    return {
        f"model-{number:05d}-of-{len(parts):05d}.safetensors": part
        for number, part in enumerate(parts, 1)
    }


def size_of(name: str, *, tiny: bool) -> int:
    """Return the bytes that a model's weights take on disk.

    Args:
        name: Key of `LAYOUTS`.
        tiny: In miniature.
    """
    return sum(tensor.bytes for tensor in tensors_of(LAYOUTS[name], tiny=tiny))


def is_made(folder: Path, name: str, *, tiny: bool) -> bool:
    """Say whether a model lies in a folder, whole and as it is written today."""
    try:
        made = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(made == _marker(name, tiny=tiny))


def _marker(name: str, *, tiny: bool) -> dict[str, Any]:
    return {"layout": name, "tiny": tiny, "version": _VERSION}


def make_model(name: str, folder: Path, *, tiny: bool, note: Note) -> Path:
    """Write a model into a folder, unless it lies there already.

    Args:
        name: Key of `LAYOUTS`.
        folder: Its folder; what else was there goes.
        tiny: In miniature.
        note: Hears of every file.

    Returns:
        The folder.
    """
    if is_made(folder, name, tiny=tiny):
        return folder
    layout = LAYOUTS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = config_of(layout, tiny=tiny)
    config.architectures = ["RobertaForMaskedLM" if name == "roberta" else "LlamaForCausalLM"]
    config.save_pretrained(folder)
    tiny_tokenizer(layout.kind).save_pretrained(folder)
    tensors = tensors_of(layout, tiny=tiny)
    shards = shards_of(tensors, layout.tiny_shard if tiny else layout.shard)
    offsets = {one.name: (place * _STEP) % BLOCK for place, one in enumerate(tensors)}
    block = random_block(layout.dtype)
    for file, part in shards.items():
        write_file(folder / file, part, block, offsets)
        note(f"{name}: {file}, {len(part)} tensors, {sum(one.bytes for one in part) / 1e6:,.1f} MB")
    if len(shards) > 1:
        _write_index(folder, shards)
    (folder / _MARKER).write_text(json.dumps(_marker(name, tiny=tiny)), encoding="utf-8")
    return folder


def _write_index(folder: Path, shards: Mapping[str, Sequence[Tensor]]) -> None:
    index = {
        "metadata": {"total_size": sum(one.bytes for part in shards.values() for one in part)},
        "weight_map": {one.name: file for file, part in shards.items() for one in part},
    }
    text = json.dumps(index, indent=2) + "\n"
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def random_block(dtype: torch.dtype) -> memoryview:
    """Return the bytes of `BLOCK` small normal numbers, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.empty(BLOCK).normal_(std=DEVIATION, generator=generator).to(dtype)
    return as_bytes(numbers)


def as_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a contiguous tensor as they stand in memory."""
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


def write_file(
    file: Path, tensors: Sequence[Tensor], block: memoryview, offsets: Mapping[str, int]
) -> None:
    """Write one safetensors file, a piece of the block at a time.

    Args:
        file: Where; it has its name only when it is whole.
        tensors: What stands in it.
        block: As of `random_block`.
        offsets: Where in the block each tensor begins, in numbers.
    """
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        stream.write(_header(tensors))
        for tensor in tensors:
            _write_tensor(stream, tensor, block, offsets[tensor.name])
    partial.replace(file)


def _header(tensors: Sequence[Tensor]) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        begin, end = end, end + tensor.bytes
        entries[tensor.name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _MULTIPLE)
    return struct.pack("<Q", len(text)) + text


def _write_tensor(stream: BinaryIO, tensor: Tensor, block: memoryview, offset: int) -> None:
    if tensor.dtype == torch.int64:
        stream.write(as_bytes(torch.arange(tensor.numbers)))
    elif tensor.name.lower().endswith(("norm.weight", "layernorm.weight")):
        stream.write(as_bytes(torch.ones(tensor.numbers, dtype=tensor.dtype)))
    else:
        for piece in pieces(block, offset * tensor.dtype.itemsize, tensor.bytes):
            stream.write(piece)


def pieces(block: memoryview, start: int, length: int) -> Iterator[memoryview]:
    """Yield `length` bytes of a block from `start` on, round and round."""
    while length:
        piece = block[start : start + length]
        yield piece
        length -= len(piece)
        start = 0
