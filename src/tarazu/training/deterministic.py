"""Results on an accelerator that are the same to the last bit, where that is asked for.

Some of its kernels add numbers in the order in which threads come, so two equal runs differ by
rounding. PyTorch has other kernels for most of them, which are slower.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tarazu.errors import bad

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
# With these cuBLAS has as many workspaces as streams, so that results do not depend on timing.
DETERMINISTIC_WORKSPACES = (":4096:8", ":16:8")
_SIGNS = ("does not have a deterministic implementation", "torch.use_deterministic_algorithms")


def use_deterministic_algorithms() -> None:
    """Let this process use kernels only that give equal results for equal inputs.

    Call it before anything computes on the accelerator: cuBLAS reads its setting once.
    """
    if os.environ.get(WORKSPACE) not in DETERMINISTIC_WORKSPACES:
        os.environ[WORKSPACE] = DETERMINISTIC_WORKSPACES[0]
    torch.use_deterministic_algorithms(True)


@contextmanager
def deterministic_errors() -> Iterator[None]:
    """Name the setting where an operation has no deterministic kernel.

    Raises:
        BadInput: Such an operation was called while deterministic algorithms are asked for.
    """
    try:
        yield
    except RuntimeError as error:
        asked = torch.are_deterministic_algorithms_enabled()
        if not asked or not all(sign in str(error) for sign in _SIGNS):
            raise
        raise bad(
            "compute.deterministic",
            "every operation of the run must have a deterministic kernel on its device",
            str(error).partition(" does not")[0],
            "Set compute.deterministic to false: results then agree up to rounding.",
        ) from error
