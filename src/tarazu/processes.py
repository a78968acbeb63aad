"""Each run in a process of its own: its peak memory is its own, and a crash takes one run only.

Processes are forked from a server that has the imports loaded, so that they are paid for once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from tarazu.errors import BadInput
from tarazu.record.progress import Progress
from tarazu.scrub import scrub

Result = TypeVar("Result")
Tell = Callable[[Progress], None]


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
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tarazu.work"])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, work, arguments), daemon=False)
    with _nameless_main():
        process.start()
    sender.close()
    try:
        return _listen(receiver, process, tell)  # type: ignore[no-any-return]
    finally:
        receiver.close()
        if process.is_alive():
            process.kill()
        process.join()


def _listen(receiver: Connection, process: Any, tell: Tell) -> Any:
    while True:
        try:
            kind, value = receiver.recv()
        except EOFError:
            process.join()
            raise RunFailed(_cause_of_death(process.exitcode)) from None
        if kind == "progress":
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


def _child(sender: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches the whole group; the parent decides what becomes of its runs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()

    def tell(progress: Progress) -> None:
        try:
            sender.send(("progress", progress))
        except BrokenPipeError:
            os._exit(1)  # the parent is gone: nobody waits for the result

    try:
        sender.send(("result", work(*arguments, tell=tell)))
    except BadInput as error:
        sender.send(("error", error))
    except BaseException as error:
        reason = scrub(f"{type(error).__name__}: {error}".strip())
        sender.send(("error", RunFailed(reason, scrub(traceback.format_exc()))))

    sender.close()


def _leave_with_parent() -> None:
    """End this process when its parent is gone, killed or not: nobody waits for its result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
