"""What torch sees of this machine, asked in a process of its own: ``python -m`` prints it as JSON.

A broken driver can hang or crash whoever asks it, and a process that has asked cannot be forked by
somebody who uses CUDA: neither must befall the one that asks for a diagnosis. Nothing is computed
on a card, so no memory of it is taken.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tarazu.models import hardware, precision
from tarazu.record.spec import ComputeSpec


def probe() -> dict[str, Any]:
    """Return what torch is built for, the cards, what would be used, and what could not be asked.

    Every part is guarded: ``failed`` holds the reasons by part.
    """
    failed: dict[str, str] = {}

    def guarded(name: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
            return None

    return {
        "build": {
            "version": torch.__version__,
            "cuda": torch.version.cuda,
            "hip": torch.version.hip,
            "xpu": getattr(torch.version, "xpu", None),
        },
        "obstacle": guarded("obstacle", _obstacle),
        "kernels": guarded("kernels", _kernels),
        "unused": guarded("unused", hardware.unused_accelerators) or [],
        "cards": guarded("cards", _cards) or [],
        "driver": guarded("driver", hardware.driver_version),
        "processor": guarded("processor", hardware.processor_name),
        "bf16": guarded("bf16", _bf16),
        "would_use": guarded("would_use", _would_use),
        "four_bit": guarded("four_bit", four_bit),
        "failed": failed,
    }


def _obstacle() -> dict[str, Any] | None:
    found = hardware.obstacle()
    return asdict(found) if found is not None else None


def _kernels() -> dict[str, Any] | None:
    found = hardware.too_old_for_torch() if hardware.has_card() else None
    return asdict(found) if found is not None else None


def _cards() -> list[dict[str, Any]]:
    count = torch.cuda.device_count() if hardware.has_card() else 0
    return [_card(torch.cuda.get_device_properties(index)) for index in range(count)]


def _card(card: Any) -> dict[str, Any]:
    return {
        "name": str(card.name),
        "memory": int(card.total_memory),
        "capability": hardware.capability_of(card),
        "id": str(getattr(card, "uuid", "")),
    }


def _bf16() -> dict[str, Any]:
    has_it = precision.cpu_has_bf16()
    return {"instructions": has_it, "speedup": precision.bf16_speedup() if has_it else None}


def _would_use() -> dict[str, Any]:
    compute = ComputeSpec()
    chosen = precision.choose(compute)
    return {
        "device": chosen.device,
        "dtype": chosen.dtype,
        "dtype_reason": precision.dtype_reason(chosen, compute),
        "threads": chosen.threads,
    }


def four_bit() -> dict[str, Any]:
    """Return which library would multiply weights in 4 bits, and why it cannot be loaded.

    bitsandbytes is not imported, which takes seconds: its library is opened as it would open it.
    """
    spec = importlib.util.find_spec("bitsandbytes")
    if spec is None or spec.origin is None:
        return {"library": None, "reason": "bitsandbytes is not installed"}
    folder = Path(spec.origin).parent
    kind, wanted = "cpu", ""
    if hardware.has_card():
        kind, wanted = ("rocm", torch.version.hip) if torch.version.hip else (
            "cuda", torch.version.cuda or "",
        )  # fmt: skip
    file = folder / "libbitsandbytes_cpu.so" if kind == "cpu" else _nearest(folder, kind, wanted)
    if file is None or not file.is_file():
        of = f" {'.'.join(wanted.split('.')[:2])}" if wanted else ""
        return {"library": None, "reason": f"bitsandbytes has no library for {kind.upper()}{of}"}
    try:
        ctypes.CDLL(str(file))
    except OSError as error:
        return {"library": file.name, "reason": str(error)}
    return {"library": file.name, "reason": None}


def _nearest(folder: Path, kind: str, version: str) -> Path | None:
    """Return the library that bitsandbytes takes: that version, an older, a newer one of its major.

    Args:
        folder: Of bitsandbytes.
        kind: ``cuda`` or ``rocm``.
        version: Of CUDA or ROCm, such as ``12.6``.
    """
    major, minor = (int(part) for part in re.findall(r"\d+", version)[:2])
    digits = 2 if kind == "cuda" else 1
    found = {}
    for file in folder.glob(f"libbitsandbytes_{kind}*.so"):
        match = re.fullmatch(rf"libbitsandbytes_{kind}(\d{{{digits}}})(\d+)\.so", file.name)
        if match and int(match[1]) == major:
            found[int(match[2])] = file
    older = [other for other in found if other <= minor]
    return found[max(older) if older else min(found)] if found else None


if __name__ == "__main__":
    print(json.dumps(probe()), flush=True)
