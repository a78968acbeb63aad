"""Merging LoRA into the base, in two honest ways, always in fp32 before the last cast.

``dequantised``: into the base that the adapter saw while it was trained, the 4-bit weights
dequantised. ``16-bit``: into the published weights, which adds the quantisation error that the
adapter never saw. Which one is better is measured, not assumed (traps T19, T20).

The merged tensors are streamed from the base's files, so that no second model is held in memory.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

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


def _changes(learner: Learner, into: Into) -> dict[str, Callable[[Tensor], Tensor]]:
    """Map the name of every weight that merging changes to what becomes of it, in fp32."""
    from peft.tuners.lora import LoraLayer
    from transformers.pytorch_utils import Conv1D

    published = empty_learner(learner.info, "text", 0).body
    changes: dict[str, Callable[[Tensor], Tensor]] = {}
    for name, module in learner.body.named_modules():
        if isinstance(module, LoraLayer):
            delta = sum(module.get_delta_weight(a).float().cpu() for a in module.active_adapters)
            base = module.get_base_layer()
            name = name.removesuffix(".base_layer")
        elif _is_quantised(module) and not name.endswith(".base_layer"):
            delta, base = 0.0, module
        else:
            continue
        # GPT-2's Conv1D keeps [in, out]; bitsandbytes holds it as a Linear, [out, in] (trap T28).
        # Square matrices hide the mistake, so the class decides and not the shape.
        turn = _is_quantised(base) and isinstance(published.get_submodule(name), Conv1D)
        start = dequantise(base.weight) if into == "dequantised" and _is_quantised(base) else None
        changes[f"{name}.weight"] = _adder(start, delta, turn)
    return changes


def _adder(start: Tensor | None, delta: Any, turn: bool) -> Callable[[Tensor], Tensor]:
    def turned(value: Any) -> Any:
        return value.T if turn and isinstance(value, Tensor) else value

    def apply(published: Tensor) -> Tensor:
        base = published if start is None else turned(start)
        merged: Tensor = base.float() + turned(delta)
        return merged

    return apply


def merge_into(learner: Learner, base: Path, out: Path, *, into: Into, dtype: str) -> None:
    """Write the merged model.

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
                    tensor = changes[name](tensor)
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
