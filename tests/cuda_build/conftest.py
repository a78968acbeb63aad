"""The environment of these tests, and commands that are given in it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
HOOKS = Path(__file__).parent / "hooks"
DRIVER = "Found no NVIDIA driver"


@pytest.fixture(scope="session", autouse=True)
def _cuda_build_without_a_driver() -> None:
    """Fail where these tests could not fail: another build, another version, or a driver."""
    remedy = "Run `make test-cuda-build`."
    assert torch.version.cuda is not None, f"torch {torch.__version__} is no CUDA build. {remedy}"
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    version = torch.__version__.partition("+")[0]
    assert version == pins["torch"], f"torch must be {pins['torch']}, not {version}. {remedy}"
    with pytest.raises(RuntimeError, match=DRIVER):  # with one, nothing here would stop at it
        torch.cuda.init()


Give = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def give(tmp_path_factory: pytest.TempPathFactory) -> Give:
    """Return a way to start a new Python with the hooks: `give("-c", code, TARAZU_TEST_CARD=…)`."""
    home = tmp_path_factory.mktemp("home")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TARAZU_", "CUDA_"))}
    source = Path(sys.modules["tarazu"].__path__[0]).parent  # what this test tests

    def command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        own = {
            "PYTHONPATH": os.pathsep.join(map(str, (HOOKS, source))),
            "TARAZU_LEDGER": str(home / "ledger.jsonl"),
            "TARAZU_CACHE": str(home / "cache"),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(
            [sys.executable, *words],
            env={**inherited, **own, **variables},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return command


@pytest.fixture(scope="session")
def in_child(give: Give) -> Callable[..., dict[str, Any]]:
    """Return a way to call functions of ``hooks/in_child.py``, each in a run's process."""

    @functools.cache
    def call(*names: str, **variables: str) -> dict[str, Any]:
        done = give(str(HOOKS / "in_child.py"), *names, **variables)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return call
