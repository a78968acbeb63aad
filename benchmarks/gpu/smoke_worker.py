"""One run at real size in this process, timed update by update: a line of JSON.

    python -m gpu.smoke_worker job.json

The run is asked for as a trial: it is trained and answers items, and saves and merges nothing. The
first update and the first batch of answers warm the card up and are not in the rates.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from side_by_side.ours import wait_for_card
from tarazu.models.precision import choose
from tarazu.models.source import LocalModel, describe
from tarazu.record.progress import Progress
from tarazu.splits import Splits, load_splits
from tarazu.study import plan
from tarazu.study_file import load_study
from tarazu.work import Request, perform

Tick = tuple[int, float]
"""Units done, and when."""


class Ticks:
    """Hears progress and notes when every update and every batch of answers was done."""

    def __init__(self) -> None:
        self.phases: dict[str, list[Tick]] = {}

    def __call__(self, progress: Progress) -> None:
        """Note how far a phase is, once the card has done it."""
        if progress.done > 0:
            wait_for_card()
            self.phases.setdefault(progress.phase, []).append((progress.done, time.perf_counter()))


def rate(ticks: Sequence[Tick], tokens: int) -> float | None:
    """Return tokens per second after the first tick; None where there is no second one.

    Args:
        ticks: Units done and when; units are taken to have the same tokens.
        tokens: Of all units.
    """
    if len(ticks) < 2 or ticks[-1][1] <= ticks[0][1]:
        return None
    (first, start), (last, end) = ticks[0], ticks[-1]
    return tokens * (last - first) / last / (end - start)


def measure(job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Make the run of a job.

    Args:
        job: ``study`` (a file with one entry).
        scratch: An empty folder.
    """
    study = load_study(job["study"])
    (entry,) = study.entries
    assert entry.model is not None
    source = study.spec.models[entry.model]
    info = describe(source, entry.model, base=study.base, note=print)
    # Its files are not hashed: that takes 16 GB longer than anything that is measured.
    model = LocalModel(study.base / source.source, {}, info)
    splits = load_splits(study.spec.data, study.task, study.base)
    (held_out,) = splits.tests.values()
    (spec, *_) = plan(study, [entry], {entry.model: model}, splits, choose(study.spec.compute))
    mine = Splits(list(splits.train), list(held_out), {})
    ticks = Ticks()
    request = Request(spec, model.path, info, mine, scratch, show_text=False, stage="trial")
    work = perform(request, tell=ticks)
    rates = {
        name: rate(ticks.phases.get(name, []), phase.tokens) for name, phase in work.phases.items()
    }
    return {
        "device": spec.device,
        "dtype": spec.dtype,
        "phases": {name: phase.model_dump() for name, phase in work.phases.items()},
        "tokens_per_second": {name: one for name, one in rates.items() if one is not None},
        "updates": len(ticks.phases.get("train", [])),
        "losses": [one.train_loss for one in work.epochs],
        "answers": len(work.predictions),
        "finite": all(
            score == score and abs(score) != float("inf")
            for answer in work.predictions
            for score in answer.scores
        ),
        "events": [event.model_dump() for event in work.events],
    }


def main() -> None:
    """Do the job."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(job, Path(scratch))))


if __name__ == "__main__":
    main()
