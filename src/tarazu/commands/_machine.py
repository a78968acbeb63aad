"""What the system tells of itself: memory, cores, the bounds of a container, disks, caches."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tarazu.programs import output_of

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # cgroup v1 writes a number of pages near 2^63 where there is no bound
_SECONDS = 10
NETWORK = (
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_ENDPOINT",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
SCHEDULER = (
    "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NTASKS", "PBS_JOBID", "LSB_JOBID", "JOB_ID",
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "KUBERNETES_SERVICE_HOST",
    "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE",
)  # fmt: skip
COMPUTE = (
    "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF", "BNB_CUDA_VERSION", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "LD_PRELOAD",
    "PYTHONPATH", "PYTHONHOME",
)  # fmt: skip
PLACES = (
    "TARAZU_CACHE", "TARAZU_LEDGER", "TARAZU_PLAIN", "TARAZU_DEBUG", "HF_HOME", "HF_HUB_CACHE",
    "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME", "TMPDIR",
)  # fmt: skip


def system() -> dict[str, Any]:
    """Return operating system, Python, and what they run in."""
    name = platform.system()
    with suppress(OSError, ValueError):
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    return {
        "os": name,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "container": _container(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None),
    }


def _container() -> str | None:
    marks = {"docker": "/.dockerenv", "podman": "/run/.containerenv", "colab": "/opt/google/colab"}
    found = next((name for name, mark in marks.items() if Path(mark).exists()), None)
    return "wsl" if found is None and "microsoft" in platform.release().lower() else found


def cores(usable: int) -> dict[str, Any]:
    """Return the cores of the machine and how many of them may be used.

    Args:
        usable: As many as the process may be scheduled on.
    """
    return {"all": os.cpu_count(), "usable": usable, "container": cpu_quota()}


def memory() -> dict[str, Any]:
    """Return total and available memory in bytes, a container's bound counted in."""
    import psutil

    told = psutil.virtual_memory()
    total, available, bound = int(told.total), int(told.available), memory_bound()
    if bound is not None:
        total, available = min(total, bound[0]), min(available, max(bound[0] - bound[1], 0))
    return {
        "total": total,
        "available": available,
        "machine": int(told.total),
        "container": bound[0] if bound is not None else None,
        "swap": int(psutil.swap_memory().total),
    }


def memory_bound() -> tuple[int, int] | None:
    """Return a container's bound on memory and what is taken of it in bytes; None without one.

    Of the groups above one another the one that leaves least counts. Both versions of cgroups are
    read; the page cache, which the kernel gives back, is not counted as taken.
    """
    found = []
    for folder in _groups("memory"):
        for bound, used, cached in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit = _number(folder / bound)
            if limit is not None and limit < _UNLIMITED:
                idle = _of_table(folder / "memory.stat", cached)
                found.append((limit, max((_number(folder / used) or 0) - idle, 0)))
    return min(found, key=lambda one: one[0] - one[1], default=None)


def cpu_quota() -> float | None:
    """Return how many cores' time a container may take; None without a bound."""
    found = []
    for folder in _groups("cpu"):
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (folder / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))  # "max" is no number
        quota_us, period_us = (_number(folder / f"cpu.cfs_{n}_us") for n in ("quota", "period"))
        if quota_us and period_us and quota_us > 0:
            found.append(quota_us / period_us)
    return min(found, default=None)


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups, and of those above them."""
    try:
        lines = (PROC / "self/cgroup").read_text(errors="replace").splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if number == "0" and not controllers:
            root = CGROUPS
        elif controller in controllers.split(","):
            root = CGROUPS / controller
        else:
            continue
        inside = root / place.strip("/")
        # Inside a container the path may be that of the host, and only the root is mounted.
        yield from (f for f in (inside, *inside.parents) if f.is_relative_to(root) and f.is_dir())


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _of_table(file: Path, name: str) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in file.read_text().splitlines():
            if line.split(" ")[0] == name:
                return int(line.split(" ")[1])
    return 0


def nvidia_smi() -> list[dict[str, Any]]:
    """Return the cards as ``nvidia-smi`` lists them; it takes no memory of a card.

    Raises:
        OSError: There is none.
        subprocess.SubprocessError: It did not answer in time, or failed.
        ValueError: Its answer describes no card.
    """
    fields = ("uuid", "name", "memory.total", "memory.free", "compute_cap", "driver_version")
    asked = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    told = output_of(asked, _SECONDS)
    cards = []
    for line in told.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) != len(fields):
            continue
        card: dict[str, Any] = dict(zip(fields, values, strict=True))
        for name in ("memory.total", "memory.free"):
            mebibytes = re.fullmatch(r"[0-9]{1,12}", card[name])
            card[name] = int(card[name]) * 2**20 if mebibytes else None
        cards.append(card)
    if not cards and told.strip():
        raise ValueError(f"its answer describes no card: {told.strip()[:100]!r}")
    return cards


def storage(what: str, folder: Path) -> dict[str, Any]:
    """Describe where things are written.

    Args:
        what: What it is for.
        folder: It need not exist: then the nearest one above it counts.
    """
    from tarazu.record.mounted import file_system

    place = nearest(folder)
    disk = shutil.disk_usage(place)
    return {
        "what": what,
        "path": str(folder),
        "total": disk.total,
        "free": disk.free,
        "writable": why_not_writable(place) is None,
        "reason": why_not_writable(place),
        "file_system": file_system(place),
    }


def nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path(folder.anchor))


def why_not_writable(folder: Path) -> str | None:
    """Return why nothing can be written into a folder; nothing is left there."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def size_of(folder: Path, seconds: float) -> dict[str, Any]:
    """Count the bytes below a folder, each file once.

    Args:
        folder: It may be missing.
        seconds: After which it is enough: `whole` then is false.
    """
    until, total, files, whole = time.monotonic() + seconds, 0, 0, True
    seen: set[tuple[int, int]] = set()
    left = [folder]
    while left:
        if time.monotonic() > until:
            whole = False
            break
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
                        continue
                    told = entry.stat(follow_symlinks=False)
                    if told.st_nlink == 1 or (told.st_dev, told.st_ino) not in seen:
                        seen.add((told.st_dev, told.st_ino)) if told.st_nlink > 1 else None
                        total, files = total + told.st_size, files + 1
    return {"bytes": total, "files": files, "whole": whole}


def variables() -> dict[str, list[str]]:
    """Return the names of variables that are set and matter; never their values."""
    groups = {"network": NETWORK, "scheduler": SCHEDULER, "compute": COMPUTE, "places": PLACES}
    return {
        group: [name for name in names if name in os.environ] for group, names in groups.items()
    }


def versions() -> dict[str, str]:
    """Return the versions of all that computes, of Python and of what shows results."""
    from tarazu.record.environment import versions as counted

    return counted()


def unmet() -> list[tuple[str, str]]:
    """Return the requirements of tarazu that are not met, each with what is installed instead."""
    from importlib import metadata

    from packaging.requirements import Requirement

    found = []
    for text in metadata.requires("tarazu") or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            found.append((f"{needed.name}{needed.specifier}", "nothing"))
            continue
        if not needed.specifier.contains(version, prereleases=True):
            found.append((f"{needed.name}{needed.specifier}", version))
    return found
