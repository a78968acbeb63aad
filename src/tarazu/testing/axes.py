"""Output folders made by hand: several training sizes, and settings that were tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tarazu.data.item import Item
from tarazu.record.key import content_key, sha256_rows
from tarazu.record.record import Input, Phase, RunRecord, Searched, Trial, Tuned, VariantResult
from tarazu.record.spec import Setting
from tarazu.record.store import Store
from tarazu.testing.folders import answer, make_items
from tarazu.testing.records import make_record

PROMPTED = frozenset({"zero-shot", "few-shot"})


def make_sized_folder(
    folder: Path,
    skills: Mapping[str, Sequence[float]],
    items: Sequence[Item],
    sizes: Sequence[int],
    *,
    seeds: Sequence[int] = (0,),
    study: Mapping[str, object] | None = None,
) -> Path:
    """Write the records of a study with several training sizes.

    Args:
        folder: The output folder.
        skills: How often each entry is right at each size; an entry with one number does not use
            the training rows.
        items: The test items.
        sizes: Training rows, from small to large.
        seeds: Seeds of each entry.
        study: What the study file says beside its methods.
    """
    store = Store(folder)
    train = [Item(f"n-{i.id}", f"n-{i.group}", i.fields, i.gold) for i in make_items(sizes[-1])]
    hashes = {rows: sha256_rows(i.content() for i in train[:rows]) for rows in sizes}
    for rows in sizes:
        store.write_items({"train": train[:rows], "test": items})
    test = sha256_rows(i.content() for i in items)
    for entry, by_size in skills.items():
        learns = len(by_size) > 1
        for rows, skill in zip(sizes if learns else sizes[-1:], by_size, strict=True):
            for seed in seeds:
                given = {
                    "train": Input(rows=rows, sha256=hashes[rows]),
                    "test": Input(rows=len(items), sha256=test),
                }
                record = make_record(entry, seed=seed, inputs=given)
                changes: dict[str, object] = {"inputs": {n: i.sha256 for n, i in given.items()}}
                if learns:
                    changes["train_sizes"] = dict(hashes)
                _write(store, record, changes, items, skill)
    store.write_study({"study": "small", **(study or {}), "methods": {name: {} for name in skills}})
    return folder


def _write(
    store: Store,
    record: RunRecord,
    changes: Mapping[str, object],
    items: Sequence[Item],
    skill: float,
) -> None:
    spec = record.spec.model_copy(update=dict(changes))
    rows = spec.inputs["train"]
    answers = [answer(item, skill, f"{record.entry} {record.seed} {rows}") for item in items]
    right = sum(one.metrics["accuracy"] for one in answers) / len(items)
    main = VariantResult(variant="main", split="test", n=len(items), metrics={"accuracy": right})
    family = "prompting" if record.entry in PROMPTED else "adapter"
    told = {"spec": spec, "key": content_key(spec), "variants": [main], "family": family}
    store.write_record(record.model_copy(update=told), answers)


def add_trials(
    folder: Path,
    entry: str,
    scores: Sequence[float | None],
    *,
    budget: int | None = None,
    share: float = 1.0,
    failure: str = "the loss is not finite",
) -> None:
    """Add trials to an entry of a folder; its final runs then name them.

    Args:
        folder: An output folder with final runs of the entry.
        entry: Its id.
        scores: Validation score of each trial; None for one that failed. None at all: the entry
            has nothing to tune.
        budget: Trials of every entry of the study; by default as many as there are scores.
        share: Share of the training that all trials reached; the best one goes on to the end.
        failure: Why trials failed.
    """
    store = Store(folder)
    finals = [r for r in store.records() if r.entry == entry and r.stage == "final"]
    known = [score for score in scores if score is not None]
    winner = scores.index(max(known)) if known else None
    keys = []
    for number, score in enumerate(scores):
        keys.append(_add_trial(store, finals[0], number, 1, score, share, failure))
        if number == winner and share < 1:
            keys.append(_add_trial(store, finals[0], number, 2, score, 1.0, failure))
    searched = {
        "learning_rate": Searched(low=1e-5, high=1e-1, log=True, reason="r", source="s"),
        "targets": Searched(values=["query-value", "all-linear"], reason="r", source="s"),
    }
    tuned = Tuned(
        budget=budget or len(scores),
        trials=len(scores),
        seed=1000,
        winner=winner,
        score=max(known, default=None),
        searched=searched if scores else {},
        fixed=["r"] if scores else [],
        nothing={} if scores else {"en": "It only counts.", "fa": "تنها می‌شمارد."},
        keys=keys,
    )
    for final in finals:
        file = store.run_folder(final) / "record.json"
        changed = final.model_copy(update={"tuned": tuned})
        file.write_text(changed.model_dump_json(by_alias=True), "utf-8")


def _add_trial(
    store: Store,
    final: RunRecord,
    number: int,
    rung: int,
    score: float | None,
    share: float,
    failure: str,
) -> str:
    values = {
        "learning_rate": 10.0 ** -(1 + number / 2),
        "targets": "all-linear" if number % 2 else "query-value",
    }
    settings = {
        name: Setting(value=value, reason="r", source="s", chosen_by="tuning")
        for name, value in values.items()
    }
    changes = {"settings": settings, "seed": 1000, "share": share}
    spec = final.spec.model_copy(update=changes)
    main = VariantResult(variant="main", split="validation", n=50, metrics={"accuracy": score or 0})
    record = final.model_copy(
        update={
            "spec": spec,
            "key": content_key(spec),
            "stage": "trial",
            "seed": 1000,
            "trial": Trial(number=number, rung=rung),
            "status": "done" if score is not None else "failed",
            "error": None if score is not None else failure,
            "variants": [main] if score is not None else [],
            "measured": {"train": Phase(seconds=30.0 * share)},
            "epochs": [],
        }
    )
    return store.write_record(record).key
