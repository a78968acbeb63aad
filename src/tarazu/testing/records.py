"""Records made by hand: reports and comparisons read nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tarazu.record.key import content_key
from tarazu.record.record import (
    Attribution,
    Environment,
    Epoch,
    Event,
    Input,
    Parameters,
    Phase,
    RunRecord,
    VariantResult,
)
from tarazu.record.spec import DataSpec, RunSpec, Setting

Make = Callable[..., RunRecord]


def _setting(value: Any) -> Setting:
    return Setting(value=value, reason="a | reason", source="a source", chosen_by="default")


def make_record(
    entry: str = "lora",
    *,
    seed: int = 0,
    accuracy: float | None = 0.75,
    metrics: dict[str, float] | None = None,
    model: str | None = "minilm",
    rank: int = 8,
    losses: tuple[float, ...] = (),
    others: tuple[VariantResult, ...] = (),
    unparsable: int = 0,
    events: tuple[tuple[str, str], ...] = (),
    split: str = "test",
    **changes: Any,
) -> RunRecord:
    """Return a plausible record; keyword arguments of `RunRecord` override its fields."""
    settings = {"r": _setting(rank)}
    spec = RunSpec(
        study="small",
        entry=entry,
        method=entry.split("@")[0],
        model=model,
        model_spec=None,
        model_files={},
        task="multinli",
        task_options={},
        language="en",
        seed=seed,
        settings=settings,
        data=DataSpec(train="train.csv", test="test.csv"),
        inputs={"test": "ab" * 32},
        device="cpu",
        dtype="float32",
        threads=2,
        eval_batch_size=16,
    )
    scores = metrics if metrics is not None else {"accuracy": accuracy or 0.0}
    main = VariantResult(variant="main", split=split, n=500, metrics=scores, unparsable=unparsable)
    fields: dict[str, Any] = {
        "key": content_key(spec),
        "status": "done",
        "entry": entry,
        "method": spec.method,
        "model": model,
        "task": "multinli",
        "primary_metric": "accuracy",
        "seed": seed,
        "spec": spec,
        "inputs": {split: Input(rows=500, sha256="ab" * 32)},
        "environment": Environment(
            hash="e" * 64, packages={"torch": "2.13.0"}, device="cpu", dtype="float32", threads=2
        ),
        "hyperparameters": settings,
        "parameters": Parameters(
            total=22_000_000,
            trained=294_912,
            head=1_155,
            deployed=296_067,
            deployed_bytes=1_184_268,
        ),
        "epochs": [
            Epoch(epoch=number, train_loss=value, validation_loss=value, metrics={"accuracy": 0.5})
            for number, value in enumerate(losses, start=1)
        ],
        "variants": [main, *others],
        "events": [Event(kind=kind, message=message) for kind, message in events],
        "attribution": Attribution(),
        "measured": {
            "load": Phase(seconds=1.0, rss=500_000_000),
            "train": Phase(seconds=100.0 + seed, rss=1_500_000_000),
            "evaluate": Phase(seconds=10.0, rss=900_000_000),
        },
        "finished": f"2026-01-01T00:00:0{seed}Z",
    }
    return RunRecord(**{**fields, **changes})
