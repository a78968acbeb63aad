"""Pages of weight files that are read once need not stay in memory.

Weights are mapped from their files, and a page that was read counts as the process's memory until
the system takes it back. Where weights are quantised while they are read, the file is not needed
afterwards: an 8B model has 16 GB of pages beside the 6 GB that are held.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DONTNEED = 4  # MADV_DONTNEED of <sys/mman.h>: pages that are read again come from the file
_INTERVAL = 0.2  # seconds
_ENOUGH = 1 << 30  # bytes of pages that may stay
_MAPS, _STATUS = Path("/proc/self/maps"), Path("/proc/self/status")


@contextmanager
def pages_given_back(folder: Path) -> Iterator[None]:
    """Give pages of a model's files back while the block reads them, and in the end.

    Nothing may write to mapped tensors meanwhile: what is written in place would be lost.

    Args:
        folder: Holds the safetensors files.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_INTERVAL):
            if _resident_file_bytes() > _ENOUGH:
                give_pages_back(folder)

    thread = threading.Thread(target=watch, name="pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        give_pages_back(folder)


def give_pages_back(folder: Path) -> None:
    """Let the system have the pages of a folder's safetensors files that this process has read.

    Args:
        folder: Holds the files.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    # A cache of the Hub links to files of other names.
    files = {str(path.resolve()) for path in folder.glob("*.safetensors")}
    with suppress(OSError):
        for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and fields[5] in files:
                first, last = (int(address, 16) for address in fields[0].split("-"))
                library.madvise(first, last - first, _DONTNEED)


def _resident_file_bytes() -> int:
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssFile:"):
                return int(line.split()[1]) * 1024
    return 0
