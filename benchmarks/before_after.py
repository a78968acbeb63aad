"""Is tarazu as fast as it was? Its own side of `speed.py`, from two commits in turn.

    python benchmarks/before_after.py --before 96d2d15 --pairs 3 --works lora-squad --examples 48 --held-out 8
    python benchmarks/before_after.py --before 96d2d15 --pairs 3 --works lora-nli-encoder full-nli-encoder --examples 960 --held-out 100
    python benchmarks/before_after.py --before 96d2d15 --pairs 3 --works zero-shot-nli --examples 128

The earlier commit is checked out beside this one, into a folder that is removed again; both use the
packages of this environment. Ratios above 1 mean that this code is faster. Rows go to
``benchmarks/results/before_after.json``; a work that is measured again replaces its row.
"""  # noqa: E501 - commands to copy

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from side_by_side.pairs import Pair, per_example, ratio_of
from side_by_side.prepare import prepare
from side_by_side.results import commit, stamp
from side_by_side.sides import Runner
from side_by_side.works import ROOT, WORKS, Work

RESULT = ROOT / "benchmarks" / "results" / "before_after.json"


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Yield a folder that holds an earlier commit; it is removed in the end."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), revision], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def measure(work: Work, before: Path, pairs: int, threads: int) -> list[Pair]:
    """Run a work with both codes, the order turned round with every pair.

    Args:
        work: What.
        before: Checkout of the earlier commit.
        pairs: How many.
        threads: CPU threads.
    """
    seeds = [seed for pair in range(pairs) for seed in work.seeds_of(pair)]
    found: list[Pair] = []
    with tempfile.TemporaryDirectory() as folder:
        now = Runner(prepare(work, seeds, threads, Path(folder)), threads)
        then = replace(now, tree=before)
        for index in range(pairs):
            order = [("after", now), ("before", then)]
            sides = {
                name: runner.ours(index) for name, runner in (order if index % 2 else order[::-1])
            }
            found.append(Pair(sides["after"], sides["before"], order[(index + 1) % 2][0]))
            print(f"{work.name}: pair {index + 1}: {found[-1].ratio:.3f} x", flush=True)
    return found


def row_of(work: Work, pairs: list[Pair], before: str) -> dict[str, Any]:
    """Return what is kept of a measured work."""
    ratio = ratio_of(pairs)
    return stamp() | {
        "work": work.name,
        "title": work.title,
        "before": before,
        "examples": work.examples,
        "ratio": {name: round(value, 3) for name, value in asdict(ratio).items()},
        "seconds_per_example": {
            "before": [round(per_example(pair.theirs), 4) for pair in pairs],
            "after": [round(per_example(pair.ours), 4) for pair in pairs],
        },
        "loss": {
            "before": [pair.theirs.loss for pair in pairs],
            "after": [pair.ours.loss for pair in pairs],
        },
        "command": " ".join(["python", "benchmarks/before_after.py", *sys.argv[1:]]),
    }


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", required=True, metavar="COMMIT")
    parser.add_argument("--works", nargs="+", choices=WORKS, required=True, metavar="WORK")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--examples", type=int, help="of all works; default: each work's own")
    parser.add_argument("--held-out", type=int, help="likewise, items to compare results on")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


def main() -> None:
    """Measure what is asked for, and keep each row as soon as it is there."""
    args = parse_arguments()
    threads = len(os.sched_getaffinity(0))
    sizes = {"examples": args.examples, "held_out": args.held_out}
    given = {name: value for name, value in sizes.items() if value is not None}
    with checkout(args.before) as before:
        revision = commit(before)
        for name in args.works:
            work = replace(WORKS[name], **given)
            row = row_of(work, measure(work, before, args.pairs, threads), revision)
            rows = json.loads(args.out.read_text("utf-8")) if args.out.exists() else []
            rows = [other for other in rows if other["work"] != name] + [row]
            args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            print(f"{name}: {row['ratio']}", flush=True)


if __name__ == "__main__":
    main()
