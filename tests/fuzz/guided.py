"""Let coverage guide the bending: inputs that reach new code are kept and bent further.

    python tests/fuzz/guided.py --seconds 300 --report docs/results/fuzz-guided.md

Kinds of input, their readers, the rule and the limits are those of `feed`; what starts a corpus is
what its strategies draw and its readers accept. Atheris (libFuzzer) bends the bytes. It counts the
edges of the control flow of tarazu and of the readers in Python below it; parsers in C, such as
those of Parquet and JSON, tell it nothing. Each kind has a process of its own, which ends at the
first input that breaks the rule.
"""

from __future__ import annotations

import argparse
import faulthandler
import mmap
import os
import platform
import random
import re
import struct
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import feed

INSTRUMENTED = ("gguf", "ruamel", "tarazu")
DRAWN = 200  # of them those that are accepted start the corpus
LONGEST = 1 << 14
_STATE = re.compile(r"^#\d+\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)", re.MULTILINE)
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)


def fuzz(kind: str, seed: int, folder: Path, flags: list[str]) -> None:
    """Feed a kind in this process; libFuzzer ends it."""
    import atheris

    faulthandler.enable()
    file = feed.input_file(kind, folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    with atheris.instrument_imports(include=INSTRUMENTED):
        feed.read_sound(kind, file)
        sow(kind, seed, file, corpus)
    with (folder / "counts").open("w+b") as kept:
        kept.truncate(16)
        counts = mmap.mmap(kept.fileno(), 16)  # libFuzzer leaves no time to write anything
    fed = {"accepted": 0, "refused": 0}

    def one(data: bytes) -> None:
        file.write_bytes(data)
        fed[feed.judge(kind, file)] += 1
        counts[:] = struct.pack("<QQ", *fed.values())

    def bend(data: bytes, longest: int, number: int) -> bytes:
        return bent_inside(data, longest, random.Random(number), atheris.Mutate)

    more = {"custom_mutator": bend} if kind == "safetensors" else {}
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one, **more)
    atheris.Fuzz()


def sow(kind: str, seed: int, file: Path, corpus: Path) -> None:
    """Write what the strategies draw and the readers accept as the first inputs of a corpus."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from inputs import KINDS

    def one(data: bytes) -> None:
        file.write_bytes(data)
        if len(data) <= LONGEST and feed.judge(kind, file) == "accepted":
            (corpus / f"{len(os.listdir(corpus))}").write_bytes(data)

    settings(
        max_examples=DRAWN, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(seeded(seed)(given(KINDS[kind])(one)))()  # fmt: skip


def bent_inside(data: bytes, longest: int, dice: random.Random, mutate: Any) -> bytes:
    """Bend a safetensors file; in most cases its header only, whose length is then stated anew.

    Args:
        data: The file.
        longest: Bytes that the outcome may have.
        dice: Decides which of the two.
        mutate: Bends bytes to at most so many.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 9 or not 0 < length <= len(data) - 8 or dice.random() < 0.25:
        return bytes(mutate(data, longest))
    rest = data[8 + length :]
    header = bytes(mutate(data[8 : 8 + length], max(1, longest - 8 - len(rest))))
    return struct.pack("<Q", len(header)) + header + rest


def guide(kind: str, seed: int, *limits: str) -> dict[str, Any]:
    """Feed a kind in a process of its own; return counts, coverage, memory and what broke.

    Args:
        kind: Of input.
        seed: Of the first inputs and of libFuzzer.
        limits: When to end, as libFuzzer's flags.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flags = [
            *limits, f"-seed={seed + 1}", f"-timeout={feed.STUCK:.0f}", f"-max_len={LONGEST}",
            f"-rss_limit_mb={feed.MEMORY >> 20}", f"-artifact_prefix={folder}/broken-",
            "-print_final_stats=1", "-report_slow_units=3600",
        ]  # fmt: skip
        command = [sys.executable, __file__, "--kind", kind, "--seed", str(seed)]
        done = subprocess.run(
            [*command, "--folder", name, *(f"--flag={flag}" for flag in flags)],
            capture_output=True, check=False,
        )  # fmt: skip
        said = done.stderr.decode(errors="replace")
        counts = folder / "counts"
        accepted, refused = struct.unpack("<QQ", counts.read_bytes() if counts.exists() else bytes(16))  # noqa: E501
        artifacts = [*folder.glob("broken-*"), *folder.glob("input.*")]
        data = artifacts[0].read_bytes() if artifacts else b""
    states = [tuple(map(int, state)) for state in _STATE.findall(said)] or [(0, 0)]
    stats = {key: int(value) for key, value in _STAT.findall(said)}
    said = "\n".join(x for x in said.splitlines() if not x.startswith(("INFO", "#", "stat::")))
    return {
        "kind": kind, "accepted": accepted, "refused": refused, "edges": (states[0][0], states[-1][0]),
        "corpus": (states[0][1], states[-1][1]), "peak": stats.get("peak_rss_mb", 0),
        "rate": stats.get("average_exec_per_sec", 0), "broken": int(done.returncode != 0),
        "examples": [
            {"input": repr(data), "error": f"exit code {done.returncode}\n{said[-4000:]}"}
        ] if done.returncode else [],
    }  # fmt: skip


def main() -> int:
    """Run the kinds one after the other, or one in this process."""
    from inputs import KINDS

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=60, help="of each kind")
    options.add_argument("--kind", choices=KINDS, action="append", help="may be said more than once")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--report", type=Path)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--flag", action="append", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.folder:
        fuzz(given.kind[0], given.seed, given.folder, given.flag)
    results = []
    for kind in given.kind or KINDS:
        results.append(guide(kind, given.seed, f"-max_total_time={given.seconds}"))
        print({**results[-1], "examples": "…"}, file=sys.stderr, flush=True)
        for example in results[-1]["examples"]:
            print(f"{kind}: {example['input']}\n{example['error']}", file=sys.stderr, flush=True)
    return int(any(result["broken"] for result in results))


if __name__ == "__main__":
    sys.exit(main())
