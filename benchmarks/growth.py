"""How does the cost grow: with examples, test items, their length, the number of methods?

    python benchmarks/growth.py
    python benchmarks/growth.py --quick    # without the largest point of every kind

Items are made up (words drawn by a seed), so that length and number can be set exactly. Every point
is a process of its own. Writes ``growth.json`` and ``growth.svg``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import altair

from side_by_side.ours import Clock
from side_by_side.results import keep_rows, stamp
from side_by_side.works import WORKS
from tarazu.models.precision import choose
from tarazu.splits import Splits, load_splits
from tarazu.study import plan, run_study
from tarazu.study_file import load_study
from tarazu.training.meter import peak_resident

RESULTS = Path(__file__).resolve().parent / "results"
WORDS = (
    *("the", "old", "house", "near", "river", "was", "sold", "last"),
    *("year", "by", "two", "men", "who", "came", "from", "south"),
)
LABELS = ("entailment", "neutral", "contradiction")
ENTRIES: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {},
    "last-k": {"k": 1},
    "p-tuning": {},
    "lora-4": {"method": "lora", "r": 4},
    "last-k-2": {"method": "last-k", "k": 2},
    "lora-16": {"method": "lora", "r": 16},
    "last-k-3": {"method": "last-k", "k": 3},
}
POINTS = {
    "examples": (128, 256, 512, 1024, 2048),
    "length": (32, 64, 128, 256, 512),
    "methods": (1, 2, 4, 8),
    "memory": (1000, 4000, 16000, 64000),
    "tests": (1000, 4000, 16000),
}
TITLES = {
    "examples": "training seconds by examples",
    "length": "training seconds by tokens per example",
    "methods": "seconds of a study by number of entries",
    "memory": "peak memory (GB) by examples, after 4 updates",
    "tests": "peak memory (GB) by test items, all answered",
}
# What is fixed while something else grows.
EXAMPLES, LENGTH, BATCH, UPDATES = 256, 64, 32, 4
SHORT = 16  # tokens of a test item, where they are counted: many are answered in little time


def items(count: int, tokens: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield items whose two texts have about so many tokens together (one per word)."""
    generator = random.Random(seed)
    hypothesis = max(4, tokens // 4)
    premise = max(1, tokens - hypothesis - 3)  # three tokens part the texts
    for number in range(count):
        texts = [" ".join(generator.choices(WORDS, k=length)) for length in (premise, hypothesis)]
        # The number keeps premises apart, which are the groups that splits are cut by.
        yield {
            "id": f"{seed}-{number}",
            "premise": texts[0],
            "hypothesis": texts[1],
            "label": generator.choice(LABELS),
        }


def write_study(
    folder: Path,
    *,
    rows: int,
    tokens: int,
    entries: Sequence[str],
    models: dict[str, Any],
    threads: int,
    tests: int = 16,
) -> Path:
    """Write a study over made-up items and return its file."""
    for name, count, seed in (("train", rows, 1), ("validation", 16, 2), ("test", tests, 3)):
        lines = (json.dumps(item) + "\n" for item in items(count, tokens, seed))
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    (model,) = models
    content = {
        "version": 1,
        "study": "growth",
        "task": "multinli",
        "data": {
            "train": "train.jsonl",
            "validation": "validation.jsonl",
            "test": "test.jsonl",
            "group_by": "id",
            "near_duplicates": None,
        },
        "models": models,
        "training": {
            "epochs": 1,
            "batch_size": BATCH,
            "max_length": max(tokens, 8),
            "select": "last",
            "validate_rows": 1,
        },
        "methods": {name: {"model": model, **ENTRIES[name]} for name in entries},
        "seeds": [0],
        "compute": {"threads": threads},
    }
    file = folder / "study.yaml"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def run_point(job: dict[str, Any]) -> dict[str, float]:
    """Compute one point, in this process.

    Args:
        job: Its kind and size, models and threads.
    """
    kind, size = job["kind"], job["size"]
    rows = {"examples": size, "memory": size, "tests": BATCH}.get(kind, EXAMPLES)
    tokens = {"length": size, "tests": SHORT}.get(kind, LENGTH)
    entries = list(ENTRIES)[: size if kind == "methods" else 1]
    if kind == "tests":
        entries = ["lora"]  # training all weights would take more than what is to be seen
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = write_study(
            folder,
            rows=rows,
            tokens=tokens,
            entries=entries,
            models=job["models"],
            threads=job["threads"],
            tests=size if kind == "tests" else 16,
        )
        if kind == "methods":
            start = time.perf_counter()
            result = run_study(file, out=folder / "out")
            if result.failed:
                raise SystemExit(f"{result.failed} runs failed")
            return {"seconds": time.perf_counter() - start}
        share = UPDATES / math.ceil(rows / BATCH) if kind == "memory" else 1.0
        return _train(file, min(1.0, share), folder, answers=kind == "tests")


def _train(file: Path, share: float, scratch: Path, *, answers: bool) -> dict[str, float]:
    from tarazu.models.source import fetch
    from tarazu.models.states import Shelves
    from tarazu.work import Request, perform

    study = load_study(file)
    splits = load_splits(study.spec.data, study.task, study.base)
    (name,) = study.spec.models
    model = fetch(study.spec.models[name], name, base=study.base, note=print)
    (spec,) = plan(study, study.entries, {name: model}, splits, choose(study.spec.compute))
    spec = spec.model_copy(update={"share": share})
    clock = Clock()
    mine = splits if answers else Splits(splits.train, splits.validation, {})
    stage: Literal["trial", "final"] = "final" if answers else "trial"
    shelves = Shelves(scratch / "learnt", scratch / "tests", disk=2**30)  # as a study has them
    request = Request(
        spec, model.path, model.info, mine, scratch, show_text=False, stage=stage, shelves=shelves
    )
    work = perform(request, tell=clock)
    return {
        "seconds": clock.stop()[0],
        "peak_bytes": peak_resident(),
        "answers": len(work.predictions),
    }


def in_own_process(job: dict[str, Any]) -> dict[str, float]:
    """Compute one point in a new process.

    Raises:
        SystemExit: It fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, __file__, "--point", str(file)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TARAZU_LEDGER": str(Path(folder) / "ledger.jsonl")},
        )
    if done.returncode:
        raise SystemExit(f"{job['kind']} {job['size']} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return b of the least-squares line log cost = a + b·log size: 1 is linear, 0 is flat."""
    logs = [(math.log(size), math.log(cost)) for size, cost in zip(sizes, costs, strict=True)]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum(
        (x - mean_x) ** 2 for x, _ in logs
    )


def rows_of(kind: str, points: dict[int, dict[str, float]]) -> list[dict[str, Any]]:
    """Return the rows of a kind: size and cost."""
    memory = kind in ("memory", "tests")
    return [
        {
            "kind": kind,
            "size": size,
            "cost": point["peak_bytes"] / 1e9 if memory else point["seconds"],
            "unit": "GB" if memory else "s",
        }
        for size, point in points.items()
    ]


def chosen(kind: str, points: int | None, *, quick: bool) -> tuple[int, ...]:
    """Return the sizes of a kind that are measured.

    Args:
        kind: The kind.
        points: How many, the smallest first; None for all.
        quick: Whether the largest is left out, which takes about as long as the others together.
    """
    sizes = POINTS[kind][:-1] if quick else POINTS[kind]
    return sizes[:points]


def plot(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw one panel per kind, axes from zero so that a straight line means linear growth."""
    panels = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        data = altair.Data(values=[row for row in rows if row["kind"] == kind])
        panels.append(
            altair.Chart(data, title=TITLES[kind], width=260, height=180)
            .mark_line(point=True)
            .encode(
                x=altair.X("size:Q", title=None),
                y=altair.Y("cost:Q", title=None, scale=altair.Scale(zero=True)),
            )
        )
    altair.concat(*panels, columns=2).save(str(file))


def main() -> None:
    """Compute the points, write and draw them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=POINTS, default=list(POINTS))
    parser.add_argument("--points", type=int, help="only the first ones of every kind")
    parser.add_argument(
        "--quick", action="store_true", help="without the largest point of every kind"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--point", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point is not None:
        print(json.dumps(run_point(json.loads(args.point.read_text(encoding="utf-8")))))
        return
    models = {"minilm": WORKS["full-nli-encoder"].model_specs()["minilm"]}
    threads = len(os.sched_getaffinity(0))
    rows: list[dict[str, Any]] = []
    growth = {}
    for kind in args.kinds:
        points = {}
        for size in chosen(kind, args.points, quick=args.quick):
            job = {"kind": kind, "size": size, "models": models, "threads": threads}
            points[size] = in_own_process(job)
            print(f"{kind} {size}: {points[size]}", flush=True)
        rows += rows_of(kind, points)
        if len(points) > 1:
            costs = [row["cost"] for row in rows if row["kind"] == kind]
            growth[kind] = round(exponent(list(points), costs), 3)
    row = {**stamp(), "threads": threads, "exponents": growth, "rows": rows}
    keep_rows([row], args.out / "growth.json")
    plot(rows, args.out / "growth.svg")
    print(f"growth as a power of the size: {growth}")


if __name__ == "__main__":
    main()
