"""GGUF files: converted once into an ordinary folder of fp32 safetensors, values unchanged.

A block of quantised weights stands for exact fp32 numbers (``scale * integer + offset``). Those are
what is written: nothing is lost beyond what the quantisation had lost already, and everything after
reads one format.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tarazu.errors import BadInput, bad
from tarazu.memory_errors import out_of_memory
from tarazu.models.cache import (
    Note,
    build_once,
    cache_root,
    is_disk_full,
    require_space,
)
from tarazu.models.gguf_header import check_header
from tarazu.models.sealed import write_manifest
from tarazu.record.environment import versions

_RECIPE = 1  # another one where what is written here for the same file changes
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


@dataclass(frozen=True)
class GgufSource:
    """A GGUF file on disk.

    Attributes:
        path: The file.
        sha256: What its checksum must be, when stated.
    """

    path: Path
    sha256: str | None = None


def convert_gguf(path: Path, sha256: str, where: str, note: Note) -> Path:
    """Return a folder with the model of a GGUF file in the layout of transformers.

    Args:
        path: The GGUF file.
        sha256: Its checksum; with what converts it, the key of the cache.
        where: The place in the study file, for messages.
        note: Told when the file is converted.

    Raises:
        BadInput: When the file is damaged or its architecture unknown, or the disk is full.
    """

    def build(folder: Path) -> None:
        counts = check_header(path, where)
        origin = _origin(path.name, counts)
        note(f"converting {path.name} to safetensors ({origin.split(' (')[0]}), once")
        require_space(folder, 4 * sum(counts.values()))
        try:
            _convert(path, folder)
        except BadInput:
            raise
        except Exception as error:
            if is_disk_full(error):
                raise
            if out_of_memory(error):  # no fault of the file
                raise bad(
                    where,
                    f"{path.name} must fit into memory to be converted",
                    error,
                    "End what else runs, or convert it on a machine with more memory.",
                ) from error
            raise bad(
                where, f"{path.name} must be a GGUF file that transformers reads", error
            ) from error
        write_manifest(folder, origin=origin, files={path.name: sha256})

    return build_once(cache_root() / "gguf" / f"{sha256}-{_converter()}", build, note)


def _converter() -> str:
    """Name what decides what is written: other versions may read the same file otherwise."""
    found = versions()
    return f"{_RECIPE}-transformers-{found['transformers']}-gguf-{found['gguf']}"


def _origin(file: str, counts: Counter[str]) -> str:
    name = counts.most_common(1)[0][0]
    return f"{'from' if name in _FLOATS else 'dequantised from'} GGUF {name} ({file})"


def _convert(path: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from tarazu.models.load import limited_parts

    # transformers draws three progress bars here; what takes time was said by `note`.
    with _alone(path) as link, contextlib.redirect_stderr(io.StringIO()):
        with limited_parts(path.name):
            loaded = AutoModelForCausalLM.from_pretrained(
                link.parent,
                gguf_file=link.name,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
            )
        _save_model(loaded, folder)
        _convert_tokenizer(link, folder, loaded.config)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """Give a link to a file in a folder of its own: transformers obeys what lies beside a file."""
    with tempfile.TemporaryDirectory(prefix="tarazu-") as folder:
        link = Path(folder) / path.name
        link.symlink_to(path.absolute())
        yield link


def _save_model(loaded: Any, folder: Path) -> None:
    import torch

    config = loaded.config
    # The loaded model calls itself quantised and would be saved, and reloaded, as such. A fresh one
    # takes over the same tensors without a copy.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.architectures = [type(loaded).__name__]
    with torch.device("meta"):
        fresh = type(loaded)(config)
    fresh.load_state_dict(loaded.state_dict(), assign=True)
    fresh.tie_weights()
    fresh.generation_config = loaded.generation_config
    fresh.save_pretrained(folder, max_shard_size="1TB")


def _convert_tokenizer(path: Path, folder: Path, config: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        path.parent, gguf_file=path.name, local_files_only=True, trust_remote_code=False
    )
    _mend_pre_tokenizer(tokenizer, _string_field(path, "tokenizer.ggml.pre"))
    # The file states the model's length, not the tokenizer's, which then counts as endless.
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    tokenizer.save_pretrained(folder)


def _mend_pre_tokenizer(tokenizer: Any, name: str | None) -> None:
    """Split digits as SmolLM does; transformers reads every BPE of a GGUF as GPT-2's.

    Args:
        tokenizer: The tokenizer that transformers made of the file.
        name: The file's name of the rule that splits text before BPE.
    """
    if name != "smollm":
        return
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )


def _string_field(path: Path, name: str) -> str | None:
    from gguf import GGUFReader

    field = GGUFReader(path).get_field(name)
    return None if field is None else str(field.contents())
