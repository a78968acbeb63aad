from __future__ import annotations

import subprocess
import sys

import pytest

from tarazu.models.fast.memory import _glibc

PROGRAM = """
import resource, sys
import torch
from tarazu.models.fast.memory import give_memory_back, keep_memory
from tarazu.training.meter import peak_resident, reset_peak

if sys.argv[1] == "keep":
    assert keep_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    for _ in range(8):
        torch.ones(12_000_000)  # 48 MB: more than glibc keeps by itself
work()
before = faults()
work()
made = faults() - before

reset_peak()
held = peak_resident()
give_memory_back()
reset_peak()
print(made, held - peak_resident())
"""


def counted(how: str) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    made, given_back = done.stdout.split()
    return int(made), int(given_back)


@pytest.mark.skipif(_glibc() is None, reason="another C library: memory is left as it is")
def test_freed_memory_is_used_again_and_can_be_given_back() -> None:
    made_anew, _ = counted("as it is")
    kept, given_back = counted("keep")
    # With pages of 2 MiB eight blocks take 184 faults, with those of 4 KiB 94,000.
    assert made_anew >= 160
    assert kept < made_anew / 4
    assert given_back > 40e6
