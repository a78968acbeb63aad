"""Device and precision, chosen by what is there.

Adapters, heads and optimiser state are always fp32; `dtype` is what matrix products run in and what
frozen weights are stored in.
"""

from __future__ import annotations

import functools
import math
import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from tarazu.errors import BadInput, bad
from tarazu.models.hardware import has_card, obstacle
from tarazu.record.spec import ComputeSpec

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# What bf16 must gain before its rounding is worth it. Processors seen so far: 0.5, 2 and 4 times.
WORTHWHILE = 1.25


@dataclass(frozen=True)
class Precision:
    """Where and in which precision a run computes.

    Attributes:
        device: ``cpu`` or ``cuda``.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        threads: CPU threads.
    """

    device: str
    dtype: str
    threads: int

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of matrix products and of frozen weights."""
        return DTYPES[self.dtype]

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which a forward pass runs."""
        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(self.device, dtype=self.torch_dtype)


def cpu_has_bf16() -> bool:
    """Say whether the processor multiplies matrices in bf16 (AVX-512 BF16 or AMX)."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def is_native(dtype: str) -> bool:
    """Say whether the processor has instructions for a precision, by its name."""
    return dtype == "float32" or (dtype == "bfloat16" and cpu_has_bf16())


def cpu_is_faster_in_bf16() -> bool:
    """Say whether bf16 matrix products win here by enough to be worth their rounding."""
    return bf16_speedup() > WORTHWHILE


@functools.lru_cache(maxsize=1)
def bf16_speedup() -> float:
    """Measure how many times as fast as fp32 this processor multiplies in bf16; takes some 0.1 s.

    Having the instructions says little: with AMX they run about four times as fast as fp32, half as
    fast on a virtual machine of the same processor that hides AMX, and twice as fast on AMD's
    Zen 4. Both kinds are timed in turn and their best times compared, so that a busy neighbour does
    not decide.
    """
    best = {torch.float32: math.inf, torch.bfloat16: math.inf}
    inputs = {
        dtype: (torch.ones(512, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype))
        for dtype in best
    }
    for _ in range(8):  # the first round warms up and never is the best
        for dtype, (rows, matrix) in inputs.items():
            start = time.perf_counter()
            torch.nn.functional.linear(rows, matrix)
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.float32] / best[torch.bfloat16]


def choose(compute: ComputeSpec) -> Precision:
    """Choose device, dtype and threads.

    Args:
        compute: What the study asks for; ``auto`` leaves it to the machine.

    Raises:
        BadInput: A CUDA device is asked for and there is none, or fp16 on a CPU.
    """
    has_cuda = has_card()
    if compute.device == "cuda" and not has_cuda:
        raise _no_card()
    device = ("cuda" if has_cuda else "cpu") if compute.device == "auto" else compute.device
    dtype: str = compute.dtype
    if dtype == "auto":
        dtype = _best_dtype(device)
    if dtype == "float16" and device == "cpu":
        raise bad(
            "compute.dtype",
            "must be float32 or bfloat16 on a CPU, where training has no gradient scaler for fp16",
            dtype,
            "Use 'auto'.",
        )
    return Precision(device, dtype, compute.threads or usable_cores())


def _no_card() -> BadInput:
    found = obstacle()
    reason, remedy = (found.reason, found.remedy) if found is not None else ("it came back", "")
    return bad(
        "compute.device",
        "must be available",
        f"cuda, and {reason}",
        f"{remedy} Use 'auto' or 'cpu' to do without. `tarazu doctor` tells more.".strip(),
    )


def dtype_reason(precision: Precision, compute: ComputeSpec) -> str:
    """Say in a few words why a dtype was chosen.

    Args:
        precision: What `choose` returned.
        compute: What it was asked.
    """
    if compute.dtype != "auto":
        return "as compute.dtype says"
    if precision.device == "cpu":
        if not cpu_has_bf16():
            return "the processor has no bfloat16 instructions"
        gain = bf16_speedup()
        if precision.dtype == "bfloat16":
            return f"measured {gain:.1f} times as fast as float32"
        return f"bfloat16 was measured only {gain:.1f} times as fast"
    if precision.dtype == "bfloat16":
        return "the card computes it natively"
    return "the card has no native bfloat16"


def _best_dtype(device: str) -> str:
    if device == "cpu":
        return "bfloat16" if cpu_has_bf16() and cpu_is_faster_in_bf16() else "float32"
    # A T4 emulates bf16 slowly: ask for the real thing, else fp16 with a gradient scaler.
    native = torch.cuda.get_device_capability()[0] >= 8
    return "bfloat16" if native else "float16"


def usable_cores() -> int:
    """Return how many cores this process may use: a scheduler may have lent only some of them."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
