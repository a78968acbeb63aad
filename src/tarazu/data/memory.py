"""A limit of memory while something foreign is unpacked."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def limited_memory(more: int) -> Iterator[None]:
    """Let this process take only so much address space beside what it has; then ask no more.

    Where the system does not tell what a process has (anything but Linux), there is no limit.

    Args:
        more: Bytes.

    Raises:
        MemoryError: By whatever asks for more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        yield
        return
    ends = [end for end in (used + more, soft, hard) if end != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(ends), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
