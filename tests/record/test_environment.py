from __future__ import annotations

import platform
import subprocess
import sys

import numpy
import pytest

from tarazu.record import environment as module
from tarazu.record.environment import (
    PACKAGES,
    changed,
    environment,
    same_hashes,
    versions,
    versions_hash,
)


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


def test_records_from_before_a_package_was_counted_are_not_stale_for_that() -> None:
    now = versions()
    before = {name: one for name, one in now.items() if name not in ("gguf", "jinja2")}
    assert len(before) == len(now) - 2
    assert versions_hash(before) in same_hashes(now)
    assert versions_hash(now) in same_hashes(now)
    assert changed(before, now) == {}
    for name in now:
        other = {**now, name: "0"}
        assert versions_hash(other) not in same_hashes(now)
        assert changed(other, now) == {name: ("0", now[name])}
    for name in before:
        assert versions_hash({**before, name: "0"}) not in same_hashes(now)


def test_absent_package_is_said() -> None:
    assert module._version("surely-not-a-package") == "absent"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from tarazu.record.environment import environment;"
        "environment('cpu', 'float32', 1);"
        "assert not {'torch', 'transformers', 'numpy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
