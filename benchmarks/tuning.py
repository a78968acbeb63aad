"""What does tuning cost, and does pruning choose what whole trials would? Both ways, one study.

    python benchmarks/tuning.py                          # 8 trials of four entries on SST-2
    python benchmarks/tuning.py --trials 16 --only full lora
    python benchmarks/tuning.py --only lora --train-rows 2400   # longer trials

The same trials are made twice: stopped early where they are behind (the product's default), and
all to their end, after one run that warms up. The seconds of all trials, from the start of a
process to its record, are counted in whole trials of the same entry. Where the two ways choose
another trial, what that costs is read from the whole trials: both were trained to the end there,
on the same batches.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from side_by_side.results import keep_rows, stamp
from side_by_side.works import ROOT
from tarazu.record.progress import Silent
from tarazu.record.record import RunRecord
from tarazu.study import run_study

STUDY = ROOT / "studies" / "sst2-small.yaml"
ENTRIES = ("full", "last-k", "lora", "p-tuning")


class Kept(Silent):
    """Keeps the trials of a study and their time, by entry, and says which one was chosen."""

    def __init__(self) -> None:
        self.trials: dict[str, list[RunRecord]] = defaultdict(list)
        self.seconds: dict[str, float] = defaultdict(float)
        self.chosen: dict[str, int] = {}
        self._began = time.perf_counter()

    def started(self, index: int) -> None:
        """Start the clock of a run."""
        self._began = time.perf_counter()

    def finished(self, index: int, record: RunRecord) -> None:
        """Keep a record."""
        if record.stage == "trial":
            self.trials[record.entry].append(record)
            self.seconds[record.entry] += time.perf_counter() - self._began
        elif record.tuned is not None and record.tuned.winner is not None:
            self.chosen[record.entry] = record.tuned.winner


def tune(study: Path, only: Sequence[str], folder: Path, overrides: Sequence[str]) -> Kept:
    """Run the study, one final run per entry, and return its trials."""
    kept = Kept()
    given = ["seeds=[0]", *overrides]
    run_study(study, out=folder, only=list(only), overrides=given, listener=kept)
    return kept


def row_of(entry: str, pruned: Kept, whole: Kept) -> dict[str, Any]:
    """Return what pruning saved an entry, and what it cost.

    Args:
        entry: Its id.
        pruned: The study with pruning.
        whole: The study without.
    """
    ended = {record.trial.number: record for record in whole.trials[entry] if record.trial}
    scores: dict[int | None, float] = {
        number: round(record.variants[0].metrics[record.primary_metric], 4)
        for number, record in ended.items()
        if record.status == "done"
    }
    one = whole.seconds[entry] / len(ended)
    ours, best = pruned.chosen.get(entry), whole.chosen.get(entry)
    return {
        "entry": entry,
        "train_rows": ended[0].inputs["train"].rows,
        "trials": len(ended),
        "runs_with_pruning": round(pruned.seconds[entry] / one, 2),
        "seconds_with_pruning": round(pruned.seconds[entry], 1),
        "seconds_without": round(whole.seconds[entry], 1),
        "chosen_with_pruning": ours,
        "chosen_without": best,
        # None: the trial failed, or none was chosen.
        "score_with_pruning": scores.get(ours),
        "score_without": scores.get(best),
        "score_of_defaults": scores.get(0),
        **stamp(),
    }


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--only", nargs="+", default=ENTRIES, metavar="ENTRY")
    parser.add_argument("--train-rows", type=int, help="longer or shorter trials than the study's")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        # What is scored here is nobody's experience with a test set.
        os.environ["TARAZU_LEDGER"] = str(Path(folder) / "ledger.jsonl")
        sizes = [] if args.train_rows is None else [f"data.sample.train={args.train_rows}"]
        # The first run waits for imports and reads its model from disk.
        tune(args.study, args.only[:1], Path(folder) / "first", ["tuning=null", *sizes])

        def tuned(pruning: str) -> Kept:
            tuning = f"tuning={{trials: {args.trials}, pruning: {pruning}}}"
            return tune(args.study, args.only, Path(folder) / pruning, [*sizes, tuning])

        pruned, whole = tuned("true"), tuned("false")
    rows = [row_of(entry, pruned, whole) for entry in args.only]
    for row in rows:
        print(json.dumps(row), flush=True)
    keep_rows(rows, args.out / "tuning.json", "entry", "train_rows", "trials")


if __name__ == "__main__":
    main()
