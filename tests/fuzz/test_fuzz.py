"""A few hundred bent inputs at every test run; `make fuzz` reads a hundred thousand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FEED = Path(__file__).with_name("feed.py")


@pytest.mark.parametrize("kind", ["study", "csv", "tsv", "jsonl", "parquet", "gguf", "safetensors"])
def test_bent_inputs_are_accepted_or_refused_and_nothing_else(kind: str) -> None:
    command = [sys.executable, str(FEED), "--kind", kind, "--count", "80", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["examples"] == []
    assert found["broken"] == 0
    assert found["accepted"] + found["refused"] == 80
    assert found["accepted"] > 0
    assert found["refused"] > 0
    assert found["slowest"] < 5
