"""Feed bent inputs to what reads them: each is accepted or refused as bad input, and nothing else.

    python tests/fuzz/feed.py --count 100000 --report docs/results/fuzz.md

Each kind of input has a process of its own with a limit of memory; an input that takes longer than
the limit of (processor) time counts as a hang. The first inputs that break the rule are printed.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

SECONDS = 5.0
MEMORY = 1 << 30
SHOWN = 5


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


def feed(kind: str, count: int, seed: int) -> dict[str, Any]:
    """Read many inputs of a kind; return counts, times, memory and what broke the rule."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from inputs import KINDS

    from tarazu.errors import BadInput

    counts: Counter[str] = Counter()
    broken: list[dict[str, str]] = []
    slowest = 0.0
    suffix = {"study": ".yaml"}.get(kind, f".{kind}")

    def over(*_: object) -> None:
        raise Hang

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"input{suffix}"
        read_sound(kind, file)
        allow(MEMORY)
        signal.signal(signal.SIGPROF, over)

        def one(data: bytes) -> None:
            nonlocal slowest
            file.write_bytes(data)
            begun = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                read(kind, file)
                counts["accepted"] += 1
            except BadInput as error:
                counts["refused"] += 1
                str(error).encode("utf-8", "surrogatepass")
            except (Hang, Exception) as error:
                counts["broken"] += 1
                if len(broken) < SHOWN:
                    said = "".join(traceback.format_exception(error))[-1500:]
                    broken.append({"input": repr(data)[:3000], "error": said})
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            slowest = max(slowest, time.process_time() - begun)

        while sum(counts.values()) < count:  # hypothesis counts equal inputs once
            seed += 1
            before = sum(counts.values())
            run = settings(
                max_examples=count - before, database=None, deadline=None,
                phases=[Phase.generate], suppress_health_check=list(HealthCheck),
            )(seeded(seed)(given(KINDS[kind])(one)))  # fmt: skip
            run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {
        "kind": kind, **{name: counts[name] for name in ("accepted", "refused", "broken")},
        "slowest": slowest, "peak": peak, "examples": broken,
    }  # fmt: skip


def read_sound(kind: str, file: Path) -> None:
    """Read a sound file, so that imports count neither as time nor as memory of an input."""
    from inputs import ROWS, STUDY, gguf, safetensors, table

    sound = {"study": json.dumps(STUDY).encode(), "gguf": gguf(), "safetensors": safetensors()}
    file.write_bytes(sound[kind] if kind in sound else table(file.suffix, ROWS))
    read(kind, file)


def allow(more: int) -> None:
    """Limit the memory of this process to what it has and a little more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))


def in_process(kind: str, count: int, seed: int) -> dict[str, Any]:
    """Feed a kind in a process of its own."""
    command = [sys.executable, __file__, "--kind", kind, "--count", str(count), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{kind}: exit code {done.returncode}\n{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(results: list[dict[str, Any]], seed: int, seconds: float) -> str:
    """Return the figures as a page."""
    lines = [
        "# Fuzzing what reads files", "",
        "Made by `make fuzz` (`tests/fuzz/feed.py`); see `docs/design/hostile-input.md`. An input "
        "is a sound file bent in a few places; it must be accepted or refused as bad input, within "
        f"{SECONDS:g} s of processor time and {MEMORY >> 20} MiB beside the imports.", "",
        f"Seed {seed}, {seconds:.0f} s, Python {platform.python_version()}.", "",
        "| input | accepted | refused | broken | slowest, s | peak memory with imports, MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {r['kind']} | {r['accepted']:,} | {r['refused']:,} | {r['broken']} "
            f"| {r['slowest']:.2f} | {r['peak'] >> 20} |" for r in results
        ),
    ]  # fmt: skip
    total = sum(r["accepted"] + r["refused"] + r["broken"] for r in results)
    return "\n".join([*lines, "", f"{total:,} inputs in all.", ""])


def main() -> int:
    """Run all kinds, or one in this process."""
    from inputs import KINDS

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=700, help="inputs in all, or of one kind")
    options.add_argument("--kind", choices=KINDS)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--report", type=Path)
    given = options.parse_args()
    if given.kind:
        print(json.dumps(feed(given.kind, given.count, given.seed)))
        return 0
    begun = time.monotonic()
    results = [in_process(kind, -(-given.count // len(KINDS)), given.seed) for kind in KINDS]
    page = report(results, given.seed, time.monotonic() - begun)
    print(page)
    if given.report:
        given.report.write_text(page, encoding="utf-8")
    for result in results:
        for example in result["examples"]:
            print(f"{result['kind']}: {example['input']}\n{example['error']}", file=sys.stderr)
    return int(any(result["broken"] for result in results))


if __name__ == "__main__":
    sys.exit(main())
