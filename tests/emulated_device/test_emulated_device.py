"""Runs what is in ``inside`` in processes of its own: a device is registered once and for good.

The second device is torch's PrivateUse1 over host memory (``backend.cpp``), which refuses what CUDA
refuses. So every method runs on something that is not the CPU, on machines that have only that.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import device

INSIDE = Path(__file__).parent / "inside"
# Fewest tests of each file and tier, so that none vanish unseen.
UNIT = {"test_rules.py": 40, "test_cases.py": 100, "test_mistakes.py": 14}
SLOW = {"test_cases.py": 200, "test_mistakes.py": 1}


@pytest.fixture(scope="session")
def library(pytestconfig: pytest.Config) -> Path:
    """Compile the device, once for all workers; pytest's cache has it for the next time."""
    if device.compiler() is None:
        pytest.skip("the emulated device is C++, and there is no C++ compiler here")
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("emulated-device")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return device.build(folder)


def run_inside(file: str, marks: str, library: Path, report: Path) -> ElementTree.Element:
    """Run a file's tests on the device and return the counts of its report."""
    command = [
        *(sys.executable, "-m", "pytest", str(INSIDE / file), "-q", "-p", "no:xdist"),
        *("-p", "no:cacheprovider", "--show-capture=no", "-m", marks, f"--junitxml={report}"),
    ]
    given = {**os.environ, "EMULATED_DEVICE_LIBRARY": str(library), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=INSIDE.parents[2], env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    return suite


@pytest.mark.parametrize("file", UNIT)
def test_on_the_emulated_device(file: str, library: Path, tmp_path: Path) -> None:
    suite = run_inside(file, "not slow", library, tmp_path / "report.xml")
    assert int(suite.attrib["tests"]) >= UNIT[file]
    assert suite.attrib["skipped"] == "0"


@pytest.mark.slow
@pytest.mark.parametrize("file", SLOW)
def test_the_rest_on_the_emulated_device(file: str, library: Path, tmp_path: Path) -> None:
    suite = run_inside(file, "slow", library, tmp_path / "report.xml")
    assert int(suite.attrib["tests"]) >= SLOW[file]
    assert suite.attrib["skipped"] == "0"


def test_this_process_knows_no_such_device() -> None:
    """Else other tests in it would find an accelerator."""
    import torch

    assert torch._C._get_privateuse1_backend_name() == "privateuseone"
    assert not hasattr(torch, device.NAME)


def test_files_inside_are_not_collected_without_the_device(tmp_path: Path) -> None:
    given = {n: v for n, v in os.environ.items() if n != "EMULATED_DEVICE_LIBRARY"}
    command = [sys.executable, "-m", "pytest", str(INSIDE.parent), "-q", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--collect-only"],
        cwd=INSIDE.parents[2], env=given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "test_emulated_device.py" in done.stdout
    assert "inside/" not in done.stdout
