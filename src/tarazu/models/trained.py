"""Saving and restoring what was trained: safetensors, the head always with the rest (trap T9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tarazu.models.learner import Learner

VECTORS = "prompt.vectors"
FILE = "trained.safetensors"


def trained_tensors(learner: Learner) -> dict[str, Tensor]:
    """Return copies of everything that was trained, by name, as it must be deployed.

    A soft prompt is represented by its vectors; its encoder is needed in training only.
    """
    tensors = {
        name: parameter.detach().cpu().contiguous().clone()
        for name, parameter in learner.named_trained()
        if not name.startswith("prompt.")
    }
    if learner.prompt is not None:
        tensors[VECTORS] = learner.prompt.freeze().cpu()
    return tensors


def save_trained(learner: Learner, folder: Path) -> list[Path]:
    """Save what was trained; adapters also in `peft`'s own layout, for other tools.

    Args:
        learner: After training.
        folder: Created when missing.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(trained_tensors(learner), folder / FILE, metadata={"format": "pt"})
    if learner.adapter is not None:
        # Left to itself peft asks the Hub whether the base's vocabulary was changed; ours never is.
        learner.adapter.save_pretrained(
            folder / "adapter", safe_serialization=True, save_embedding_layers=False
        )
        # peft writes a model card that names the base by its path on this machine.
        (folder / "adapter" / "README.md").unlink(missing_ok=True)
        _in_order(folder / "adapter" / "adapter_config.json")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _in_order(file: Path) -> None:
    """Sort what `peft` writes from sets, whose order changes from process to process."""
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for name in ("target_modules", "exclude_modules"):
        if isinstance(config.get(name), list):
            config[name].sort()
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def restore_trained(learner: Learner, folder: Path) -> None:
    """Put saved tensors into a learner that the same method has prepared.

    Args:
        learner: After the method's `attach`.
        folder: Written by `save_trained`.

    Raises:
        ValueError: The names or shapes differ from what the learner trains.
    """
    wanted = {n: p for n, p in learner.named_trained() if not n.startswith("prompt.")}
    with safe_open(folder / FILE, framework="pt") as file, torch.no_grad():
        saved = set(file.keys())
        if saved - {VECTORS} != set(wanted):
            missing, extra = set(wanted) - saved, saved - {VECTORS} - set(wanted)
            raise ValueError(f"{folder / FILE}: missing {sorted(missing)}, unknown {sorted(extra)}")
        for name, parameter in wanted.items():
            parameter.copy_(file.get_tensor(name))
        if learner.prompt is not None:
            device = next(learner.parameters()).device
            learner.prompt.restore(file.get_tensor(VECTORS).to(device))
