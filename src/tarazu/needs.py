"""What a run needs of memory at least, told by the shapes of its model alone.

Activations are left out: they hang on the longest text and on how they are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from tarazu.catalog import using_found
from tarazu.methods._explain_low_rank import NF4_BITS
from tarazu.models.learner import Learner
from tarazu.models.load import empty_learner, held_dtype
from tarazu.models.precision import DTYPES, Precision
from tarazu.models.stored_precision import ARCHITECTURES, LARGE
from tarazu.processes import Tell
from tarazu.work import Request

_FP32 = 4
_MOMENTS = 2  # of AdamW (Loshchilov and Hutter 2019), for each trained number
_GIB = 2**30


@dataclass(frozen=True)
class Needs:
    """Bytes that a phase of a run needs at once, at least.

    Attributes:
        weights: Of the model as the phase holds it, with the best epoch's copy of what is trained.
        gradients: Of what is trained.
        optimizer: State of the optimiser.
    """

    weights: int
    gradients: int = 0
    optimizer: int = 0

    def __str__(self) -> str:
        """Say it in GiB."""
        if not self.optimizer:
            return f"{self.weights / _GIB:.2f} GiB for its weights alone"
        total = self.weights + self.gradients + self.optimizer
        return (
            f"{total / _GIB:.2f} GiB beside activations (weights {self.weights / _GIB:.2f}, "
            f"gradients {self.gradients / _GIB:.2f}, optimiser {self.optimizer / _GIB:.2f})"
        )


def needed(request: Request, phase: str, merged: bool, *, tell: Tell) -> Needs:
    """Return what a phase of a run with a model needs.

    Every weight is cast while it is read: what is trained to fp32, what is frozen to the run's
    precision or to 4 bits. So reading takes no more than what is held afterwards.

    Args:
        request: The run.
        phase: In which memory ran out.
        merged: Whether a merged model is answering, which is never quantised.
        tell: Hears nothing: it takes a second.
    """
    # As every part of a run, this is asked for in a process that has no plug-in in use.
    with using_found(request.plugins):
        return _needed(request, phase, merged=merged)


def _needed(request: Request, phase: str, *, merged: bool) -> Needs:
    assert request.info is not None
    method, task = request.method, request.task
    reading = method.reading(request.info, task, request.knobs)
    learner = empty_learner(request.info, reading, len(task.labels))
    whole = sum(p.numel() for p in learner.parameters())
    if merged:  # it is stored in 16 bits
        known = request.info.architecture in ARCHITECTURES
        large = request.spec.device == "cpu" and known and whole * _FP32 >= LARGE
        return Needs(whole * (2 if large else DTYPES[request.spec.dtype].itemsize))
    method.attach(learner, request.knobs)
    trained = sum(p.numel() for _, p in learner.named_trained())
    quantised = _quantised(learner) if method.four_bit else 0
    frozen = sum(p.numel() for p in learner.parameters()) - trained - quantised
    weights = trained * _FP32 + frozen * _held(request).itemsize
    weights += round(quantised * NF4_BITS / 8)
    if method.four_bit and phase != "train":  # such a base answers with its norms in fp32
        norms = sum(norm.weight.numel() for norm in learner.frozen_norms())
        weights += norms * (_FP32 - DTYPES[request.spec.dtype].itemsize)
    if phase not in ("train", "validate") or not method.trains:
        return Needs(weights)
    if request.value("select") == "best":
        weights += trained * _FP32
    gradients = trained * _FP32 if phase == "train" else 0
    return Needs(weights, gradients, _MOMENTS * trained * _FP32)


def _held(request: Request) -> torch.dtype:
    """Return the precision of frozen weights that are not quantised."""
    spec = request.spec
    if request.folder is None or request.info is None or request.method.four_bit:
        return DTYPES[spec.dtype]
    return held_dtype(
        request.folder, request.info, Precision(spec.device, spec.dtype, spec.threads)
    )


def _quantised(learner: Learner) -> int:
    """Count the numbers that a 4-bit base packs: frozen matrices of its layers (trap T10)."""
    from transformers.pytorch_utils import Conv1D

    return sum(
        module.weight.numel()
        for module in learner.trunk.modules()
        if isinstance(module, nn.Linear | Conv1D) and not module.weight.requires_grad
    )
