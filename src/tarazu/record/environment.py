"""Which versions computed a result: another version makes a record stale, not another run."""

from __future__ import annotations

import platform
from importlib import metadata

from tarazu.record.key import canonical_json, sha256_text
from tarazu.record.record import Environment, Hardware

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
    "gguf",
    "jinja2",
)
_COUNTED_LATER = ("gguf", "jinja2")


def environment(
    device: str, dtype: str, threads: int, hardware: Hardware | None = None
) -> Environment:
    """Describe what computes: package versions, and where and how precisely.

    Versions are read from the packages' metadata; nothing is imported.

    Args:
        device: ``cpu`` or ``cuda``.
        dtype: Name of the compute precision.
        threads: CPU threads.
        hardware: Processor and card, by whoever has torch loaded (`tarazu.models.hardware`).

    Returns:
        The description. Its hash is over the versions only, since device, precision and, on the
        CPU, threads belong to the content key of a run; the hardware belongs to neither.
    """
    packages = versions()
    return Environment(
        hash=versions_hash(packages),
        packages=packages,
        device=device,
        dtype=dtype,
        threads=threads,
        hardware=hardware,
    )


def versions() -> dict[str, str]:
    """Return the versions of all that computes, by name; nothing is imported."""
    return {**{name: _version(name) for name in PACKAGES}, "python": platform.python_version()}


def versions_hash(packages: dict[str, str]) -> str:
    """Return the hash of some versions, as in `Environment.hash`."""
    return sha256_text(canonical_json(packages))


def same_hashes(packages: dict[str, str]) -> frozenset[str]:
    """Return the hashes of records that some versions do not make stale.

    Records from before a package was counted do not say its version: that alone makes no run again.
    """
    before = {name: one for name, one in packages.items() if name not in _COUNTED_LATER}
    return frozenset((versions_hash(packages), versions_hash(before)))


def changed(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the packages whose versions differ, each with both; ``absent`` where there is none.

    One that was not yet counted before is left out: what it was is not known.
    """
    pairs = {
        name: (before.get(name, "absent"), after.get(name, "absent"))
        for name in sorted({*before, *after})
        if name in before or name not in _COUNTED_LATER
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
