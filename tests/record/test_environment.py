from __future__ import annotations

import platform
import subprocess
import sys

import numpy
import pytest

from tarazu.record import environment as module
from tarazu.record.environment import PACKAGES, environment


def test_versions_and_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    here = environment("cpu", "float32", 2)
    assert set(here.packages) == {*PACKAGES, "python"}
    assert here.packages["numpy"] == numpy.__version__
    assert here.packages["python"] == platform.python_version()
    assert (here.device, here.dtype, here.threads) == ("cpu", "float32", 2)
    # What belongs to the content key is not part of the hash; a version is.
    assert environment("cuda", "bfloat16", 8).hash == here.hash
    monkeypatch.setattr(module, "_version", lambda name: "0")
    assert environment("cpu", "float32", 2).hash != here.hash


def test_absent_package_is_said() -> None:
    assert module._version("surely-not-a-package") == "absent"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from tarazu.record.environment import environment;"
        "environment('cpu', 'float32', 1);"
        "assert not {'torch', 'transformers', 'numpy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
