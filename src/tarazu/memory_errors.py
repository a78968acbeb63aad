"""Which errors say that memory ran out: libraries raise them in many types and words."""

from __future__ import annotations

import errno

_SIGNS = (
    "alloc_cpu.cpp",
    "can't allocate memory",
    "Cannot allocate memory",
    "bad_alloc",
    "out of memory",  # "CUDA error: …", "MPS backend …": not of torch's own allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error is one of memory, on an accelerator or not.

    torch's allocator for the CPU raises a plain RuntimeError, and safetensors an error of its own:
    those are told by their text. Neither library need be imported.
    """
    kind = type(error).__name__
    tells = isinstance(error, RuntimeError) or kind == "SafetensorError"
    said = tells and any(sign in str(error) for sign in _SIGNS)
    refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return kind == "OutOfMemoryError" or said or refused or isinstance(error, MemoryError)
