"""What a run's process must and must not take from the environment that it is started in.

A run is one process on one device. Clusters and launchers (Slurm, torchrun, MPI, ``accelerate
launch``) describe a group of processes in environment variables. `accelerate` reads them: it would
wait for the others, choose another device or precision, or divide the loss by a number of
accumulation steps. Nothing here imports torch.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# All that `accelerate` 1.x reads to find out about a group of processes, its device, precision and
# engines, and what `torch.distributed` and `transformers` read beside that. Each name begins so.
_OF_LAUNCHERS = (
    "ACCELERATE_",  # device, CPU, precision, accumulation, DeepSpeed, FSDP, compiling, affinity …
    "FSDP_",
    "MEGATRON_LM_",
    "PARALLELISM_CONFIG_",
    "OMPI_COMM_WORLD_",
    "PMI_",
    "PMIX_",
    "MV2_COMM_WORLD_",
    "MPI_LOCAL",
    "TORCHELASTIC_",
)
_RANKS = frozenset(
    {
        "RANK",
        "LOCAL_RANK",
        "GROUP_RANK",
        "ROLE_RANK",
        "ROLE_NAME",
        "NODE_RANK",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
        "GROUP_WORLD_SIZE",
        "ROLE_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "FORK_LAUNCHED",
    }
)
# `accelerate` refuses two cards of the RTX 4000 series under an old driver unless processes are
# told not to talk to each other so. Ours has nobody to talk to.
_NO_PEERS = {"NCCL_P2P_DISABLE": "1", "NCCL_IB_DISABLE": "1"}
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")
_RENAMED_IN = (2, 9)  # of PyTorch: the newer name is read from here on, the older one warned of
_KERNEL = Path("/proc/sys/kernel/osrelease")


def is_of_launcher(name: str) -> bool:
    """Say whether an environment variable tells a process about a group that it belongs to.

    Args:
        name: Of the variable.
    """
    return name in _RANKS or name.startswith(_OF_LAUNCHERS)


def settle(environment: MutableMapping[str, str] | None = None) -> None:
    """Make an environment one of a single run: no group of processes, and the allocator's setting.

    It must be done before CUDA is initialised, and before `accelerate` looks.

    Args:
        environment: Changed in place; that of this process when absent.
    """
    variables = os.environ if environment is None else environment
    for name in [name for name in variables if is_of_launcher(name)]:
        del variables[name]
    setting = allocator_variable()
    if setting is not None and not any(given in variables for given in _ALLOCATOR):
        variables[setting] = "expandable_segments:True"


def allocator_variable() -> str | None:
    """Return the variable in which PyTorch reads about segments that grow; None where it must not.

    Such segments keep memory from being cut into pieces by batches of many lengths. On Windows and
    ROCm PyTorch only warns that it has none; under WSL the first allocation may fail
    (pytorch/pytorch#192330).
    """
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError):
        if "microsoft" in _KERNEL.read_text(encoding="ascii", errors="replace").lower():
            return None
    try:
        installed = version("torch")
    except PackageNotFoundError:
        return None
    numbers = re.match(r"(\d+)\.(\d+)", installed)
    if numbers is None or "rocm" in installed:
        return None
    newer = (int(numbers[1]), int(numbers[2])) >= _RENAMED_IN
    return "PYTORCH_ALLOC_CONF" if newer else "PYTORCH_CUDA_ALLOC_CONF"


@contextmanager
def settled() -> Iterator[None]:
    """Settle the environment of this process for a while, and put it back.

    For the process that starts those of runs.
    """
    with _put_back():
        settle()
        yield


@contextmanager
def alone() -> Iterator[None]:
    """Hide from `accelerate` that this process may belong to a group; for a while.

    In the process of a run nothing is left to hide; a notebook trains in its own.
    """
    with _put_back():
        for name in [name for name in os.environ if is_of_launcher(name)]:
            del os.environ[name]
        os.environ.update(_NO_PEERS)
        yield


@contextmanager
def _put_back() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name not in before]:
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
