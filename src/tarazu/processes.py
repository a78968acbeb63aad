"""Each run in a process of its own: its peak memory is its own, and a crash takes one run only.

Processes are forked from a server that has the imports loaded, so that they are paid for once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any, TypeVar

from tarazu.errors import BadInput
from tarazu.memory_errors import out_of_memory as _out_of_memory
from tarazu.record.progress import STOPPING, Progress
from tarazu.scrub import scrub
from tarazu.signals import (
    PATIENCE,
    Stopped,
    ask_to_stop,
    at_once,
    breakable,
    deferred,
    interrupted,
    obey,
    unbroken,
)
from tarazu.training.surroundings import settle, settled

Result = TypeVar("Result")
Tell = Callable[[Progress], None]
_GLANCE = 0.25  # seconds between two looks at whether the study was interrupted
_handed_on: ContextVar[tuple[int, ...]] = ContextVar("_handed_on", default=())


@contextmanager
def handing_on(descriptor: int) -> Iterator[None]:
    """Let the processes of runs that are started inside hold a file open as long as they live."""
    before = _handed_on.set((*_handed_on.get(), descriptor))
    try:
        yield
    finally:
        _handed_on.reset(before)


class RunFailed(Exception):
    """A run came to no result.

    Args:
        reason: In one sentence.
        details: The traceback of its process, for the log.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        self.reason = reason
        self.details = details
        super().__init__(reason, details)


class OutOfMemory(RunFailed):
    """A run's process had no more memory, or was killed by the system as when there is none.

    Args:
        reason: In one sentence.
        details: The traceback of its process.
        peak: Bytes that it had, at least; of the accelerator where that ran out.
        free: Bytes that were free afterwards.
    """

    def __init__(self, reason: str, details: str = "", peak: int = 0, free: int = 0) -> None:
        super().__init__(reason, details)
        self.args = (reason, details, peak, free)
        self.peak = peak
        self.free = free


def in_own_process(work: Callable[..., Result], *arguments: Any, tell: Tell) -> Result:
    """Call `work(*arguments, tell=…)` in a process of its own.

    Args:
        work: A function of a module; it, its arguments and its result are sent between processes.
        *arguments: Its arguments.
        tell: Hears its progress, in this process.

    Returns:
        Its result.

    Raises:
        BadInput: As raised by `work`.
        RunFailed: It raised something else, or was killed.
        KeyboardInterrupt: The study was interrupted, and the process has stopped.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tarazu.preload"])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(sender, _Held(_handed_on.get()), work, arguments), daemon=False
    )
    with deferred():
        try:
            with at_once():  # the fork server may take long to load, and there is nothing to keep
                _start(process)
            sender.close()
            return _listen(receiver, process, tell)  # type: ignore[no-any-return]
        finally:
            if process.pid is not None:
                process.kill()
            receiver.close()
            if process.pid is not None:
                process.join()


def _start(process: Any) -> None:
    """Start a process of the fork server, which is to hear nothing of Ctrl-C and SIGTERM.

    Both go to the whole group, and would end it while it loads: what is blocked here is blocked
    there.
    """
    with _nameless_main(), _safe_path(), settled():
        resource_tracker.ensure_running()  # it would unblock them
        usual = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, usual)
        process.start()


def _listen(receiver: Connection, process: Any, tell: Tell) -> Any:
    deadline: float | None = None
    peak = 0
    while True:
        peak = max(peak, _peak(process.pid))
        if deadline is None and interrupted():
            deadline = time.monotonic() + PATIENCE
            ask_to_stop(process.pid)
            tell(STOPPING)
        if deadline is not None and time.monotonic() > deadline:
            raise KeyboardInterrupt  # it does not answer: the checkpoint before this one is there
        if not receiver.poll(_GLANCE):
            continue
        try:
            kind, value = receiver.recv()
        except (EOFError, OSError):  # the latter when it was killed in the middle of a message
            process.join()
            if interrupted():
                raise KeyboardInterrupt from None
            reason = _cause_of_death(process.exitcode)
            if process.exitcode == -signal.SIGKILL:
                raise OutOfMemory(reason, peak=peak, free=_free()) from None
            raise RunFailed(reason) from None
        if deadline is not None and kind != "result":
            if kind != "progress":
                raise KeyboardInterrupt
        elif kind == "progress":
            tell(value)
        elif kind == "result":
            return value
        else:
            raise value


def _cause_of_death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", perhaps because memory ran out" if -code == signal.SIGKILL else ""
        return f"its process was killed by {name}{hint}"
    return f"its process ended without a result (exit code {code})"


class _Held:
    """Open files on their way to the process of a run, where nobody closes them."""

    def __init__(self, descriptors: tuple[int, ...]) -> None:
        self._descriptors = descriptors

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, tuple(DupFd(descriptor) for descriptor in self._descriptors)


def _received(*descriptors: Any) -> _Held:
    return _Held(tuple(descriptor.detach() for descriptor in descriptors))


def _child(
    sender: Connection, held: _Held, work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    settle()  # the fork server may be older than this study

    def tell(progress: Progress) -> None:
        try:
            with unbroken():
                sender.send(("progress", progress))
        except BrokenPipeError:
            os._exit(1)  # the parent is gone: nobody waits for the result

    with suppress(Stopped, BrokenPipeError), unbroken():
        obey()
        sender.send(_answer(work, arguments, tell))
    sender.close()


def _answer(work: Callable[..., Any], arguments: tuple[Any, ...], tell: Tell) -> tuple[str, Any]:
    try:
        with breakable():
            result = work(*arguments, tell=tell)
    except Stopped:
        return "stopped", RunFailed("its process was asked to stop")
    except BadInput as error:
        return "error", error
    except BaseException as error:
        return "error", _failure(error)
    return "result", result


def _failure(error: BaseException) -> RunFailed:
    """Return what an error of a run's process means, and let go of what it had in memory."""
    reason = f"{type(error).__name__}: {error}".strip()
    details = traceback.format_exc()
    traceback.clear_frames(error.__traceback__)
    reason, details = scrub(reason), scrub(details)  # this takes memory, too
    if not _out_of_memory(error):
        return RunFailed(reason, details)
    if type(error).__name__ == "OutOfMemoryError":
        import torch

        # Else there is nothing to ask, and asking would fail.
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            peak, free = torch.cuda.max_memory_reserved(), torch.cuda.mem_get_info()[0]
            return OutOfMemory(reason, details, peak, free)
    return OutOfMemory(reason, details, _peak(os.getpid()), _free())


def _peak(process: int) -> int:
    """Return the peak resident memory of a process in bytes; 0 where it is not known."""
    return _kibibytes(f"/proc/{process}/status", "VmHWM")


def _free() -> int:
    """Return the bytes of memory that are free; 0 where it is not known."""
    return _kibibytes("/proc/meminfo", "MemAvailable")


def _kibibytes(file: str, name: str) -> int:
    with suppress(OSError), open(file, encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


def _leave_with_parent() -> None:
    """End this process when its parent is gone, killed or not: nobody waits for its result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Keep new processes from importing a `torch.py` of the working folder.

    The fork server and the resource tracker begin as ``python -c``, which looks there first.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def _nameless_main() -> Iterator[None]:
    """Keep the new process from importing the user's script again, guarded or not."""
    main = sys.modules["__main__"]
    hidden = {n: getattr(main, n) for n in ("__file__", "__spec__") if hasattr(main, n)}
    for name in hidden:
        setattr(main, name, None)
    if "__file__" in hidden:
        del main.__file__
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)
