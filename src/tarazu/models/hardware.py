"""Which processor and card compute, and why no card can be used.

torch tells only that there is no card. What stands in the way is asked of the driver's own
library, in the order in which one thing hides the next: environment, driver, version, answer.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import subprocess
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from tarazu.programs import output_of
from tarazu.record.record import Hardware

PROC = Path("/proc")
DEVICES = Path("/dev")
_DRIVER_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
# cudaError_enum of the driver's interface: what cuInit answers where nothing can be computed.
_NO_DEVICE = 100
_SECONDS = 10  # that nvidia-smi may take
_PAGE = "https://pytorch.org/get-started/locally"


@dataclass(frozen=True)
class Obstacle:
    """Why no card can be used.

    Attributes:
        reason: In a few words, for the middle of a sentence.
        remedy: What to do about it, in sentences.
        expected: Whether nobody would have expected a card: torch is built without, and none shows.
    """

    reason: str
    remedy: str
    expected: bool = False


def has_card() -> bool:
    """Say whether torch can use a CUDA or ROCm card; `obstacle` says why not.

    torch warns of a driver that does not answer, in words that name neither place nor remedy.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.cuda.is_available()


def obstacle() -> Obstacle | None:
    """Return why no card can be used; None where one can."""
    if has_card():
        return None
    if torch.version.hip:
        return _rocm_obstacle()
    if torch.version.cuda:
        return _cuda_obstacle(torch.version.cuda)
    if _shows_nvidia_card():
        return Obstacle(
            f"an NVIDIA card is there, but torch {torch.__version__} is built without CUDA",
            f"Install the CUDA build of torch ({_PAGE}).",
        )
    return Obstacle(
        f"torch {torch.__version__} is built without CUDA",
        f"On a machine with a card, install the CUDA build of torch ({_PAGE}).",
        expected=True,
    )


def _cuda_obstacle(built_for: str) -> Obstacle:
    if torch.cuda._is_in_bad_fork():
        return Obstacle(
            "this process was forked from one that had used CUDA",
            "Start it with the method 'spawn' or 'forkserver', or use CUDA only in the child.",
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip().partition(",")[0] in ("", "-1"):
        return Obstacle(
            "CUDA_VISIBLE_DEVICES hides every card",
            "Unset it, or name a card in it (CUDA_VISIBLE_DEVICES=0).",
        )
    driver = _driver_library()
    if driver is None:
        return _without_driver()
    supported = _supported_cuda(driver)
    if supported is not None and supported[0] < int(built_for.split(".")[0]):
        known = ".".join(map(str, supported))
        return Obstacle(
            f"the NVIDIA driver knows CUDA {known}, and torch is built for CUDA {built_for}",
            f"Update the driver, or install a build of torch for CUDA {known} or older ({_PAGE}).",
        )
    return _unanswered(driver, visible is not None)


def _without_driver() -> Obstacle:
    if _shows_nvidia_card():
        return Obstacle(
            "an NVIDIA card is there, but the driver's library (libcuda.so.1) cannot be loaded",
            "In a container, start it with the cards (docker run --gpus all); else install the "
            "driver's user-space libraries of the same version.",
        )
    return Obstacle(
        "there is no NVIDIA driver (libcuda.so.1 cannot be loaded)",
        "If the machine has an NVIDIA card, install its driver, or start the container with the "
        "cards (docker run --gpus all).",
    )


def _unanswered(driver: ctypes.CDLL, limited: bool) -> Obstacle:
    code = int(driver.cuInit(0))
    if code == _NO_DEVICE and limited:
        return Obstacle(
            "CUDA_VISIBLE_DEVICES names no card that is there",
            "`nvidia-smi -L` lists those that are; name one of them, or unset it.",
        )
    if code == _NO_DEVICE:
        return Obstacle(
            "the NVIDIA driver finds no card",
            "`nvidia-smi` must list it; a job of a scheduler must ask for one (--gres=gpu:1).",
        )
    if code:
        return Obstacle(
            f"the NVIDIA driver does not start ({_error_name(driver, code)})",
            "After an update of the driver, restart the machine; `nvidia-smi` must work.",
        )
    return Obstacle(
        "the NVIDIA driver answers, but torch finds no card",
        "Compare `nvidia-smi` with the CUDA version that torch is built for.",
    )


def _rocm_obstacle() -> Obstacle:
    for name in ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        if os.environ.get(name, "0").strip().partition(",")[0] in ("", "-1"):
            return Obstacle(f"{name} hides every card", f"Unset it, or name a card in {name}.")
    kfd = DEVICES / "kfd"
    if not kfd.exists():
        return Obstacle(
            "there is no AMD GPU driver (/dev/kfd is missing)",
            "Install amdgpu, or start the container with --device=/dev/kfd --device=/dev/dri.",
        )
    if not os.access(kfd, os.R_OK | os.W_OK):
        return Obstacle(
            "/dev/kfd may not be opened", "Join the groups 'render' and 'video', then log in again."
        )
    return Obstacle("ROCm finds no card", "`rocminfo` must list it.")


def _shows_nvidia_card() -> bool:
    places = (DEVICES / "nvidiactl", DEVICES / "nvidia0", PROC / "driver/nvidia/version")
    return any(place.exists() for place in places)


def _driver_library() -> ctypes.CDLL | None:
    for name in _DRIVER_LIBRARIES:
        with suppress(OSError):
            return ctypes.CDLL(name)
    return None


def _supported_cuda(driver: ctypes.CDLL) -> tuple[int, int] | None:
    """Return the newest CUDA version that a driver knows."""
    version = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10


def _error_name(driver: ctypes.CDLL, code: int) -> str:
    name = ctypes.c_char_p()
    if driver.cuGetErrorName(code, ctypes.byref(name)) or name.value is None:
        return f"error {code}"
    return f"{name.value.decode('ascii', 'replace')}, error {code}"


def too_old_for_torch() -> Obstacle | None:
    """Return why the first kernel would fail on the card that is used; None where it would not."""
    built: list[str] = []
    capability = (0, 0)
    with suppress(RuntimeError, AssertionError):
        built, capability = torch.cuda.get_arch_list(), torch.cuda.get_device_capability()
    if torch.version.hip or not built or _runs_on(built, capability):
        return None
    return Obstacle(
        f"torch {torch.__version__} has no kernels for compute capability "
        f"{'.'.join(map(str, capability))} (it has {', '.join(built)})",
        f"Install a build of torch with them ({_PAGE}), or set compute.device to cpu.",
    )


def _runs_on(built: list[str], capability: tuple[int, int]) -> bool:
    """Binaries run on later minor versions of their major one, intermediate code on all later."""
    for name in built:
        if match := re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", name):
            kind, made = match[1], (int(match[2]), int(match[3]))
            same = made[0] == capability[0] and made[1] <= capability[1]
            if match[4]:  # of one architecture only
                same = made == capability
            if same or (kind == "compute" and not match[4] and made <= capability):
                return True
    return False


def unused_accelerators() -> list[str]:
    """Return what could compute and is not used, for the end of a sentence."""
    found = []
    with suppress(AttributeError, RuntimeError):
        if torch.backends.mps.is_available():
            found.append("an Apple GPU")
    with suppress(AttributeError, RuntimeError):
        if torch.xpu.is_available():
            found.append("an Intel GPU")
    return found


def hardware(device: str) -> Hardware:
    """Name the parts that compute; what the machine does not tell stays None.

    Args:
        device: ``cpu`` or ``cuda``. Of several cards it is the first, which is the one in use.
    """
    parts = Hardware(processor=processor_name())
    if device != "cuda":
        return parts
    try:
        card = torch.cuda.get_device_properties(0)
    except (RuntimeError, AssertionError):  # torch is built without CUDA, or the driver is gone
        return parts
    return parts.model_copy(
        update={
            "card": " ".join(str(card.name).split()),
            "card_memory": int(card.total_memory),
            "capability": capability_of(card),
            "driver": driver_version(),
        }
    )


def capability_of(card: object) -> str:
    """Return the compute capability of an NVIDIA card, or the architecture of an AMD one.

    Args:
        card: As `torch.cuda.get_device_properties` describes it.
    """
    if torch.version.hip:
        return str(getattr(card, "gcnArchName", "")).partition(":")[0]
    return f"{getattr(card, 'major', 0)}.{getattr(card, 'minor', 0)}"


@functools.lru_cache(maxsize=1)
def processor_name() -> str | None:
    """Return the model of the CPU; None where the system does not tell."""
    with suppress(OSError):
        text = (PROC / "cpuinfo").read_text(encoding="utf-8", errors="replace")
        if match := re.search(r"^(?:model name|Model|cpu model|cpu)\s*:\s*(.+)$", text, re.M):
            return " ".join(match[1].split())
    if platform.system() == "Darwin":
        with suppress(OSError, subprocess.SubprocessError):
            told = output_of(["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], _SECONDS)
            return told.strip() or None
    with suppress(OSError, ValueError):  # Python itself asks a program, uname
        return platform.processor() or platform.machine() or None
    return None


@functools.lru_cache(maxsize=1)
def driver_version() -> str | None:
    """Return the version of the card's driver; None where nothing tells it."""
    place = Path("/sys/module/amdgpu/version") if torch.version.hip else None
    with suppress(OSError):
        told = (place or PROC / "driver/nvidia/version").read_text(errors="replace")
        if match := re.search(r"\d+\.\d+(?:\.\d+)*", told):
            return match[0]
    if torch.version.hip:
        return None
    with suppress(OSError, subprocess.SubprocessError):  # under WSL the file is missing
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        told = output_of(asked, _SECONDS)
        if match := re.match(r"\d+\.\d+(?:\.\d+)*", told):
            return match[0]
    return None


def device_name(device: str, parts: Hardware, threads: int) -> str:
    """Return a device with its parts, such as ``cuda (Tesla T4, 15.8 GB)``.

    Args:
        device: ``cpu`` or ``cuda``.
        parts: As `hardware` returns them.
        threads: CPU threads; named where they compute.
    """
    if device == "cuda":
        memory = f"{parts.card_memory / 1e9:.1f} GB" if parts.card_memory else None
        named = [parts.card, memory]
    else:
        named = [parts.processor, f"{threads:,} thread" + ("s" if threads != 1 else "")]
    known = ", ".join(name for name in named if name)
    return f"{device} ({known})" if known else device
