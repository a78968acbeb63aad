"""Memory and tokens per second at the shapes of RoBERTa-large and Llama-3-8B, random weights."""

from __future__ import annotations

import json
import math
import random
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch

from at_size import weights
from gpu.smoke_checks import Check, check
from gpu.smoke_study import Side, command, read_study
from tarazu.catalog import find_method
from tarazu.testing.tiny import nli_items

_GIB = 2**30
DISK_TO_SPARE = 2 * _GIB


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        model: Key of `at_size.weights.LAYOUTS`.
        entry: Entry of ``studies/nli.yaml`` whose settings it has.
        per_weight: Bytes on the card for each number of the model's matrices: weights, gradients
            and the optimiser's state.
        more: Bytes beside these: activations, the vocabulary's scores, kernels.
        host: Share of the file that must fit into memory while it is loaded.
        updates: Updates; 0 where nothing is trained.
        answers: Items that are answered.
    """

    model: str
    entry: str
    per_weight: float
    more: float
    host: float
    updates: int
    answers: int

    @property
    def name(self) -> str:
        """Such as ``roberta full``."""
        return f"{self.model} {self.entry}"


CASES = (
    # fp32 weights, gradients and two moments of Adam.
    Case("roberta", "full", 16.0, 5 * _GIB, 1.2, updates=12, answers=64),
    Case("roberta", "lora", 4.0, 4 * _GIB, 1.2, updates=12, answers=64),
    Case("llama", "zero-shot", 2.0, 2 * _GIB, 1.1, updates=0, answers=64),
    # 4 bits and their constants; embedding and last projection, an eighth of all, stay in 16.
    Case("llama", "qlora-head", 0.75, 5 * _GIB, 0.4, updates=4, answers=32),
    Case("llama", "qlora-text", 0.75, 5 * _GIB, 0.4, updates=4, answers=32),
)
TINY_UPDATES = 3
LONGEST = 256  # as the study
SENTENCES = 16  # of a premise: some 200 tokens of the tiny tokenizer


def in_miniature(case: Case) -> Case:
    """Return a case with fewer updates."""
    return replace(case, updates=min(case.updates, TINY_UPDATES))


class OutOfTime(Exception):
    """The budget ended while a model was written; what lies there is not taken for whole."""


@dataclass(frozen=True)
class Room:
    """What a machine has, in bytes.

    Attributes:
        card: Free memory of the card, or of the machine without one.
        host: Free memory of the machine.
        disk: Free on the disk where models are written.
    """

    card: int
    host: int
    disk: int


def room(device: str, folder: Path) -> Room:
    """Measure what is free."""
    host = psutil.virtual_memory().available
    card = torch.cuda.mem_get_info()[0] if device == "cuda" else host
    return Room(card, host, shutil.disk_usage(folder).free)


def lacking(case: Case, has: Room, *, tiny: bool, made: bool) -> str:
    """Say what a case needs that is not there; empty where it fits.

    Args:
        case: The case.
        has: What is free.
        tiny: Whether the model is one in miniature.
        made: Whether its model is on the disk already.
    """
    if tiny:
        return ""
    size = weights.size_of(case.model, tiny=False)
    numbers = size / weights.LAYOUTS[case.model].dtype.itemsize
    needs = {
        "memory of the card": (numbers * case.per_weight + case.more, has.card),
        "memory of the machine": (size * case.host, has.host),
        "disk": (0 if made else size + DISK_TO_SPARE, has.disk),
    }
    return "; ".join(
        f"{name}: needs {need / _GIB:.1f} GiB, has {there / _GIB:.1f}"
        for name, (need, there) in needs.items()
        if need > there
    )


def write_items(file: Path, count: int, seed: int) -> Path:
    """Write made-up rows whose premises are about as long as the study allows.

    Args:
        file: JSON lines with the columns of MultiNLI.
        count: How many.
        seed: Of everything drawn.
    """
    draw = random.Random(seed)
    others = [item.fields["premise"] for item in nli_items(400, seed=seed + 1000)]
    lines = []
    for number, item in enumerate(nli_items(count, seed=seed)):
        around = " ".join([item.fields["premise"], *draw.choices(others, k=SENTENCES)])
        row = {
            "id": f"{seed}-{number}",
            "premise": f"{around} {seed} {number}",
            "hypothesis": item.fields["hypothesis"],
            "label": item.gold[0],
        }
        lines.append(json.dumps(row) + "\n")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(lines), encoding="utf-8")
    return file


def write_study(case: Case, folder: Path, side: Side, *, tiny: bool) -> Path:
    """Write the study of a case: the worked study's own entry and training, one epoch.

    Args:
        case: The case.
        folder: Holds ``models``; gets rows and the study.
        side: Where and in which precision.
        tiny: Smaller batches.
    """
    worked = read_study("nli")
    batch = 4 if tiny else worked["training"]["batch_size"]
    place = folder / "sizes" / case.name.replace(" ", "-")
    rows = {"train": max(case.updates, 1) * batch, "test": case.answers}
    files = {
        name: str(write_items(place / f"{name}.jsonl", count, seed))
        for seed, (name, count) in enumerate(rows.items())
    }
    validation = write_items(place / "validation.jsonl", 2, 2)
    content = {
        "version": 1,
        "study": "sizes",
        "task": worked["task"],
        "data": {
            "train": files["train"],
            "validation": str(validation),
            "test": {"test": files["test"]},
            "near_duplicates": None,
        },
        "models": {case.model: {"source": str(folder / "models" / "sizes" / case.model)}},
        "training": {"epochs": 1, "batch_size": batch, "max_length": LONGEST, "validate_rows": 1},
        "methods": {case.entry: _entry(worked, case)},
        "seeds": [0],
        "compute": {"device": side.device, "dtype": side.dtype, "threads": side.threads},
    }
    file = place / "study.yaml"
    file.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return file


def _entry(worked: Mapping[str, Any], case: Case) -> dict[str, Any]:
    told = dict(worked["methods"][case.entry])
    if told["model"] != case.model:
        raise ValueError(f"studies/nli.yaml: {case.entry} is of {told['model']}, not {case.model}")
    return told


def measure(case: Case, folder: Path, side: Side, deadline: float, *, tiny: bool) -> Check:
    """Make the model if it is not there, and make one measurement in a process of its own.

    Args:
        case: The case.
        folder: Holds models; gets the rest.
        side: Where and in which precision.
        deadline: On `time.monotonic`.
        tiny: In miniature.
    """
    model = folder / "models" / "sizes" / case.model
    made = weights.is_made(model, case.model, tiny=tiny)
    if lack := lacking(case, room(side.device, folder), tiny=tiny, made=made):
        return Check("size", case.name, "does not fit", lack)
    start = time.monotonic()

    def note(text: str) -> None:
        if time.monotonic() > deadline:
            raise OutOfTime(text)

    try:
        weights.make_model(case.model, model, tiny=tiny, note=note)
    except OutOfTime as last:
        return Check("size", case.name, "not reached", f"time was up while writing {last}")
    writing = time.monotonic() - start
    job = folder / "sizes" / f"{case.name}.json"
    study = write_study(case, folder, side, tiny=tiny)
    job.write_text(json.dumps({"study": str(study)}), encoding="utf-8")
    private = folder / "sizes" / "private"
    done = command(["-m", "gpu.smoke_worker", str(job)], private, side, deadline)
    if done.code is None:
        return Check("size", case.name, "not reached", f"stopped after {done.seconds:.0f} s")
    if done.code:
        return check("size", case.name, [f"ended with {done.code}: {done.output[-1500:]}"])
    found = json.loads(done.output.strip().splitlines()[-1])
    return judge(case, found, side.device, {"writing_seconds": writing, "process": done.seconds})


def judge(case: Case, found: Mapping[str, Any], device: str, more: Mapping[str, Any]) -> Check:
    """Check what was measured: finite numbers, every update made, memory of the right device.

    Args:
        case: The case.
        found: As of `gpu.smoke_worker.measure`.
        device: Where it was to be.
        more: Figures to add.
    """
    problems = []
    if found["device"] != device:
        problems.append(f"device {found['device']} instead of {device}")
    if found["updates"] != case.updates:
        problems.append(f"{found['updates']} updates instead of {case.updates}")
    if not found["answers"] or not found["finite"]:
        problems.append("answers without finite scores" if found["answers"] else "no answers")
    trains = find_method(case.entry).trains
    if trains and not (found["losses"] and all(map(_finite, found["losses"]))):
        problems.append(f"losses {found['losses']}")
    for name in ["evaluate", *(["train"] if trains else [])]:
        if not found["tokens_per_second"].get(name):
            problems.append(f"{name}: no tokens per second")
        phase = found["phases"].get(name, {})
        if device == "cuda" and not phase.get("reserved", 0) >= phase.get("allocated", 0) > 0:
            problems.append(f"{name}: no memory of the card")
    rates = ", ".join(f"{name} {one:,.0f}" for name, one in found["tokens_per_second"].items())
    key = "allocated" if device == "cuda" else "rss"
    peak = max(phase[key] for phase in found["phases"].values()) / _GIB
    return check(
        "size", case.name, problems, f"tokens/s: {rates}; peak {peak:.2f} GiB", **found, **more
    )


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
