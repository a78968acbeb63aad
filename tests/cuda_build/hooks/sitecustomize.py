"""A pretended card, and a log of started processes, in every Python that the tests start.

Nothing here answers in place of PyTorch: the CUDA build is asked first, so that it notes, as on a
machine with a card, that this process and its forks have touched CUDA. Only where it gives up for
want of a driver is there an answer in its place. The variables:

- ``TARAZU_TEST_CARD``: ``count`` pretends that a card is there; ``answers`` that it can also be
  asked for its properties and its memory. Computing on it ends at the missing driver.
- ``TARAZU_TEST_PRELOAD``: modules that the fork server imports besides its own.
- ``TARAZU_TEST_PROCESSES``: a file that gets a line of JSON for every process that is started.
"""

import importlib.util
import json
import os
import sys

GIBIBYTE = 1 << 30
# What a run asks of a card beside computing on it, and what one with 16 GiB would answer.
ANSWERS = {
    "get_device_capability": (8, 0),
    "get_device_name": "Pretended card",
    "mem_get_info": (15 * GIBIBYTE, 16 * GIBIBYTE),
    "max_memory_allocated": 0,
    "max_memory_reserved": 0,
    "reset_peak_memory_stats": None,
}


def _without_driver(function, answer):
    def call(*arguments, **named):
        try:
            return function(*arguments, **named)
        except RuntimeError as error:
            if "driver" not in str(error):  # such as: in a forked process
                raise
            return answer

    return call


def pretend_card(cuda):
    """Let `torch.cuda` find a card, unless CUDA_VISIBLE_DEVICES hides it."""
    core = sys.modules["torch._C"]
    if not hasattr(core, "_cuda_getDeviceCount"):
        raise RuntimeError("torch must be a CUDA build")
    count = core._cuda_getDeviceCount
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    core._cuda_getDeviceCount = lambda: max(count(), 0 if hidden else 1)
    if os.environ["TARAZU_TEST_CARD"] == "answers":
        for name, answer in ANSWERS.items():
            setattr(cuda, name, _without_driver(getattr(cuda, name), answer))


def preload_more(module):
    """Import what a fork server must not import."""
    for name in os.environ["TARAZU_TEST_PRELOAD"].split():
        __import__(name)


class _AfterImport:
    """Calls functions with modules when they have been imported, before anybody uses them."""

    def __init__(self, actions):
        self._actions = actions

    def find_spec(self, name, path=None, target=None):
        if (action := self._actions.pop(name, None)) is None:
            return None
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            action(module)

        spec.loader.exec_module = exec_module
        return spec


def _log_processes(file):
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hear(event, arguments):
        if event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"):
            frame = sys._getframe(1)
            what = {
                "event": event,
                "by": frame.f_code.co_filename,
                "program": [str(one) for one in arguments[1]] if arguments[1:] else [],
            }
            os.write(log, json.dumps(what).encode() + b"\n")

    sys.addaudithook(hear)


_wanted = {"TARAZU_TEST_CARD": ("torch.cuda", pretend_card)}
_wanted |= {"TARAZU_TEST_PRELOAD": ("tarazu.preload", preload_more)}
if _actions := dict(what for name, what in _wanted.items() if os.environ.get(name)):
    sys.meta_path.insert(0, _AfterImport(_actions))
if os.environ.get("TARAZU_TEST_PROCESSES"):
    _log_processes(os.environ["TARAZU_TEST_PROCESSES"])
