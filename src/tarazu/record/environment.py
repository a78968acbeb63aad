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
    packages = {name: _version(name) for name in PACKAGES}
    packages["python"] = platform.python_version()
    return Environment(
        hash=sha256_text(canonical_json(packages)),
        packages=packages,
        device=device,
        dtype=dtype,
        threads=threads,
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
