"""The device side of training, by `accelerate`: precision, gradient scaling, clipping."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import Tensor

from tarazu.models.copying import to_device
from tarazu.models.learner import Batch, Learner
from tarazu.training.surroundings import alone

MIXED = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


class Device:
    """Runs forward and backward passes of a learner where its precision says.

    fp16 gets a gradient scaler (a card without bf16, such as a T4); trained weights are fp32 in
    every precision.

    Args:
        learner: With a precision.
    """

    def __init__(self, learner: Learner) -> None:
        assert learner.precision is not None
        # One process may train several learners on different devices and in different precisions
        # (tests, notebooks). Left to itself accelerate stays on the first one's device, and takes
        # whatever accelerator it finds.
        on_cpu = learner.precision.device == "cpu"
        with alone():
            AcceleratorState._reset_state(reset_partial_state=True)
            PartialState(cpu=on_cpu).device = torch.device(learner.precision.device)
            self._accelerator: Any = Accelerator(
                cpu=on_cpu, mixed_precision=MIXED[learner.precision.dtype]
            )
            self._wrapped: Any = self._accelerator.prepare_model(learner)
        self._learner = learner
        self.name = self._accelerator.device

    def prepare(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Wrap the optimiser, so that it skips steps whose scaled gradients overflowed."""
        with alone():
            wrapped: torch.optim.Optimizer = self._accelerator.prepare_optimizer(optimizer)
        return wrapped

    @property
    def is_late(self) -> bool:
        """Whether it works on its own while the host goes on, so that reading from it waits."""
        return bool(self.name.type != "cpu")

    def move(self, batch: Batch) -> Batch:
        """Move a batch to the device."""
        return {name: to_device(tensor, self.name) for name, tensor in batch.items()}

    def forward(self, loss: Any, batch: Batch) -> Tensor:
        """Return the summed loss of a batch."""
        result: Tensor = self._wrapped(loss, batch)
        return result

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a scalar."""
        self._accelerator.backward(loss)

    def clip(self, norm: float) -> None:
        """Clip the gradient of all trained parameters together."""
        self._accelerator.clip_grad_norm_([p for _, p in self._learner.named_trained()], norm)

    def scaler_state(self) -> dict[str, Any]:
        """Return the state of the gradient scaler; empty where there is none."""
        scaler = self._accelerator.scaler
        return dict(scaler.state_dict()) if scaler is not None else {}

    def load_scaler(self, state: dict[str, Any]) -> None:
        """Put back what `scaler_state` returned."""
        if state:
            self._accelerator.scaler.load_state_dict(state)
