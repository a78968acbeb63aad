"""Memory that a run frees stays with its process.

glibc gives large blocks back to the system as soon as they are free, and an update frees gradients
and activations by the gigabyte: the next one has every page of them made and cleared anew. The
limits of `mallopt(3)` are of the whole process, so only the process of a run raises them.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from typing import Any

# From <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_BLOCK = 1 << 28  # larger ones come from the system and go back: kept, they leave holes as large
_ALL = (1 << 31) - 1  # the largest int: the heap is never cut back by itself


@cache
def _glibc() -> Any | None:
    """Return the C library where it is glibc."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


@cache
def keep_memory() -> bool:
    """Let freed memory stay with this process; say whether the C library knows how."""
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(_MMAP_THRESHOLD, _BLOCK) and library.mallopt(_TRIM_THRESHOLD, _ALL))


def give_memory_back() -> None:
    """Give what is free back to the system, so that the peak that follows is not of before."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
