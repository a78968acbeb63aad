"""Feed bent inputs to what reads them: each is accepted or refused as bad input, and nothing else.

    python tests/fuzz/feed.py --count 100000 --report docs/results/fuzz.md

Each kind of input has a process of its own with a limit of memory. An input that takes more than
`SECONDS` of processor time counts as a hang; by the clock it may take `STUCK`, since a shared
machine may give a process nothing for a while: what waits, or is stuck where Python cannot
interrupt it, ends its process then. The inputs follow from the seed alone. The first ones that
break the rule are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

SECONDS = 5.0
STUCK = 60.0
MEMORY = 1 << 30
SHOWN = 5
LIBRARIES = ("gguf", "hypothesis", "pyarrow", "ruamel.yaml", "safetensors")


class Hang(BaseException):
    """An input took too long."""


def read(kind: str, file: Path) -> None:
    """Give a file to what reads files of its kind."""
    if kind == "study":
        from tarazu.study_file import load_study

        load_study(file)
    elif kind == "gguf":
        from gguf import GGUFReader

        from tarazu.models.gguf_header import check_header

        weights = check_header(file, "models.m.source")
        # What is accepted here the library accepts, too.
        assert sum(int(one.n_elements) for one in GGUFReader(file).tensors) == weights.total()
    elif kind == "safetensors":
        from safetensors import safe_open

        from tarazu.models.safetensors_header import check_safetensors

        check_safetensors(file, "models.m.source")
        with safe_open(file, "numpy") as opened:
            assert opened.keys() is not None
    else:
        from tarazu.catalog import resolve_task
        from tarazu.data.read import read_rows
        from tarazu.tasks._items import items_from_rows

        rows = read_rows(str(file), base=file.parent, where="data.train")
        items_from_rows(resolve_task({"family": "nli"}), rows, file.name, training=True)


def feed(
    kind: str, count: int, seed: int, folder: Path, *, watched: bool = False
) -> dict[str, Any]:
    """Read many inputs of a kind; return counts, times, memory and what broke the rule."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from inputs import KINDS

    counts: Counter[str] = Counter()
    broken: list[dict[str, str]] = []
    slowest = 0.0
    file = input_file(kind, folder)
    read_sound(kind, file)

    def one(data: bytes) -> None:
        nonlocal slowest
        file.write_bytes(data)
        begun = time.process_time()
        if watched:  # from a thread: what Python cannot interrupt ends the process
            faulthandler.dump_traceback_later(STUCK, exit=True)
        try:
            counts[judge(kind, file)] += 1
        except (Hang, Exception) as error:
            counts["broken"] += 1
            if len(broken) < SHOWN:
                said = "".join(traceback.format_exception(error))[-1500:]
                broken.append({"input": repr(data)[:3000], "error": said})
        slowest = max(slowest, time.process_time() - begun)

    begun = time.monotonic()
    while counts.total() < count:  # hypothesis counts equal inputs once
        seed += 1
        run = settings(
            max_examples=count - counts.total(), database=None, deadline=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )(seeded(seed)(given(KINDS[kind])(one)))  # fmt: skip
        run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {
        "kind": kind, **{name: counts[name] for name in ("accepted", "refused", "broken")},
        "slowest": slowest, "peak": peak, "seconds": time.monotonic() - begun, "examples": broken,
    }  # fmt: skip


def judge(kind: str, file: Path) -> str:
    """Read a file within the limits; return ``accepted`` or ``refused``.

    Raises:
        Hang: It took too long.
        Exception: Whatever else broke the rule.
    """
    from tarazu.data.memory import limited_memory
    from tarazu.errors import BadInput

    try:
        with limited_memory(MEMORY), limited_time():
            read(kind, file)
    except BadInput as error:
        str(error).encode("utf-8", "surrogatepass")
        return "refused"
    return "accepted"


def input_file(kind: str, folder: Path) -> Path:
    """Return the file that inputs of a kind are written to."""
    return folder / f"input{'.yaml' if kind == 'study' else f'.{kind}'}"


def read_sound(kind: str, file: Path) -> None:
    """Read a sound file, so that imports count neither as time nor as memory of an input."""
    from inputs import ROWS, STUDY, gguf, safetensors, table

    sound = {"study": json.dumps(STUDY).encode(), "gguf": gguf(), "safetensors": safetensors()}
    file.write_bytes(sound[kind] if kind in sound else table(file.suffix, ROWS))
    read(kind, file)


@contextlib.contextmanager
def limited_time() -> Iterator[None]:
    """Raise `Hang` when the processor is busy for too long."""

    def over(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def in_process(kind: str, count: int, seed: int) -> dict[str, Any]:
    """Feed a kind in a process of its own; what ends the process is broken, too."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--kind", kind, "--folder", folder]
        command += ["--count", str(count), "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return result
        file = input_file(kind, Path(folder))
        data = file.read_bytes() if file.exists() else b""
    said = f"exit code {done.returncode}\n{done.stderr[-3000:]}"
    return {
        "kind": kind, "accepted": 0, "refused": 0, "broken": 1, "slowest": 0.0, "peak": 0,
        "seconds": 0.0, "examples": [{"input": repr(data)[:3000], "error": said}],
    }  # fmt: skip


def report(results: list[dict[str, Any]], given: argparse.Namespace, seconds: float) -> str:
    """Return the figures as a page."""
    total = sum(r["accepted"] + r["refused"] + r["broken"] for r in results)
    broken = sum(r["broken"] for r in results)
    cores = len(os.sched_getaffinity(0))
    command = f"python tests/fuzz/feed.py --count {given.count} --seed {given.seed}"
    lines = [
        "# Fuzzing what reads files", "",
        f"{total:,} bent inputs, {broken} broken the rule: an input must be accepted or refused as "
        f"bad input, without a traceback, within {SECONDS:g} s of processor time (and {STUCK:g} s "
        f"by the clock) and {MEMORY >> 20} MiB beside the imports. Half of the inputs are sound "
        "but for one value at most (`tests/fuzz/nearly.py`), half are a sound file bent in a few "
        "places (`tests/fuzz/inputs.py`); see `docs/design/hostile-input.md`.", "",
        "| input | accepted | refused | broken | slowest, s | peak memory with imports, MiB | "
        "inputs per s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {r['kind']} | {r['accepted']:,} | {r['refused']:,} | {r['broken']} "
            f"| {r['slowest']:.2f} | {r['peak'] >> 20} | {rate(r):.0f} |" for r in results
        ), "",
        f"`{command}` ({datetime.now(UTC):%Y-%m-%d}, {seconds:.0f} s; {machine()}, {cores} of "
        f"{os.cpu_count()} cores used; Python {platform.python_version()}, "
        f"{', '.join(f'{name} {version(name)}' for name in LIBRARIES)}).", "",
    ]  # fmt: skip
    return "\n".join(lines)


def rate(result: dict[str, Any]) -> float:
    """Return inputs per second."""
    fed = result["accepted"] + result["refused"] + result["broken"]
    return float(fed / max(result["seconds"], 1e-9))


def machine() -> str:
    """Return the processor and the system, without names."""
    try:
        said = Path("/proc/cpuinfo").read_text()
        model = next(x.split(":", 1)[1].strip() for x in said.splitlines() if "model name" in x)
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model}, {platform.system()} {platform.machine()}"


def main() -> int:
    """Run all kinds, or one in this process."""
    from inputs import KINDS

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=700, help="inputs in all, or of one kind")
    options.add_argument("--kind", choices=KINDS)
    options.add_argument("--folder", type=Path, help="where the inputs of one kind are written")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--report", type=Path)
    given = options.parse_args()
    if given.kind:
        faulthandler.enable()
        with tempfile.TemporaryDirectory() as folder:
            found = feed(
                given.kind, given.count, given.seed, given.folder or Path(folder), watched=True
            )
        print(json.dumps(found))
        return 0
    begun = time.monotonic()
    results = []
    for kind in KINDS:
        result = in_process(kind, -(-given.count // len(KINDS)), given.seed)
        results.append(result)
        told = {name: result[name] for name in ("accepted", "refused", "broken", "seconds")}
        print(f"{kind}: {told}", file=sys.stderr, flush=True)
    seconds = time.monotonic() - begun
    page = report(results, given, seconds)
    print(page)
    each = sum(1 / rate(result) for result in results) / len(results)
    print(f"100,000 inputs take about {100_000 * each / 60:.0f} minutes.", file=sys.stderr)
    if given.report:
        given.report.write_text(page, encoding="utf-8")
    for result in results:
        for example in result["examples"]:
            print(f"{result['kind']}: {example['input']}\n{example['error']}", file=sys.stderr)
    return int(any(result["broken"] for result in results))


if __name__ == "__main__":
    sys.exit(main())
