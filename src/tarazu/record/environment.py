"""Which versions computed a result: another version makes a record stale, not another run."""

from __future__ import annotations

import platform
from importlib import metadata

from tarazu.record.key import canonical_json, sha256_text
from tarazu.record.record import Environment

PACKAGES = (
    "tarazu",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "bitsandbytes",
    "tokenizers",
    "numpy",
    "scikit-learn",
)


def environment(device: str, dtype: str, threads: int) -> Environment:
    """Describe what computes: package versions, and where and how precisely.

    Versions are read from the packages' metadata; nothing is imported.

    Args:
        device: ``cpu`` or ``cuda``.
        dtype: Name of the compute precision.
        threads: CPU threads.

    Returns:
        The description. Its hash is over the versions only, since device, precision and threads
        belong to the content key of a run.
    """
    packages = versions()
    return Environment(
        hash=versions_hash(packages),
        packages=packages,
        device=device,
        dtype=dtype,
        threads=threads,
    )


def versions() -> dict[str, str]:
    """Return the versions of all that computes, by name; nothing is imported."""
    return {**{name: _version(name) for name in PACKAGES}, "python": platform.python_version()}


def versions_hash(packages: dict[str, str]) -> str:
    """Return the hash of some versions, as in `Environment.hash`."""
    return sha256_text(canonical_json(packages))


def changed(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the packages whose versions differ, each with both; ``absent`` where there is none."""
    pairs = {
        name: (before.get(name, "absent"), after.get(name, "absent"))
        for name in sorted({*before, *after})
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
