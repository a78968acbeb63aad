"""tarazu's side of a pair: one process, one job, one line of JSON.

    python benchmarks/side_by_side/ours.py job.json

The clock of training starts where tarazu says that training begins and stops at the last update;
what tarazu may do in phases of its own besides (a cache, say) is added to it.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tarazu.data.item import Item, Prediction
from tarazu.models.precision import choose
from tarazu.models.source import fetch
from tarazu.record.progress import Progress, Silent
from tarazu.record.record import Phase, RunRecord
from tarazu.record.spec import RunSpec
from tarazu.splits import Splits, load_splits
from tarazu.study import plan, run_study
from tarazu.study_file import Study, load_study
from tarazu.training.meter import peak_resident

# Phases that the peers' clocks do not cover either. "train" is taken from the clock below.
UNCOUNTED = frozenset({"load", "tokenise", "train", "validate", "evaluate", "merge"})


class Unavailable(Exception):
    """The side cannot do this work; the message says why."""


def switch_off_optimisations() -> None:
    """Make this process and its runs compute the plain way: the peer ``own-unoptimised``.

    This is the one place where the benchmark knows how that is done.

    Raises:
        Unavailable: Not everything can be switched off: the comparison would be of equals.
    """
    os.environ["TARAZU_PLAIN"] = "all"  # runs inherit it
    try:
        fast = importlib.import_module("tarazu.models.fast")
    except ModuleNotFoundError:
        raise Unavailable("this tarazu has no switch for its optimisations") from None
    on = [name for name, is_on in asdict(fast.switches()).items() if is_on]
    if on:
        raise Unavailable(f"still switched on: {', '.join(on)}")


class Clock(Silent):
    """Hears progress and notes the seconds from the begin of training to its last update."""

    def __init__(self) -> None:
        self.start = self.last = (math.nan, math.nan)
        self.updates = 0
        self.seconds = 0.0
        self.records: list[RunRecord] = []

    def __call__(self, progress: Progress) -> None:
        """Note the begin of training, or an update."""
        if progress.phase == "train":
            wait_for_card()
            self.last = (time.perf_counter(), time.process_time())
            self.updates = progress.done
            if not progress.total:  # the first one of a run
                self.start = self.last

    def stop(self) -> tuple[float, float]:
        """Return wall and processor seconds since the begin of training."""
        return self.last[0] - self.start[0], self.last[1] - self.start[1]

    def progress(self, index: int, progress: Progress) -> None:
        """Hear a run of a study."""
        self(progress)

    def finished(self, index: int, record: RunRecord) -> None:
        """Keep a run's record, and add its time to that of the runs before."""
        if record.status != "done":
            raise SystemExit(f"{record.entry}, seed {record.seed}: {record.error}")
        if record.epochs:
            # Of the whole phase: what a cache writes after the last update is in it.
            self.seconds += record.measured["train"].seconds + besides(record.measured)
        self.records.append(record)


def wait_for_card() -> None:
    """Wait for a card that is in use: what was only asked of it is not done."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def free_card() -> None:
    """Let go of the warm-up's model on a card that is in use."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def besides(phases: dict[str, Phase]) -> float:
    """Return the seconds of phases that are neither known nor a peer's to leave out."""
    return sum(phase.seconds for name, phase in phases.items() if name not in UNCOUNTED)


@contextmanager
def instead_of_fit(function: Callable[..., Any]) -> Iterator[None]:
    """Let runs of this process call another function than `tarazu.training.loop.fit`.

    The one place that knows where they look for it.

    Args:
        function: Called with what `fit` is called with.
    """
    import tarazu.work

    usual = tarazu.work.fit
    tarazu.work.fit = function
    try:
        yield
    finally:
        tarazu.work.fit = usual


def perform_one(job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Make one run after a warm-up batch: kinds ``train`` and ``score``."""
    from tarazu.work import Request, perform

    study = load_study(job["study"])
    splits = load_splits(study.spec.data, study.task, study.base)
    warm_data = study.spec.data.model_copy(update={"train": "warm.jsonl"})
    warm = load_splits(warm_data, study.task, study.base).train
    (held_out,) = splits.tests.values()
    spec, folder, info = run_of(study, splits, job)

    def request(train: Sequence[Item], asked: Sequence[Item]) -> Request:
        # A trial: trained, answering its validation items, nothing saved, as with the peers.
        mine = Splits(list(train), list(asked), {})
        return Request(spec, folder, info, mine, scratch, show_text=False, stage="trial")

    scoring = job["kind"] == "score"
    perform(request(splits.train if scoring else warm, warm), tell=Clock())
    free_card()
    clock = Clock()
    work = perform(request(splits.train, held_out), tell=clock)
    common = {
        "score": {job["entry"]: _mean(work.predictions, study.task.primary_metric)},
        "settings": spec.dtype,
        "updates": clock.updates,
    }
    if scoring:
        loss = _scored_loss(work.predictions, held_out, study.task.labels)
        seconds = work.phases["evaluate"].seconds
        return {**common, "seconds": seconds, "examples": len(held_out), "loss": loss}
    seconds, cpu_seconds = clock.stop()
    return {
        **common,
        "seconds": seconds + besides(work.phases),
        "cpu_seconds": cpu_seconds,
        "examples": spec.settings["epochs"].value * len(splits.train),
        "loss": work.epochs[-1].validation_loss,
        "accelerator_bytes": work.phases["train"].allocated,
    }


def run_of(study: Study, splits: Splits, job: dict[str, Any]) -> tuple[RunSpec, Path, Any]:
    """Return the run that a job names, with its model's folder and description."""
    (entry,) = (entry for entry in study.entries if entry.id == job["entry"])
    assert entry.model is not None
    model = fetch(study.spec.models[entry.model], entry.model, base=study.base, note=print)
    (first, *_) = plan(study, [entry], {entry.model: model}, splits, choose(study.spec.compute))
    return first.model_copy(update={"seed": job["seeds"][0]}), model.path, model.info


def _mean(predictions: Sequence[Prediction], metric: str) -> float:
    return sum(one.metrics[metric] for one in predictions) / len(predictions)


def _scored_loss(
    predictions: Sequence[Prediction], items: Sequence[Item], labels: Sequence[str]
) -> float:
    """Return the mean negative log-probability of the right labels."""
    gold = {item.id: labels.index(item.gold[0]) for item in items}
    return -sum(one.scores[gold[one.item_id]] for one in predictions) / len(predictions)


def run_all(job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Run the whole study as a user does: kinds ``seeds`` and ``study``."""
    clock = Clock()
    seeds = f"seeds={job['seeds']}"
    result = run_study(job["study"], out=scratch / "out", overrides=[seeds], listener=clock)
    metric = result.records[0].primary_metric
    scores: dict[str, list[float]] = {}
    for record in clock.records:
        scores.setdefault(record.entry, []).append(record.variants[0].metrics[metric])
    losses = [r.epochs[-1].validation_loss or math.nan for r in clock.records if r.epochs]
    trained = [record for record in clock.records if record.epochs]
    return {
        "seconds": clock.seconds,  # of a study, the whole process counts
        "examples": sum(
            r.hyperparameters["epochs"].value * r.inputs["train"].rows for r in trained
        ),
        "updates": clock.updates * len(trained) if job["kind"] == "seeds" else 0,
        "loss": sum(losses) / len(losses) if job["kind"] == "seeds" else None,
        "score": {entry: sum(values) / len(values) for entry, values in scores.items()},
        "settings": clock.records[-1].environment.dtype,
        # Runs have processes of their own.
        "peak_bytes": max(phase.rss for r in clock.records for phase in r.measured.values()),
    }


def main() -> None:
    """Do the job."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        if not job["optimised"]:
            switch_off_optimisations()
    except Unavailable as reason:
        print(json.dumps({"unavailable": str(reason)}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        do = perform_one if job["kind"] in ("train", "score") else run_all
        answer = do(job, Path(scratch))
    print(json.dumps({"peak_bytes": peak_resident(), **answer}))


if __name__ == "__main__":
    main()
