"""A model's chat template, run under limits of time, memory and length.

A template is a program that comes with a model. transformers runs it in Jinja's sandbox, which
keeps it from Python's own objects but lets it loop for ever or fill the memory. So it runs in one
process beside this one, without our environment's secrets, which is ended when it takes too long.
Its time is processor time: a busy machine or a stopped study makes no template wrong.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tarazu.errors import bad

SECONDS = 5.0
"""Processor time for one dialogue. A usual template takes less than a thousandth."""
PATIENCE = 120.0
"""Seconds until an answer is given up, however little the process was let run."""
LONGEST = 4_000_000
"""Characters beside those of the dialogue itself."""
_START = 300.0
# Nothing else of the environment is there to be read: no token, no password.
_KEPT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV")


class TemplateError(Exception):
    """What a template says is wrong with a dialogue, such as that it has no system role."""


class _Stuck(Exception):
    """The process gave no answer."""


class _Worker:
    """The process and its pipes."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "HF_HUB_OFFLINE": "1",
        }
        file = Path(__file__).with_name("_chat_worker.py")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(file)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the study; the closed pipe ends this one
        )

    def wait(self) -> None:
        """Wait until requests can be asked.

        Raises:
            _Stuck: The process did not start.
        """
        self._answer(_START)

    def ask(self, request: dict[str, Any]) -> dict[str, str]:
        """Send a request and return its answer.

        Raises:
            _Stuck: None came in time, or the process ended.
        """
        writing = self._process.stdin
        assert writing is not None
        try:
            # Special tokens may be objects of the tokenizer's own.
            writing.write(json.dumps(request, default=str).encode() + b"\n")
            writing.flush()
        except BrokenPipeError:
            raise _Stuck(self._ended()) from None
        return self._answer(PATIENCE)

    def _answer(self, seconds: float) -> dict[str, str]:
        reading = self._process.stdout
        assert reading is not None
        until = time.monotonic() + seconds
        parts = []
        while True:
            # What is there is read even when this process was stopped until after the time.
            left = max(0.0, until - time.monotonic())
            if not select.select([reading], [], [], left)[0]:
                raise _Stuck(f"no answer in {seconds:g} seconds")
            part = os.read(reading.fileno(), 1 << 20)
            if not part:
                raise _Stuck(self._ended())
            parts.append(part)
            if part.endswith(b"\n"):  # one answer to one request: nothing follows it
                answer: dict[str, str] = json.loads(b"".join(parts))
                return answer

    def _ended(self) -> str:
        """Say how the process ended."""
        code = self._process.wait()
        if code == -signal.SIGPROF:
            return f"no answer in {SECONDS:g} seconds"
        return f"its process ended with the code {code}"

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()


_lock = threading.Lock()
_worker: tuple[int, _Worker] | None = None  # with the process that it belongs to


def chat_text(tokenizer: Any, turns: list[dict[str, str]], model: str) -> str:
    """Return a dialogue as the model's template writes it, up to where the model's answer begins.

    Args:
        tokenizer: Of the model.
        turns: Mappings of ``role`` and ``content``.
        model: The model's name in the study, for messages.

    Raises:
        TemplateError: The template refuses the dialogue.
        BadInput: It takes more time or memory, or writes more, than any dialogue needs.
    """
    request = {
        "template": tokenizer.get_chat_template(),
        "turns": turns,
        "tokens": dict(tokenizer.special_tokens_map),
        "longest": LONGEST + sum(len(turn["content"]) for turn in turns),
        "seconds": SECONDS,
    }
    with _lock:
        try:
            answer = _running().ask(request)
        except _Stuck as stuck:
            end_worker()
            answer = {"limit": str(stuck)}
        except BaseException:  # an interruption between question and answer
            end_worker()
            raise
    if "limit" in answer:
        raise bad(
            f"models.{model}",
            f"its chat template must write a dialogue within {SECONDS:g} seconds, little memory "
            f"and {LONGEST} characters more than the dialogue has",
            answer["limit"],
            "Use another model, or set chat: 'off' to ask it without its template.",
        )
    if "error" in answer:
        raise TemplateError(answer["error"])
    return answer["text"]


def start_worker() -> None:
    """Start the process where loading is measured, so that the first answer is not charged."""
    with _lock:
        _running()


def _running() -> _Worker:
    global _worker
    if _worker is None or _worker[0] != os.getpid():
        worker = _Worker()
        try:
            worker.wait()
        except _Stuck as stuck:  # not the template's fault
            worker.end()
            raise RuntimeError(f"the process of chat templates did not start: {stuck}") from None
        _worker = (os.getpid(), worker)
    return _worker[1]


def end_worker() -> None:
    """End the process of this process, if there is one."""
    global _worker
    if _worker is not None and _worker[0] == os.getpid():
        _worker[1].end()
    _worker = None


atexit.register(end_worker)
