"""Other programs asked for a few lines: whatever they do, the answer comes in bounded time."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

_LONGEST = 1 << 20  # bytes of an answer


def output_of(command: Sequence[str], seconds: float) -> str:
    """Return what a program writes to its standard output; bytes that are no UTF-8 become U+FFFD.

    A program that hangs in a driver cannot even be killed: it is left alone. So is a process that
    it has left behind, which may hold its output open.

    Args:
        command: The program and its arguments.
        seconds: That it may take.

    Raises:
        OSError: The program cannot be started.
        subprocess.SubprocessError: It has not answered in time, has failed, or writes without end.
    """
    until = monotonic() + seconds
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    assert process.stdout is not None
    output, told = process.stdout, bytearray()

    def read() -> None:
        with suppress(OSError, ValueError):
            while len(told) <= _LONGEST and (piece := output.read(1 << 16)):
                told.extend(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        reader.join(seconds)
        if reader.is_alive():
            raise subprocess.TimeoutExpired(command, seconds)
        if len(told) > _LONGEST:
            raise subprocess.SubprocessError(f"{command[0]} wrote more than {_LONGEST:,} bytes")
        code = process.wait(max(until - monotonic(), 0.1))
    finally:
        if process.poll() is None:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
        reader.join(0.1)
        if not reader.is_alive():  # else closing would wait for whoever holds the other end
            output.close()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return told.decode("utf-8", "replace")
