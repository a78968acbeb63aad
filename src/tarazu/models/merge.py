"""Merging LoRA into the base, in two honest ways, always in fp32 before the last cast.

``dequantised``: into the base that the adapter saw while it was trained, the 4-bit weights
dequantised. ``16-bit``: into the published weights, which adds the quantisation error that the
adapter never saw. Which one is better is measured, not assumed (traps T19, T20).

The merged tensors are streamed from the base's files, so that no second model is held in memory.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tarazu.models.learner import Learner
from tarazu.models.load import empty_learner
from tarazu.models.precision import DTYPES

Into = Literal["dequantised", "16-bit"]


def dequantise(weight: Any) -> Tensor:
    """Return a bitsandbytes 4-bit weight as an fp32 matrix [out, in]."""
    import bitsandbytes.functional as bnb

    matrix: Tensor = bnb.dequantize_4bit(weight.data, weight.quant_state).float().cpu()
    return matrix


def _is_quantised(module: Any) -> bool:
    return hasattr(getattr(module, "weight", None), "quant_state")


@dataclass(frozen=True)
class _Change:
    """What becomes of one weight. Nothing is computed before it is asked for.

    Attributes:
        module: The layer that was trained on or beside: a LoRA layer, or one in 4 bits.
        dequantised: Whether its own 4-bit weight is the base, and not the published one.
        transposed: Whether the layer holds the transpose of what is published.
    """

    module: Any
    dequantised: bool
    transposed: bool

    def applied(self, published: Tensor) -> Tensor:
        """Return the merged weight in fp32, in the published layout."""
        base = published
        if self.dequantised:
            base = self._as_published(dequantise(_base_layer(self.module).weight))
        adapters = getattr(self.module, "active_adapters", ())
        merged: Tensor | None = None
        for adapter in adapters:
            delta = self._as_published(self.module.get_delta_weight(adapter).float().cpu())
            # The base is added in place and cast on the way: no second matrix in fp32.
            merged = delta.add_(base if merged is None else merged)
        return base.float() if merged is None else merged

    def _as_published(self, weight: Tensor) -> Tensor:
        return weight.T if self.transposed else weight


def _base_layer(module: Any) -> Any:
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module


def _changes(learner: Learner, into: Into) -> dict[str, _Change]:
    """Map the name of every weight that merging changes to how it changes."""
    from peft.tuners.lora import LoraLayer
    from transformers.pytorch_utils import Conv1D

    published = empty_learner(learner.info, "text", 0).body
    changes: dict[str, _Change] = {}
    for name, module in learner.body.named_modules():
        adapted = isinstance(module, LoraLayer)
        if not adapted and (not _is_quantised(module) or name.endswith(".base_layer")):
            continue
        quantised = _is_quantised(_base_layer(module))
        # GPT-2's Conv1D keeps [in, out]; bitsandbytes holds it as a Linear, [out, in] (trap T28).
        # Square matrices hide the mistake, so the class decides and not the shape.
        transposed = quantised and isinstance(published.get_submodule(name), Conv1D)
        changes[f"{name}.weight"] = _Change(
            module, dequantised=quantised and into == "dequantised", transposed=transposed
        )
    return changes


@torch.no_grad()
def merge_into(learner: Learner, base: Path, out: Path, *, into: Into, dtype: str) -> None:
    """Write the merged model, one file at a time.

    In memory are at most the tensors of one file that is written, and two matrices.

    Args:
        learner: With trained LoRA adapters, perhaps on a 4-bit base.
        base: Folder of the published weights.
        out: Folder for the merged model, in the layout of `transformers`.
        into: Which base the adapter is added to.
        dtype: Precision of the written weights.

    Raises:
        ValueError: A changed weight is not in the base's files.
    """
    out.mkdir(parents=True)
    changes = _changes(learner, into)
    prefix = f"{learner.body.base_model_prefix}."
    done: set[str] = set()
    index: dict[str, str] = {}
    for shard in sorted(base.glob("*.safetensors")):
        tensors = {}
        with safe_open(shard, framework="pt") as file:
            for stored in file.keys():  # noqa: SIM118 - a safetensors file is no mapping
                # Some published files leave the prefix out (GPT-2: h.0… for transformer.h.0…).
                name = stored if stored in changes else prefix + stored
                tensor = file.get_tensor(stored)
                if name in changes:
                    tensor = changes[name].applied(tensor)
                    done.add(name)
                if tensor.is_floating_point():
                    tensor = tensor.to(DTYPES[dtype])
                tensors[stored] = tensor.contiguous()
                index[stored] = shard.name
            save_file(tensors, out / shard.name, metadata={"format": "pt"})
    if missing := sorted(set(changes) - done):
        raise ValueError(f"{base}: no weights named {missing}")
    _copy_rest(base, out, index, dtype)


def _copy_rest(base: Path, out: Path, index: dict[str, str], dtype: str) -> None:
    for path in base.iterdir():
        if path.suffix in (".json", ".txt", ".jinja") and not path.name.endswith(".index.json"):
            shutil.copyfile(path, out / path.name)
    if len(set(index.values())) > 1:
        content = {"metadata": {}, "weight_map": index}
        (out / "model.safetensors.index.json").write_text(json.dumps(content, indent=1))
    config = json.loads((out / "config.json").read_text())
    config.pop("quantization_config", None)
    config["dtype"] = dtype
    (out / "config.json").write_text(json.dumps(config, indent=1))


def merged_bytes(folder: Path) -> int:
    """Return the size of a merged model's weights in bytes."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
