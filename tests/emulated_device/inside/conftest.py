"""The emulated device in this process, and every method on every tiny model and task."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import device
import outcomes

from tarazu import catalog
from tarazu.testing import tiny
from tarazu.testing.cases import Case, cases
from tarazu.testing.tiny import TinyKind, tiny_model
from tarazu.training import device as training_device

MODELS: tuple[TinyKind, ...] = ("bert", "gpt2", "llama")

device.register(Path(os.environ["EMULATED_DEVICE_LIBRARY"]))
# For devices that it does not know bitsandbytes has kernels in plain PyTorch, and compiles them.
torch.compiler.set_stance("force_eager")


@pytest.fixture(autouse=True)
def _fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_device, "Accelerator", outcomes.accelerator)


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Every method on every tiny model and task that it supports, with bases in 4 bits, too."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    small = {kind: tiny_model(folder / kind, kind) for kind in MODELS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "HIDDEN", 128)  # as wide as a block of 4-bit numbers needs
        wide = {kind: tiny_model(folder / f"wide-{kind}", kind) for kind in MODELS}
    tasks = [catalog.find_task("multinli"), catalog.find_task("squad")]
    methods = catalog.methods().values()
    whole = cases([m for m in methods if not m.four_bit], small, tasks)
    quantised = cases([m for m in methods if m.four_bit], wide, tasks)
    return {str(case): case for case in (*whole, *quantised)}
