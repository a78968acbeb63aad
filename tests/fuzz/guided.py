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
import importlib.util
import mmap
import os
import platform
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import feed
from mutators import MUTATORS

INSTRUMENTED = ("gguf", "ruamel", "tarazu")
DRAWN = 200  # of them those that are accepted start the corpus
LONGEST = 1 << 14
# INITED once the first inputs are read, NEW, …, DONE; a `pulse` may come while they are read.
_STATE = re.compile(r"^#\d+\s+[A-Z]+\s+cov: (\d+) ft: \d+ corp: (\d+)", re.MULTILINE)
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
        return MUTATORS[kind](data, longest, random.Random(number), atheris.Mutate)

    more = {"custom_mutator": bend} if kind in MUTATORS else {}
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


def guide(kind: str, seed: int, *limits: str) -> dict[str, Any]:
    """Feed a kind in a process of its own; return counts, coverage, memory and what broke.

    Args:
        kind: Of input.
        seed: Of the first inputs and of libFuzzer.
        limits: When to end, as libFuzzer's flags.
    """
    begun = time.monotonic()
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
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        said = done.stdout.decode(errors="replace")
        counts = folder / "counts"
        fed = struct.unpack("<QQ", counts.read_bytes()) if counts.exists() else (0, 0)
        artifacts = [*folder.glob("broken-*"), *folder.glob("input.*")]
        data = artifacts[0].read_bytes() if artifacts else b""
    states = [tuple(map(int, state)) for state in _STATE.findall(said)] or [(0, 0)]
    stats = {key: int(value) for key, value in _STAT.findall(said)}
    said = "\n".join(x for x in said.splitlines() if not x.startswith(("INFO", "#", "stat::")))
    broken = done.returncode != 0
    error = f"exit code {done.returncode}\n{said[-4000:]}"
    return {
        "kind": kind, "accepted": fed[0], "refused": fed[1], "broken": int(broken),
        "edges": (states[0][0], states[-1][0]), "corpus": (states[0][1], states[-1][1]),
        "peak": stats.get("peak_rss_mb", 0), "seconds": time.monotonic() - begun,
        "examples": [{"input": repr(data), "error": error}] if broken else [],
    }  # fmt: skip


def report(results: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """Return the figures as a page."""
    total = sum(r["accepted"] + r["refused"] for r in results)
    broken = sum(r["broken"] for r in results)
    command = f"python tests/fuzz/guided.py --seconds {given.seconds} --seed {given.seed}"
    command += "".join(f" --kind {kind}" for kind in given.kind or ())
    libraries = (*feed.LIBRARIES, "atheris")
    lines = [
        "# Fuzzing guided by coverage", "",
        f"{total:,} inputs that libFuzzer bent, {broken} broken the rule of [fuzz.md](fuzz.md). "
        "An input that reaches an edge of the control flow that none reached before is kept and "
        f"bent further. Edges are counted in the Python code of {', '.join(INSTRUMENTED)}, not in "
        f"parsers in C. The first inputs are those of {DRAWN} drawn by `tests/fuzz/inputs.py` that "
        "are accepted; of these and of later ones the corpus holds what adds coverage.", "",
        "| input | accepted | refused | broken | edges, first inputs → end | corpus, start → end "
        "| peak memory, MiB | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {r['kind']} | {r['accepted']:,} | {r['refused']:,} | {r['broken']} "
            f"| {r['edges'][0]:,} → {r['edges'][1]:,} | {r['corpus'][0]:,} → {r['corpus'][1]:,} "
            f"| {r['peak']} | {r['seconds']:.0f} |" for r in results
        ), "",
        f"`{command}` ({datetime.now(UTC):%Y-%m-%d}; {feed.machine()}, one core beside other work; "
        f"Python {platform.python_version()}, "
        f"{', '.join(f'{name} {version(name)}' for name in libraries)}). Seconds are by the clock, "
        "with the making of the first inputs; how many inputs fit into them is the machine's.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    """Run the kinds one after the other, or one in this process."""
    from inputs import KINDS

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=60, help="of each kind")
    options.add_argument(
        "--kind", choices=KINDS, action="append", help="may be said more than once"
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--report", type=Path)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--flag", action="append", help=argparse.SUPPRESS)
    given = options.parse_args()
    if importlib.util.find_spec("atheris") is None:
        options.error("atheris is not installed: pip install -c constraints.txt '.[fuzz]'")
    if given.folder:
        fuzz(given.kind[0], given.seed, given.folder, given.flag)
    results = []
    for kind in given.kind or KINDS:
        results.append(guide(kind, given.seed, f"-max_total_time={given.seconds}"))
        told = {name: value for name, value in results[-1].items() if name != "examples"}
        print(told, file=sys.stderr, flush=True)
        for example in results[-1]["examples"]:
            print(f"{kind}: {example['input']}\n{example['error']}", file=sys.stderr, flush=True)
    page = report(results, given)
    print(page)
    if given.report:
        given.report.write_text(page, encoding="utf-8")
    return int(any(result["broken"] for result in results))


if __name__ == "__main__":
    sys.exit(main())
