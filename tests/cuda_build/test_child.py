"""Single steps in the processes of runs, with the CUDA build and no driver."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.cuda_build

DRIVER = "Found no NVIDIA driver"
FORKED = "Cannot re-initialize CUDA in forked subprocess"
InChild = Callable[..., dict[str, Any]]

FORK = """
import json, os, sys, torch
if sys.argv[1] == "ask":
    torch.cuda.is_available()
reading, writing = os.pipe()
pid = os.fork()
if not pid:
    os.write(writing, json.dumps(torch.cuda._is_in_bad_fork()).encode())
    os._exit(0)
os.waitpid(pid, 0)
print(os.read(reading, 100).decode())
"""


@pytest.mark.parametrize(("first", "bad"), [("ask", True), ("nothing", False)])
def test_torch_notes_without_a_driver_that_a_fork_came_too_late(
    give: Callable[..., Any], first: str, bad: bool
) -> None:
    """What all these tests rely on."""
    done = give("-c", FORK, first)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is bad


@pytest.fixture(params=["", "count", "answers"], scope="module")
def done(request: pytest.FixtureRequest, in_child: InChild) -> dict[str, Any]:
    """Return what came of all steps: without a card, with one that fails, and one that answers."""
    names = ("state", "after_templates", "measured", "no_memory")
    return in_child(*names, TARAZU_TEST_CARD=request.param)


@pytest.mark.parametrize("name", ["state", "after_templates"])
def test_a_run_may_use_cuda(done: dict[str, Any], name: str) -> None:
    assert done[name]["bad_fork"] is False
    assert DRIVER in done[name]["error"]


def test_meters_need_no_driver(done: dict[str, Any]) -> None:
    """Of a card that cannot be initialised, as of one that is not used, there is no peak."""
    assert done["measured"].get("resident", 0) > 0, done["measured"]
    assert DRIVER in done["measured"]["error"]


def test_a_card_without_memory_is_told_whether_or_not_it_still_answers(
    done: dict[str, Any],
) -> None:
    assert done["no_memory"]["failed"] == "OutOfMemory"
    assert "CUDA out of memory" in done["no_memory"]["reason"]


@pytest.mark.parametrize("module", ["peft", "bitsandbytes", "asks_for_devices"])
def test_a_run_may_not_where_the_fork_server_asked_for_devices(
    in_child: InChild, module: str
) -> None:
    """The check above, with the mistake in."""
    found = in_child("state", TARAZU_TEST_PRELOAD=module)["state"]
    assert found["bad_fork"] is True
    assert FORKED in found["error"]


EVERY_MODULE = """
import importlib, json, pkgutil, sys, types, torch

called, first = [], {}

def recorded(name, function):
    def call(*arguments, **named):
        called.append(name)
        return function(*arguments, **named)
    return call

for name in ("is_available", "device_count", "init", "_lazy_init"):
    setattr(torch.cuda, name, recorded(name, getattr(torch.cuda, name)))
torch._C._cuda_getDeviceCount = recorded("_cuda_getDeviceCount", torch._C._cuda_getDeviceCount)
torch._C._cuda_init = recorded("_cuda_init", torch._C._cuda_init)

import tarazu

names = [one.name for one in pkgutil.walk_packages(tarazu.__path__, "tarazu.")]
for name in [*names, *sys.argv[1:]]:
    importlib.import_module(name)
    if called:
        first[name] = sorted(set(called))
        called.clear()
print(json.dumps({"modules": names, "asked": first}))
"""


def test_importing_any_module_asks_for_no_device(give: Callable[..., Any]) -> None:
    done = give("-c", EVERY_MODULE, "bitsandbytes")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["modules"]) > 200
    assert {"tarazu.preload", "tarazu.work", "tarazu.models.merge"} <= set(found["modules"])
    # The last one shows that the watch sees what it looks for.
    assert list(found["asked"]) == ["bitsandbytes"]
    assert {"is_available", "_cuda_getDeviceCount"} <= set(found["asked"]["bitsandbytes"])
