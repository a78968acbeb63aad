"""One side of a pair: a job file, processes of its own, and the line of JSON that they print."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from side_by_side.peers import Peer, Settings
from side_by_side.prepare import Prepared, write_tokens
from side_by_side.works import ROOT, Side
from tarazu.record.environment import environment

OURS = Path("benchmarks", "side_by_side", "ours.py")


class Unavailable(Exception):
    """A side cannot do the work; the message says why."""


@dataclass(frozen=True)
class Runner:
    """Runs both sides of a work.

    Attributes:
        prepared: The work.
        threads: CPU threads of both sides.
        tree: Checkout whose tarazu is run.
    """

    prepared: Prepared
    threads: int
    tree: Path = ROOT

    def ours(self, index: int, *, optimised: bool = True) -> Side:
        """Run tarazu.

        Raises:
            Unavailable: It cannot be run so.
        """
        work = self.prepared.work
        job = {
            "study": str(self.prepared.folder / "study.yaml"),
            "kind": work.kind,
            "entry": next(iter(work.entries)),
            "seeds": work.seeds_of(index),
            "optimised": optimised,
        }
        answer, process_seconds = self._call(
            [sys.executable, str(self.tree / OURS)], job, ours=True
        )
        if work.kind == "study":
            answer["seconds"] = process_seconds  # as of the peers' scripts
        made = environment(work.device, "", self.threads)
        return _side(answer, process_seconds, versions=made.packages)

    def theirs(self, peer: Peer, settings: Settings, name: str, python: Path, index: int) -> Side:
        """Run a peer: one process per entry and seed, whose times are added.

        Raises:
            Unavailable: Its script failed.
        """
        sides = []
        for entry in self.prepared.work.entries:
            specs = {
                self.prepared.spec(entry, seed).seed for seed in self.prepared.work.seeds_of(index)
            }
            for seed in sorted(specs):
                spec = self.prepared.spec(entry, seed)
                job = write_tokens(self.prepared, spec) | {"peer": dict(settings.options)}
                answer, process_seconds = self._call([str(python), str(peer.script)], job)
                score = self._score(answer.pop("answers"))
                if self.prepared.work.kind == "study":
                    answer["seconds"] = process_seconds
                sides.append((entry, replace(_side(answer, process_seconds), score={entry: score})))
        return replace(_sum(sides), settings=name)

    def _score(self, answers: Mapping[str, Any]) -> float:
        """Return the task's own metric over the held-out items."""
        task = self.prepared.task
        total = 0.0
        for item in self.prepared.held_out:
            answer = answers[item.id]
            said = task.parse(answer, item) if isinstance(answer, str) else task.labels[answer]
            total += task.score(said, item)[task.primary_metric]
        return total / len(self.prepared.held_out)

    def _call(
        self, command: list[str], job: Mapping[str, Any], *, ours: bool = False
    ) -> tuple[dict[str, Any], float]:
        variables = {
            **os.environ,
            "OMP_NUM_THREADS": str(self.threads),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        variables.pop("PYTHONPATH", None)  # a peer sees its own packages only
        if ours:
            variables["PYTHONPATH"] = str(self.tree / "src")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "job.json"
            file.write_text(json.dumps(job), encoding="utf-8")
            # What is scored here is nobody's experience with a test set.
            variables["TARAZU_LEDGER"] = str(Path(folder) / "ledger.jsonl")
            variables["HF_DATASETS_CACHE"] = str(Path(folder) / "datasets")
            start = time.perf_counter()
            done = subprocess.run(
                [*command, str(file)],
                capture_output=True,
                text=True,
                check=False,
                env=variables,
                cwd=folder,
            )
            seconds = time.perf_counter() - start
        if done.returncode:
            raise Unavailable(f"{Path(command[-1]).parent.name} failed: {done.stderr[-2000:]}")
        return _checked(json.loads(done.stdout.strip().splitlines()[-1])), seconds


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if "unavailable" in answer:
        raise Unavailable(answer["unavailable"])
    return answer


def _side(
    answer: Mapping[str, Any], process_seconds: float, versions: Mapping[str, str] | None = None
) -> Side:
    names = (
        "seconds",
        "cpu_seconds",
        "examples",
        "updates",
        "loss",
        "score",
        "peak_bytes",
        "accelerator_bytes",
        "settings",
    )
    given = {name: answer[name] for name in names if answer.get(name) is not None}
    found = versions if versions is not None else answer.get("versions", {})
    return Side(**given, process_seconds=process_seconds, versions=found)


def _sum(sides: list[tuple[str, Side]]) -> Side:
    """Add up the processes of one side; losses and scores are averaged over seeds."""
    first = sides[0][1]
    losses = [side.loss for _, side in sides if side.loss is not None]
    scores: dict[str, list[float]] = {}
    for entry, side in sides:
        scores.setdefault(entry, []).append(side.score[entry])
    return Side(
        seconds=sum(side.seconds for _, side in sides),
        # Prompting counts no examples: a whole study is one unit of work on both sides.
        examples=sum(side.examples for _, side in sides if side.updates) or first.examples,
        process_seconds=sum(side.process_seconds for _, side in sides),
        cpu_seconds=sum(side.cpu_seconds for _, side in sides),
        updates=sum(side.updates for _, side in sides),
        loss=statistics.fmean(losses) if losses else None,
        score={entry: statistics.fmean(values) for entry, values in scores.items()},
        peak_bytes=max(side.peak_bytes for _, side in sides),
        accelerator_bytes=max(side.accelerator_bytes for _, side in sides),
        versions=first.versions,
    )
