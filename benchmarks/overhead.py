"""What do checkpoints cost? The same training with one every minute and with none, in turns.

    python benchmarks/overhead.py                  # LoRA of SmolLM2, full fine-tuning of MiniLM
    python benchmarks/overhead.py --works full-squad --examples 900 --pairs 1

Two figures, since machines are noisier than the difference: the ratio of whole trainings, and the
seconds spent in writing, as a share of the training that wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from side_by_side.ours import Clock
from side_by_side.prepare import prepare, request_of
from side_by_side.results import keep_rows, stamp
from side_by_side.works import ROOT, WORKS, Work
from tarazu.training.checkpoint import Checkpoints, State, checkpoints_for
from tarazu.work import perform

EVERY = 60.0  # seconds, the product's default
# Some minutes of training each on two cores.
DEFAULT = {"lora-squad": 320, "full-nli-encoder": 12000}
AIM = 0.02


@dataclass
class Watched(Checkpoints):
    """Checkpoints that note what writing them takes.

    Attributes:
        written: Seconds of each.
        size: Bytes of the last.
    """

    written: tuple[float, ...] = ()
    size: int = 0

    def save(self, state: State, note: Callable[[str], None] = print) -> None:
        """Write one and note the seconds."""
        start = time.perf_counter()
        super().save(state, note)
        self.written += (time.perf_counter() - start,)
        self.size = sum(one.nbytes for one in state.tensors.values())


def train(work: Work, threads: int, every: float | None) -> dict[str, Any]:
    """Train once, and return the seconds and those of writing.

    Args:
        work: Of kind ``train``.
        threads: CPU threads.
        every: Seconds between checkpoints; None writes none.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = prepare(work, [0], threads, folder)
        (spec,) = prepared.specs
        request = request_of(prepared, spec, folder)
        warm = replace(request.splits, train=request.splits.train[: work.batch_size])
        perform(replace(request, splits=warm), tell=Clock())
        kept = None
        if every is not None:
            usual = checkpoints_for(spec, folder / "checkpoints", every)
            kept = Watched(usual.folder, usual.made_by, usual.every)
        clock = Clock()
        perform(replace(request, checkpoints=kept), tell=clock)
    return {
        "seconds": clock.stop()[0],
        "written": list(kept.written) if kept else [],
        "bytes": kept.size if kept else 0,
    }


def measure(work: Work, pairs: int) -> dict[str, Any]:
    """Return the row of a work: both ways in turns, each in a process of its own."""
    ratios, shares, last = [], [], {}
    for number in range(pairs):
        ways = [EVERY, None] if number % 2 else [None, EVERY]
        taken = {every: _in_own_process(work, every) for every in ways}
        last = taken[EVERY]
        ratios.append(last["seconds"] / taken[None]["seconds"])
        shares.append(sum(last["written"]) / last["seconds"])
    return {
        "work": work.name,
        "examples": work.examples,
        "pairs": pairs,
        "seconds": round(last["seconds"], 1),
        "checkpoints": len(last["written"]),
        "megabytes": round(last["bytes"] / 1e6, 1),
        "seconds_each": [round(one, 2) for one in last["written"]],
        "share_median": round(statistics.median(shares), 5),
        "share_max": round(max(shares), 5),
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_min": round(min(ratios), 4),
        "ratio_max": round(max(ratios), 4),
        # Without any there is nothing to judge.
        "reached": max(shares) < AIM if last["written"] else None,
        **stamp(),
    }


def _in_own_process(work: Work, every: float | None) -> dict[str, Any]:
    words = ["--works", work.name, "--examples", str(work.examples), "--once", str(every or 0)]
    done = subprocess.run(
        [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Measure, print and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    trained = [name for name, work in WORKS.items() if work.kind == "train"]
    parser.add_argument("--works", nargs="+", choices=trained, default=list(DEFAULT))
    parser.add_argument("--examples", type=int, help="of all works; default: some minutes' worth")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--once", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    rows = []
    for name in args.works:
        count = args.examples or DEFAULT.get(name) or WORKS[name].examples
        work = replace(WORKS[name], examples=count, held_out=1)
        if args.once is not None:
            torch.set_num_threads(threads)
            print(json.dumps(train(work, threads, args.once or None)))
            return
        rows.append(measure(work, args.pairs))
        print(json.dumps(rows[-1]), flush=True)
    keep_rows(rows, args.out / "overhead.json", "work")


if __name__ == "__main__":
    main()
