"""What is measured: rows of the table, each with its data, settings, peers and sizes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
# Where the studies look for them, too.
SHARED = Path(os.environ.get("TARAZU_BENCH_DATA") or ROOT.parent / "shared" / "data")
SOURCES = {
    "squad": {
        "train": str(SHARED / "squad" / "train.parquet"),
        "test": str(SHARED / "squad" / "validation.parquet"),
        "group_by": "context",
    },
    "multinli": {
        "train": str(SHARED / "multinli" / "train.parquet"),
        "test": str(SHARED / "multinli" / "validation_matched.parquet"),
        "group_by": "premise",
    },
}
# One token each in SmolLM2's vocabulary, so that lm-eval's short cut for such labels counts. It
# moves blanks at the end of a prompt into the answer, which a chat template's line break would
# turn into a second token: both sides are asked without one.
SHORT_LABELS = {
    "family": "nli",
    "name": "multinli-short",
    "label_words": {"entailment": "yes", "neutral": "maybe", "contradiction": "no"},
}
# Several tokens each, and no two labels begin alike.
LONG_LABELS = {
    "family": "nli",
    "name": "multinli-long",
    "label_words": {
        "entailment": "it follows",
        "neutral": "nobody can tell",
        "contradiction": "that is false",
    },
}
Kind = Literal["train", "seeds", "score", "study"]


@dataclass(frozen=True)
class Work:
    """One thing that tarazu and its peers do.

    Attributes:
        name: Short name, for the command line and the results.
        title: For people.
        kind: What the clock covers. ``train``: the training loop, one run, after a warm-up batch.
            ``seeds``: the training loops of all seeds, nothing warmed up. ``score``: answering,
            after a warm-up batch. ``study``: whole processes, from start to exit.
        data: Key of `SOURCES`.
        task: Task of the study, by name or declared.
        entries: Entries of the study; its first one is all that kinds other than ``study`` do.
        training: Training settings of all entries.
        examples: Training examples; for ``score``, scored items.
        held_out: Items on which loss and answers are compared after training.
        peers: Who else does it, by name, with the ratio that is aimed at (None: no aim).
        seeds: Seeds of the first pair; every further pair takes as many new ones.
        validation: Validation rows; None takes the held-out items.
        pairs: Pairs unless the command line says otherwise.
        models: Models of the study, by name; None takes those of ``studies/nli-small.yaml``.
        source: Data other than `SOURCES`.
        device: ``cpu`` or ``cuda``, of both sides.
        dtype: tarazu's precision; peers' is a matter of their settings.
    """

    name: str
    title: str
    kind: Kind
    data: str
    task: str | dict[str, Any]
    entries: Mapping[str, Mapping[str, Any]]
    training: Mapping[str, Any]
    examples: int
    held_out: int
    peers: Mapping[str, float | None]
    seeds: tuple[int, ...] = (0,)
    validation: int | None = None
    pairs: int = 5
    models: Mapping[str, Any] | None = None
    source: Mapping[str, str] | None = None
    device: str = "cpu"
    dtype: str = "auto"

    def seeds_of(self, pair: int) -> list[int]:
        """Return the seeds of the pair of that number, which no other pair has."""
        return [seed + pair * len(self.seeds) for seed in self.seeds]

    @property
    def batch_size(self) -> int:
        """Examples per update."""
        return int(self.training.get("batch_size", 16))

    def model_specs(self) -> Mapping[str, Any]:
        """Return the models of the study file, by name."""
        if self.models is not None:
            return self.models
        shipped = YAML(typ="safe").load(ROOT / "studies" / "nli-small.yaml")
        models: dict[str, Any] = shipped["models"]
        return models


# What both sides hold fixed. The last epoch's weights count; no epoch is chosen.
SAME: dict[str, Any] = {"epochs": 1, "select": "last", "weight_decay": 0.01, "warmup": 0.06}
SQUAD = {**SAME, "batch_size": 8, "max_length": 384}
PAIRS_OF_TEXTS = {**SAME, "batch_size": 32, "max_length": 128, "validate_rows": 1}
LORA = {"r": 8, "alpha": 16, "dropout": 0.1, "targets": "query-value"}
OWN: dict[str, float | None] = {"trainer-notebook": None, "own-unoptimised": None}
NLI = {**SAME, "batch_size": 16, "max_length": 128, "validate_rows": 1}

WORKS = {
    work.name: work
    for work in (
        Work(
            "lora-squad",
            "LoRA r 8 (q, v), SmolLM2-135M, SQuAD, batch 8, at most 384 tokens",
            "train",
            "squad",
            "squad",
            {"lora": {"model": "smollm2", "learning_rate": 4e-4, **LORA}},
            SQUAD,
            64,
            32,
            {"trainer-tuned": 2.3, "trl": 4.0, "llamafactory": 2.3, **OWN},
        ),
        Work(
            "full-squad",
            "Full fine-tuning, SmolLM2-135M, SQuAD, batch 8, at most 384 tokens",
            "train",
            "squad",
            "squad",
            {"full": {"model": "smollm2", "learning_rate": 1e-4}},
            SQUAD,
            64,
            32,
            {"trainer-tuned": 1.9, **OWN},
        ),
        Work(
            "lora-nli-encoder",
            "LoRA r 8 (q, v), MiniLM, MultiNLI, batch 32",
            "train",
            "multinli",
            "multinli",
            {"lora": {"model": "minilm", "learning_rate": 5e-4, **LORA}},
            PAIRS_OF_TEXTS,
            1920,
            400,
            {"trainer-tuned": 1.4, **OWN},
        ),
        Work(
            "full-nli-encoder",
            "Full fine-tuning, MiniLM, MultiNLI, batch 32",
            "train",
            "multinli",
            "multinli",
            {"full": {"model": "minilm", "learning_rate": 1e-4}},
            PAIRS_OF_TEXTS,
            1920,
            400,
            {"trainer-tuned": 1.25, **OWN},
        ),
        Work(
            "last-k-decoder",
            "Last layer, SmolLM2-135M, MultiNLI, 3 epochs, 3 seeds",
            "seeds",
            "multinli",
            "multinli",
            {"last-k": {"model": "smollm2", "k": 1, "learning_rate": 1e-4}},
            {**NLI, "epochs": 3, "max_length": 256},
            64,
            32,
            {"trainer-tuned": 4.0, "own-unoptimised": None},
            seeds=(0, 1, 2),
        ),
        Work(
            "last-k-encoder",
            "Last layer, MiniLM, MultiNLI, 3 epochs, 3 seeds",
            "seeds",
            "multinli",
            "multinli",
            {"last-k": {"model": "minilm", "k": 1, "learning_rate": 1e-4}},
            {**NLI, "epochs": 3},
            640,
            100,
            {"trainer-tuned": 2.0, "own-unoptimised": None},
            seeds=(0, 1, 2),
        ),
        Work(
            "qlora-squad",
            "QLoRA text r 8 (q, v), SmolLM2-135M in NF4, SQuAD, batch 8",
            "train",
            "squad",
            "squad",
            {"qlora-text": {"model": "smollm2", "learning_rate": 4e-4, **LORA}},
            SQUAD,
            64,
            32,
            {"trainer-tuned": 2.0, "own-unoptimised": None},
        ),
        Work(
            "zero-shot-nli",
            "Zero-shot, labels of one token, SmolLM2-135M, MultiNLI",
            "score",
            "multinli",
            SHORT_LABELS,
            {"zero-shot": {"model": "smollm2", "chat": "off"}},
            {},
            200,
            0,
            {"lm-eval": 1.5, "own-unoptimised": None},
        ),
        Work(
            "one-shot-nli",
            "One fixed demonstration, labels of several tokens, SmolLM2-135M, MultiNLI",
            "score",
            "multinli",
            LONG_LABELS,
            {"few-shot": {"model": "smollm2", "k": 1, "select": "random", "chat": "off"}},
            {},
            100,
            0,
            {"lm-eval": 4.0, "own-unoptimised": None},
        ),
        Work(
            "nli-study",
            "A cut of studies/nli-small.yaml: seven entries, three seeds",
            "study",
            "multinli",
            "multinli",
            {
                "full": {"model": "minilm"},
                "last-k": {"model": "minilm", "k": 2},
                "lora": {"model": "minilm"},
                "p-tuning": {"model": "minilm"},
                "lora-decoder": {
                    "method": "lora",
                    "model": "smollm2",
                    "epochs": 1,
                    "max_length": 256,
                },
                "zero-shot": {"model": "smollm2"},
                "one-shot": {"method": "few-shot", "model": "smollm2", "k": 1, "select": "random"},
            },
            {**NLI, "epochs": 3},
            96,
            96,
            {"trainer-tuned": 2.5},
            seeds=(0, 1, 2),
            validation=8,
            pairs=2,
        ),
    )
}
# The works of `make bench-quick`, their examples and held-out items: under a quarter of an hour on
# two cores.
QUICK = {"lora-squad": (24, 8), "lora-nli-encoder": (640, 100), "zero-shot-nli": (96, 0)}
QUICK_PEERS = ("trainer-tuned", "lm-eval")


@dataclass(frozen=True)
class Side:
    """What one side of a pair came to.

    Attributes:
        seconds: On the clock of the work's kind, of all its examples.
        examples: Examples that the clock covers, epochs and seeds counted.
        cpu_seconds: Processor time on the same clock, of all threads; 0 where it is not known. Far
            below `seconds` times threads, the machine was busy otherwise.
        process_seconds: Whole processes, from start to exit, imports and loading included.
        updates: Updates of the weights; 0 when nothing is trained.
        loss: On the held-out items after training, per answer token or item; for scoring, the mean
            negative log-probability of the right label.
        score: Accuracy or F1 on the held-out items; by entry for a study.
        peak_bytes: Largest resident memory of a process.
        accelerator_bytes: Largest memory that tensors had on an accelerator; 0 without one.
        settings: Name of the settings that were used.
        versions: Of the packages that computed.
    """

    seconds: float
    examples: int
    process_seconds: float
    cpu_seconds: float = 0.0
    updates: int = 0
    loss: float | None = None
    score: Mapping[str, float] = field(default_factory=dict)
    peak_bytes: int = 0
    accelerator_bytes: int = 0
    settings: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
