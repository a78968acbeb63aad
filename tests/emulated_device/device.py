"""A second device that is not the CPU, for machines that have none: see ``backend.cpp``.

`register` can be called once per process and changes what torch takes for the machine's
accelerator, so it is called in processes of their own only, which `test_emulated_device.py` starts.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.utils.checkpoint import DefaultDeviceType

NAME = "emulated"
SOURCE = Path(__file__).with_name("backend.cpp")


def compiler() -> str | None:
    """Return the C++ compiler of this machine, or None."""
    return shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")


def build(folder: Path) -> Path:
    """Compile the backend, unless that was done for this source, PyTorch and Python.

    Args:
        folder: Where libraries are cached.

    Returns:
        The shared library.

    Raises:
        RuntimeError: The compiler refuses it; the message is its own.
    """
    from torch.utils.cpp_extension import include_paths, library_paths

    built_from = (
        SOURCE.read_bytes(),
        torch.__version__.encode(),
        sysconfig.get_platform().encode(),
    )
    name = hashlib.sha256(b"\0".join(built_from)).hexdigest()[:16]
    library = folder / f"emulated-{name}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / library.name
        command = [
            compiler() or "c++",
            *("-std=c++20", "-O0", "-fPIC", "-shared", "-w"),
            f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
            *(f"-I{path}" for path in include_paths()),
            *(str(SOURCE), "-o", str(made)),
            *(f"-L{path}" for path in library_paths()),
            *("-lc10", "-ltorch_cpu"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
        os.replace(made, library)
    return library


def register(library: Path) -> None:
    """Make the device known to this process, for good."""
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _module())
    torch.utils.generate_methods_for_privateuse1_backend()
    torch.ops.load_library(library)
    DefaultDeviceType.set_device_type(NAME)  # of activations that are computed again


def _module() -> ModuleType:
    """Return what becomes ``torch.emulated``: what torch and others ask an accelerator's module."""
    module = ModuleType(f"torch.{NAME}")
    ops = torch.ops.emulated_device
    functions: dict[str, Any] = {
        "_initialized": True,
        "device": lambda device: contextlib.nullcontext(),
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "_lazy_init": lambda: None,
        "_is_in_bad_fork": lambda: False,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda device: None,
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "manual_seed": lambda seed: ops.manual_seed(_signed(seed)),
        "manual_seed_all": lambda seed: ops.manual_seed(_signed(seed)),
        "get_rng_state": lambda device=NAME: ops.get_rng_state(),
        "set_rng_state": lambda state, device=NAME: ops.set_rng_state(state),
        "get_amp_supported_dtype": lambda: [torch.float16, torch.bfloat16],
        "is_bf16_supported": lambda: True,
    }
    for name, function in functions.items():
        setattr(module, name, function)
    return module


def _signed(seed: int) -> int:
    """Return 64 bits as torch's operators take them."""
    return (int(seed) + 2**63) % 2**64 - 2**63
