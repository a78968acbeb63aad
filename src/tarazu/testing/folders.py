"""Output folders made by hand, with items and an answer to each."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tarazu.data.item import Item, Prediction
from tarazu.record.key import sha256_rows
from tarazu.record.record import Input, VariantResult
from tarazu.record.store import Store
from tarazu.testing.records import make_record

LABELS = ("entailment", "neutral", "contradiction")


def make_items(count: int, texts: Sequence[tuple[str, str]] = ()) -> list[Item]:
    """Return items of an inference task; equal arguments give equal items.

    Args:
        count: How many.
        texts: Premise and hypothesis of the first ones; the others are numbered.
    """
    items = []
    for place in range(count):
        premise, hypothesis = (
            texts[place] if place < len(texts) else (f"Premise {place}.", f"Claim {place}.")
        )
        label = LABELS[place % 3]
        slices = {"label": label, "genre": ("fiction", "travel")[place % 2]}
        fields = {"premise": premise, "hypothesis": hypothesis}
        items.append(Item(f"t-{place:04}", f"g-{place}", fields, (label,), slices=slices))
    return items


def make_folder(
    folder: Path,
    skills: Mapping[str, float],
    items: Sequence[Item],
    *,
    seeds: Sequence[int] = (0,),
    study: Mapping[str, object] | None = None,
    **changes: object,
) -> Path:
    """Write the records of a study whose entries answer at random, each as well as it can.

    Args:
        folder: The output folder.
        skills: How often each entry is right; one named ``majority`` has no parameters.
        items: The test items.
        seeds: Seeds of each entry.
        study: What the study file says beside its methods.
        changes: Fields of all records.
    """
    store = Store(folder)
    splits = {"test": items}
    store.write_items(splits)
    hashes = {name: sha256_rows(i.content() for i in found) for name, found in splits.items()}
    for entry, skill in skills.items():
        for seed in seeds:
            answers = [answer(item, skill, f"{entry} {seed}") for item in items]
            right = sum(answer.metrics["accuracy"] for answer in answers) / len(items)
            main = VariantResult(
                variant="main", split="test", n=len(items), metrics={"accuracy": right}
            )
            record = make_record(entry, seed=seed, losses=(1.1, 0.8, 0.7))
            record = record.model_copy(
                update={
                    "spec": record.spec.model_copy(update={"inputs": hashes}),
                    "inputs": {"test": Input(rows=len(items), sha256=hashes["test"])},
                    "labels": list(LABELS),
                    "variants": [main],
                    "parameters": None if entry == "majority" else record.parameters,
                    **changes,
                }
            )
            store.write_record(record, answers)
    store.write_study({"study": "small", **(study or {}), "methods": {name: {} for name in skills}})
    return folder


def answer(item: Item, skill: float, seed: str) -> Prediction:
    """Return an answer that is right with some probability; equal arguments give equal answers."""
    chance = random.Random(f"{seed} {item.id}")
    wrong = [label for label in LABELS if label != item.gold[0]]
    said = item.gold[0] if chance.random() < skill else chance.choice(wrong)
    return Prediction(
        item.id, said, said, split="test", metrics={"accuracy": float(said == item.gold[0])}
    )


def contents(folder: Path) -> dict[str, Any]:
    """Return everything that a study came to but times: bytes of files, records without clocks.

    What stands under a temporary name is bytes, too: it may be half of a record.
    """
    found: dict[str, Any] = {}
    for file in sorted((folder / "runs").rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.name == "record.json" and not file.parent.name.startswith("."):
            record = json.loads(file.read_text())
            for clock in ("measured", "finished"):
                del record[clock]
            found[name] = record
        elif file.is_file():
            found[name] = file.read_bytes()
    return found
