"""The files of a work: one set of items, as a study for tarazu and as tokens for the peers.

Everybody reads the same items in the same order. Prompts, cuts and tokens are made once, by
tarazu's readings, and peers get them ready-made: nobody's wording or truncation decides. The files
hold texts of the data and are made anew, in a temporary folder, by every invocation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from side_by_side.works import SOURCES, Work
from tarazu.asking import make_asking
from tarazu.data.item import Item
from tarazu.models.load import load_tokenizer
from tarazu.models.precision import choose
from tarazu.models.source import LocalModel, fetch
from tarazu.readings import find_reading
from tarazu.readings._reading import Asking
from tarazu.readings.prompts import answer_text, encode_prompts
from tarazu.record.spec import DataSpec, RunSpec
from tarazu.splits import Splits, load_splits
from tarazu.study import plan
from tarazu.study_file import Study, load_study
from tarazu.tasks._task import Task
from tarazu.training.optimizer import warmup_updates
from tarazu.work import Request, viewed


@dataclass(frozen=True)
class Prepared:
    """A work that is ready to be run.

    Attributes:
        work: The work.
        folder: Where its files lie.
        study: Its study.
        splits: Its items; the held-out ones are the only test split.
        warm: Items of the warm-up batch, which are none of the others.
        specs: Its runs, one per entry and seed.
        models: Its models.
    """

    work: Work
    folder: Path
    study: Study
    splits: Splits
    warm: list[Item]
    specs: list[RunSpec]
    models: dict[str, LocalModel]

    @property
    def task(self) -> Task:
        """The task."""
        return self.study.task

    @property
    def held_out(self) -> list[Item]:
        """The items that are answered."""
        (items,) = self.splits.tests.values()
        return items

    def spec(self, entry: str, seed: int) -> RunSpec:
        """Return the run of an entry with a seed; one without randomness has a single run."""
        found = [spec for spec in self.specs if spec.entry == entry]
        return next((spec for spec in found if spec.seed == seed), found[0])


def prepare(work: Work, seeds: Sequence[int], threads: int, folder: Path) -> Prepared:
    """Choose the items and write the study of a work.

    Args:
        work: The work.
        seeds: All seeds that will be asked for.
        threads: CPU threads of both sides.
        folder: An empty folder.
    """
    warm, train, validation, held_out = _choose(work, folder)
    for name, items in (
        ("train", train),
        ("warm", warm),
        ("validation", validation),
        ("held-out", held_out),
    ):
        _write(folder / f"{name}.jsonl", (_row(item) for item in items))
    study_file = folder / "study.yaml"
    content = _study(work, seeds, threads)
    study_file.write_text(json.dumps(content), encoding="utf-8")
    study = load_study(study_file)
    names = {entry.model for entry in study.entries if entry.model is not None}
    models = {
        name: fetch(study.spec.models[name], name, base=study.base, note=print)
        for name in sorted(names)
    }
    splits = load_splits(study.spec.data, study.task, study.base)
    specs = plan(study, study.entries, models, splits, choose(study.spec.compute))
    return Prepared(work, folder, study, splits, _read_warm(study), specs, models)


def _choose(work: Work, folder: Path) -> tuple[list[Item], list[Item], list[Item], list[Item]]:
    """Return the warm-up, training, validation and held-out items."""
    source = work.source or SOURCES[work.data]
    scoring = work.kind == "score"
    batch = work.batch_size
    train_rows = batch if scoring else work.examples  # of scoring: to draw demonstrations from
    rows = work.examples if scoring else work.held_out
    data = DataSpec.model_validate(
        {
            "train": source["train"],
            "test": source["test"],
            "group_by": source["group_by"],
            "validation": {"from": "train", "rows": max(work.validation or 1, 1)},
            "sample": {"train": train_rows + batch, "test": rows},
        }
    )
    task = load_study(_blank(work, folder)).task
    splits = load_splits(data, task, Path.cwd())
    (tests,) = splits.tests.values()
    held_out = tests[:rows]
    validation = held_out if work.validation is None else splits.validation[: work.validation]
    return splits.train[:batch], splits.train[batch:], validation, held_out


def _blank(work: Work, folder: Path) -> Path:
    """Write a study without its data, only to resolve the task."""
    file = folder / "blank.yaml"
    content = {
        "version": 1,
        "study": work.name,
        "task": work.task,
        "data": {"train": "x.jsonl", "test": "x.jsonl"},
        "methods": {"majority": {}},
    }
    file.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return file


def _study(work: Work, seeds: Sequence[int], threads: int) -> dict[str, Any]:
    return {
        "version": 1,
        "study": work.name,
        "task": work.task,
        "data": {
            "train": "train.jsonl",
            "validation": "validation.jsonl",
            "test": {"held-out": "held-out.jsonl"},
            "near_duplicates": None,
        },
        "models": dict(work.model_specs()),
        "training": dict(work.training),
        "methods": {name: dict(entry) for name, entry in work.entries.items()},
        "seeds": list(seeds),
        "compute": {"threads": threads, "device": work.device, "dtype": work.dtype},
        "report": {"text": "redacted"},
    }


def _row(item: Item) -> dict[str, Any]:
    row: dict[str, Any] = {"id": item.id, **item.fields}
    if item.starts:
        row["answers"] = {"text": list(item.gold), "answer_start": list(item.starts)}
    else:
        row["label"] = item.gold[0]
    return row


def _read_warm(study: Study) -> list[Item]:
    data = study.spec.data.model_copy(update={"train": "warm.jsonl"})
    return load_splits(data, study.task, study.base).train


def request_of(prepared: Prepared, spec: RunSpec, scratch: Path) -> Request:
    """Return a run as tarazu makes it, judged on the held-out items alone.

    It is asked for as a trial: trained, answering its validation items, and saving nothing, since
    the peers save nothing either.
    """
    model = prepared.models[str(spec.model)]
    splits = Splits(prepared.splits.train, prepared.held_out, {})
    return Request(spec, model.path, model.info, splits, scratch, show_text=False, stage="trial")


def write_tokens(prepared: Prepared, spec: RunSpec) -> dict[str, Any]:
    """Write a run's items in tokens and return the peer's job: files and resolved settings.

    Args:
        prepared: The work.
        spec: One of its runs.
    """
    request = request_of(prepared, spec, prepared.folder)
    model = prepared.models[str(spec.model)]
    asking = _asking(request, model)
    name = request.method.reading(model.info, prepared.task, request.knobs)
    folder = prepared.folder / f"tokens-{spec.entry}-s{spec.seed}"
    folder.mkdir(exist_ok=True)
    sets = {"held-out": prepared.held_out}
    if request.method.trains:
        sets |= {"train": prepared.splits.train, "warm": prepared.warm}
    else:
        sets |= {"warm": prepared.warm}
    for part, items in sets.items():
        rows = _encoded(viewed(items, request), name, asking, prepared.task)
        _write(folder / f"{part}.jsonl", rows)
    return {
        "work": prepared.work.kind,
        "reading": name,
        "generates": asking.answer == "generate",
        "method": spec.method,
        "model": str(model.path),
        "model_kind": model.info.kind,
        "labels": len(prepared.task.labels),
        "settings": _settings(prepared, spec),
        "max_new_tokens": prepared.task.max_answer_tokens,
        "seed": spec.seed,
        "threads": spec.threads,
        "device": spec.device,
        "folder": str(folder),
    }


def _settings(prepared: Prepared, spec: RunSpec) -> dict[str, Any]:
    """Return a run's settings for the peers, its warm-up as a number of updates.

    Of a share, Trainer takes the next whole number, and tarazu the nearest: of eight updates and a
    share of 0.06 its first would be made at a rate of zero, and ours would not.
    """
    values = {name: setting.value for name, setting in spec.settings.items()}
    if values.get("warmup") is not None:
        items = len(prepared.splits.train)
        steps = values["epochs"] * math.ceil(items / values["batch_size"])
        values["warmup"] = warmup_updates(values["warmup"], steps)
    return values


def _asking(request: Request, model: LocalModel) -> Asking:
    method, knobs, task, spec = request.method, request.knobs, request.task, request.spec
    shots = None
    if method.demonstrations is not None:
        shots = method.demonstrations(knobs, task, request.splits.train, spec.seed)
    virtual = request.value("virtual_tokens") or 0
    return make_asking(
        task=task,
        info=model.info,
        tokenizer=load_tokenizer(model.path),
        knobs=knobs,
        demonstrations=shots,
        max_length=request.value("max_length"),
        virtual_tokens=virtual,
        batch_size=spec.eval_batch_size,
        seed=spec.seed,
        loss_on="answer",
    )


def _encoded(
    items: Sequence[Item], name: str, asking: Asking, task: Task
) -> Iterable[dict[str, Any]]:
    """Yield items in tokens: the training sequence, and for text what is asked of the model."""
    features = find_reading(name).encode(items, asking)
    if name == "classes":
        for item, feature in zip(items, features, strict=True):
            types = feature.token_types
            yield {
                "id": item.id,
                "input_ids": list(feature.input_ids),
                "labels": feature.labels[0],
                **({"token_type_ids": list(types)} if types is not None else {}),
            }
        return
    words = [task.word(label) for label in task.labels] if asking.answer == "score" else []
    room = 0 if words else task.max_answer_tokens
    asked = encode_prompts(items, [words] * len(items), asking, room=room)
    decode = asking.tokenizer.decode
    for item, feature, one in zip(items, features, asked, strict=True):
        start = next(i for i, label in enumerate(feature.labels) if label >= 0)
        yield {
            "id": item.id,
            "input_ids": list(feature.input_ids),
            "labels": list(feature.labels),
            "prompt_ids": one.prompt,
            "choice_ids": one.answers,
            # For peers that insist on text; cut where the tokens are cut.
            "prompt": decode(feature.input_ids[:start]),
            "answer": answer_text(task.answer_text(item), asking),
            "asked": decode(one.prompt),
            "choices": [answer_text(word, asking) for word in words],
            "gold": task.labels.index(item.gold[0]) if words else None,
        }


def _write(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    file.write_text("".join(lines), encoding="utf-8")
