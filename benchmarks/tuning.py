"""What does tuning cost, and does pruning choose what whole trials would? Both ways, one study.

    python benchmarks/tuning.py                          # 8 trials of four entries on SST-2
    python benchmarks/tuning.py --trials 16 --only full lora

The same trials are made twice: stopped early where they are behind (the product's default), and
all to their end. The seconds of all trials are counted in whole runs of the same entry. Where the
two ways choose another trial, what that costs is read from the whole trials: both were trained to
the end there, on the same batches.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
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
    """Keeps the trials of a study, by entry, and says which one was chosen."""

    def __init__(self) -> None:
        self.trials: dict[str, list[RunRecord]] = defaultdict(list)
        self.chosen: dict[str, int] = {}

    def finished(self, index: int, record: RunRecord) -> None:
        """Keep a record."""
        if record.stage == "trial":
            self.trials[record.entry].append(record)
        elif record.tuned is not None and record.tuned.winner is not None:
            self.chosen[record.entry] = record.tuned.winner


def seconds(record: RunRecord) -> float:
    """Return the seconds of all phases of a record."""
    return sum(phase.seconds for phase in record.measured.values())


def tune(study: Path, trials: int, only: Sequence[str], folder: Path, *, pruning: bool) -> Kept:
    """Run the study, one final run per entry, and return its trials."""
    kept = Kept()
    tuning = f"tuning={{trials: {trials}, pruning: {str(pruning).lower()}}}"
    run_study(study, out=folder, only=list(only), overrides=[tuning, "seeds=[0]"], listener=kept)
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
    one = sum(map(seconds, ended.values())) / len(ended)
    ours, best = pruned.chosen.get(entry), whole.chosen.get(entry)
    return {
        "entry": entry,
        "trials": len(ended),
        "runs_with_pruning": round(sum(map(seconds, pruned.trials[entry])) / one, 2),
        "seconds_with_pruning": round(sum(map(seconds, pruned.trials[entry])), 1),
        "seconds_without": round(sum(map(seconds, ended.values())), 1),
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
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        # What is scored here is nobody's experience with a test set.
        os.environ["TARAZU_LEDGER"] = str(Path(folder) / "ledger.jsonl")
        pruned, whole = (
            tune(args.study, args.trials, args.only, Path(folder) / str(way), pruning=way)
            for way in (True, False)
        )
    rows = [row_of(entry, pruned, whole) for entry in args.only]
    for row in rows:
        print(json.dumps(row), flush=True)
    keep_rows(rows, args.out / "tuning.json", "entry")


if __name__ == "__main__":
    main()
