"""A Python that has made its imports: a command given to it is a fork of it, and starts at once.

A real command spends most of its life on imports, its own and those of the fork server; a tiny
study needs a second. Where hundreds of commands are killed, that decides how many can be. What is
imitated: a command's environment, folder, process group and files, and runs in processes of their
own. What is not: the fork server (a run is a fork of the study) and a new seed of hashes in every
command; the commands of `make faults` have both.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What the runs of tiny studies import.
_IMPORTS = (
    "tarazu.study",
    "tarazu.work",
    "tarazu.cli",
    "tarazu.report.api",
    "tarazu.report.progress_view",
    "peft",
    "bitsandbytes",
    "transformers.models.bert.modeling_bert",
    "transformers.models.llama.modeling_llama",
)


class Fork:
    """A command on its way, as `subprocess.Popen` has it.

    Args:
        pid: Its process, the leader of a group.
        server: Tells when it has ended.
    """

    def __init__(self, pid: int, server: Ready) -> None:
        self.pid = pid
        self._server = server
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code, negative after a signal.

        Raises:
            subprocess.TimeoutExpired: It has not ended by then.
        """
        if self._code is None:
            self._code = self._server.heard(timeout)
        return self._code

    def kill(self) -> None:
        """Kill its leader."""
        os.kill(self.pid, signal.SIGKILL)


class Ready:
    """Gives commands, one at a time, to a Python that has made its imports.

    Args:
        variables: Its environment besides this one's.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            # Forks could not use a card that these imports have asked for.
            env={**os.environ, **variables, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what waits in a buffer is not seen by select
        )

    def give(
        self, program: str, words: Sequence[str], folder: Path, variables: Mapping[str, str]
    ) -> Fork:
        """Run a program in a fork; what it says goes to the file ``said`` of the folder."""
        asked = {
            "program": program,
            "words": list(words),
            "folder": str(folder),
            "variables": dict(variables),
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(asked).encode() + b"\n")
        self._server.stdin.flush()
        return Fork(self.heard(None), self)

    def heard(self, timeout: float | None) -> int:
        """Return the number that the server says next.

        Raises:
            subprocess.TimeoutExpired: It says nothing for so many seconds.
        """
        assert self._server.stdout is not None
        if not select.select([self._server.stdout], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a fork", timeout or 0)
        return int(self._server.stdout.readline())

    def __enter__(self) -> Ready:
        """Return it."""
        return self

    def __exit__(self, *about: object) -> None:
        """End the server."""
        self._server.kill()
        self._server.wait()


def _serve() -> None:
    for name in _IMPORTS:
        __import__(name)
    for line in sys.stdin:
        stands, tells = os.pipe()
        pid = os.fork()
        if not pid:
            os.setsid()
            os.close(tells)
            _become(json.loads(line))
        os.close(tells)
        os.read(stands, 1)  # ends when the fork leads a group, which may then be killed
        os.close(stands)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become(asked: dict[str, Any]) -> None:
    """Be the command that is asked for; does not return."""
    import multiprocessing
    import tempfile
    from multiprocessing import context, forkserver

    os.chdir(asked["folder"])
    os.environ.update(asked["variables"])
    tempfile.tempdir = None  # TMPDIR may be another one now
    for number, file in ((0, os.devnull), (1, os.devnull), (2, "said")):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644), number)
    # The study asks for a fork server, which would make its imports anew.
    context._concrete_contexts["forkserver"] = multiprocessing.get_context("fork")
    forkserver.ensure_running = lambda: None
    code = 1
    try:
        import sitecustomize

        sitecustomize.install_from_environment()
        sys.argv[1:] = asked["words"]
        exec(compile(asked["program"], "command", "exec"), {"__name__": "__main__"})
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
