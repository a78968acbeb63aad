"""Ctrl-C and SIGTERM: the first one waits for a safe place, the second one does not.

The study's own process hears them and decides; it asks the process of a run by SIGUSR1, which then
leaves a checkpoint or simply stops. All of this is for the main thread: handlers run there.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

PATIENCE = 7.0
"""Seconds that a run has for its checkpoint: an interrupted study is over within ten."""


class Stopped(BaseException):
    """The process of a run was asked to stop, and is where it can."""


class _Ear(threading.local):
    """Signals heard, and how many blocks have asked to be left alone, in each thread.

    Handlers run in the main thread: studies in other threads neither hear nor defer anything.

    Attributes:
        heard: Signals that came.
        held: Blocks in which the first one waits.
        shut: Blocks in which all of them wait.
        open: Whether anything is listened for.
    """

    def __init__(self) -> None:
        self.heard = 0
        self.held = 0
        self.shut = 0
        self.open = False


_study = _Ear()
_run = _Ear()


@contextmanager
def interruptible() -> Iterator[None]:
    """Take over Ctrl-C and SIGTERM: both become KeyboardInterrupt, at once or after `deferred`.

    A handler that the user has installed is left alone, and an ignored signal stays ignored. In
    another thread than the main one, and inside itself, it does nothing.
    """
    if _study.open or threading.current_thread() is not threading.main_thread():
        yield
        return
    usual: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    taken = [number for number, handler in usual.items() if signal.getsignal(number) == handler]
    _study.heard, _study.open = 0, True
    try:
        for number in taken:
            signal.signal(number, _hear)
        yield
    finally:
        for number in taken:
            signal.signal(number, usual[number])
        _study.heard, _study.open = 0, False


def _hear(number: int, frame: FrameType | None) -> None:
    _study.heard += 1
    _break_in()


def _break_in() -> None:
    first_waits = _study.held and _study.heard < 2
    if _study.heard and not first_waits and not _study.shut:
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """Let the first signal wait until the block is left; a second one breaks in.

    Raises:
        KeyboardInterrupt: On leaving, when one was heard and no other block defers it.
    """
    _study.held += 1
    try:
        yield
    finally:
        _study.held -= 1
    _break_in()


@contextmanager
def at_once() -> Iterator[None]:
    """Let the first signal break into the block, whatever stands around it.

    Raises:
        KeyboardInterrupt: At once, when one was heard before.
    """
    held, _study.held = _study.held, 0
    try:
        _break_in()
        yield
    finally:
        _study.held = held


@contextmanager
def shielded() -> Iterator[None]:
    """Let even a second signal wait until the block is left: it is short, and holds a result.

    Raises:
        KeyboardInterrupt: On leaving, when one was heard that need not wait any longer.
    """
    with deaf():
        yield
    _break_in()


@contextmanager
def deaf() -> Iterator[None]:
    """Let no signal break into the block, nor afterwards for having come in it."""
    _study.shut += 1
    try:
        yield
    finally:
        _study.shut -= 1


def interrupted() -> bool:
    """Say whether a signal waits for its effect."""
    return _study.heard > 0


def ask_to_stop(process: int) -> None:
    """Ask the process of a run to stop; one that has not yet come to `obey` is ended by it."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGUSR1)


def obey() -> None:
    """Make this process one that stops when the study asks it, and only then.

    Ctrl-C and what a batch system sends go to the whole group; the study decides about its runs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    _run.heard += 1
    if not _run.held:
        raise Stopped


def stop_wanted() -> bool:
    """Say whether this process was asked to stop."""
    return _run.heard > 0


@contextmanager
def unbroken() -> Iterator[None]:
    """Keep a request to stop from breaking into the block.

    Raises:
        Stopped: On leaving, when it was asked for and no other block keeps it away.
    """
    _run.held += 1
    try:
        yield
    finally:
        _run.held -= 1
    if stop_wanted() and not _run.held:
        raise Stopped


@contextmanager
def breakable() -> Iterator[None]:
    """Let a request to stop break into the block, whatever stands around it.

    Raises:
        Stopped: At once, when it was asked for before.
    """
    held, _run.held = _run.held, 0
    try:
        if stop_wanted():
            raise Stopped
        yield
    finally:
        _run.held = held
