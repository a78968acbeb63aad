"""What came out: one `RunRecord` per run, the only thing that later stages read.

Whatever may differ between two equal runs stands in `RunRecord.measured` and `RunRecord.finished`,
and, where two machines made them, in `Environment.hardware`; there are no host names, users or
absolute paths.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tarazu.record.shown import run_html
from tarazu.record.spec import RunSpec, Setting

SCHEMA = 1


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="null"
    )


class Parameters(_Part):
    """How many numbers a method trains, and how many must be shipped."""

    total: int
    """Parameters of the whole model in use, base included."""
    trained: int
    """Trained parameters of the method itself."""
    head: int
    """Trained parameters of a new head."""
    deployed: int
    """Parameters that must be stored for this task beside the shared base."""
    deployed_bytes: int
    """Size of the deployed parameters as saved."""


class Epoch(_Part):
    """One pass over the training split."""

    epoch: int
    train_loss: float
    """Mean over all answer tokens (or items) of the epoch, not the last logged value."""
    validation_loss: float | None = None
    metrics: dict[str, float] = {}
    """Metrics on the validation split."""


class VariantResult(_Part):
    """One form of the trained model, evaluated on one split."""

    variant: str
    """``main``, or a form such as ``merged-dequantised``."""
    split: str
    n: int
    metrics: dict[str, float]
    unparsable: int = 0
    """Answers that could not be read as a label: counted, never mapped to one."""
    cut: int = 0
    """Items whose context was cut to fit."""
    flips: int | None = None
    """Items answered differently than by the variant `flips_against`."""
    flips_against: str | None = None
    fresh_process: bool = False
    """Reloaded from disk in a process of its own before it was evaluated."""


class Artifact(_Part):
    """A file kept with the run."""

    path: str
    """Inside the folder of the run: a record of somebody else's names no other file."""
    sha256: str
    bytes: int

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if not value or path.is_absolute() or {"..", "~"} & set(path.parts) or "\\" in value:
            raise ValueError("must be a path inside the folder of the run")
        return value


class Event(_Part):
    """Something worth knowing that happened, in words."""

    kind: str
    message: str


class Phase(_Part):
    """What one phase took."""

    seconds: float = 0.0
    tokens: int = 0
    rss: int = 0
    """Peak resident memory of the process in bytes."""
    allocated: int = 0
    reserved: int = 0
    shared: float = 0.0
    """Seconds that other runs took for what this one read from their cache instead."""
    before: float = 0.0
    """Seconds that a checkpoint brought along, of a process that was stopped or of a lower rung."""

    @property
    def alone(self) -> float:
        """Seconds that the phase takes where no other run has done part of its work."""
        return self.seconds + self.shared


class Input(_Part):
    """One split as used."""

    rows: int
    sha256: str


class Hardware(_Part):
    """The parts that computed: product names, never the name of a machine or a person."""

    processor: str | None = None
    """Model of the CPU."""
    card: str | None = None
    """Model of the accelerator; None on a CPU."""
    card_memory: int | None = None
    """All memory of the accelerator in bytes."""
    capability: str | None = None
    """Compute capability of an NVIDIA card such as ``7.5``, architecture of an AMD one."""
    driver: str | None = None
    """Version of the accelerator's driver."""


class Environment(_Part):
    """Package versions and precision; another version makes a record stale, not another run."""

    hash: str
    packages: dict[str, str]
    device: str
    dtype: str
    threads: int
    hardware: Hardware | None = None
    """No part of the hash; None in records from before it was noted."""


class Attribution(_Part):
    """Whose model and data these are, and what is known against the result."""

    model_licence: str | None = None
    model_notice: str | None = None
    model_source: str | None = None
    weights_origin: str | None = None
    """How the weights came to be, e.g. dequantised from 4-bit GGUF."""
    contamination: list[str] = []
    """Reasons to think that the model has seen this data before."""
    data_licence: str | None = None
    data_source: str | None = None


class Searched(_Part):
    """What was tried for one setting: a range, or some values."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    """Whether the range is searched evenly on a logarithmic scale."""
    values: list[Any] | None = None
    """The values tried, where it is no range."""
    reason: str
    source: str


class Trial(_Part):
    """One setting tried on validation items; it never sees a test item."""

    number: int
    """0 is the method's default settings; the others follow the quasi-random sequence."""
    rung: int
    """Counted from 1. The better half of a rung goes on to the next one."""


class Tuned(_Part):
    """How the settings of a final run were chosen."""

    budget: int
    """Trials that every entry of the study has."""
    trials: int
    """Trials made for this entry: fewer when there are fewer settings to try, 0 for nothing."""
    seed: int
    """Of the sequence of settings, and of the training of every trial."""
    winner: int | None = None
    """Number of the trial whose settings are used; None: no trial came to an end, or none was
    made."""
    score: float | None = None
    """The winner's primary metric over all validation items, trained to the end."""
    searched: dict[str, Searched] = {}
    """The settings that were searched, by name."""
    fixed: list[str] = []
    """Settings that the method would search, but that the study fixes."""
    nothing: dict[str, str] = {}
    """Why nothing was searched, by language; empty when something was."""
    keys: list[str] = []
    """Content keys of the trials, all rungs, in the order in which they were made."""


class RunRecord(_Part):
    """Everything about one run."""

    schema_: int = Field(default=SCHEMA, alias="schema")
    key: str
    status: Literal["done", "failed"]
    error: str | None = None
    fault: Literal["settings", "process"] | None = None
    """Where a failure lies: in what was asked for (it would fail again), or in a process that
    died."""
    stage: Literal["trial", "final"] = "final"
    trial: Trial | None = None
    """Of a run of stage ``trial``."""
    tuned: Tuned | None = None
    """Of a final run; None when the study asks for no tuning."""
    entry: str
    method: str
    family: str = ""
    model: str | None
    task: str
    labels: list[str] = []
    """The task's labels in the order of a prediction's scores; empty when answers are spans."""
    primary_metric: str = ""
    """The per-item metric by which methods are compared; empty in records that did not know it."""
    seed: int
    seeded: bool = True
    """Whether another seed could give another result; if not, one run is all there is to know."""
    spec: RunSpec
    inputs: dict[str, Input]
    environment: Environment
    hyperparameters: dict[str, Setting]
    parameters: Parameters | None = None
    epochs: list[Epoch] = []
    selected_epoch: int | None = None
    variants: list[VariantResult] = []
    primary_variant: str = "main"
    prompt: dict[str, Any] = {}
    """Prompt texts, demonstrations, decoding parameters, virtual tokens."""
    explain: dict[str, str] = {}
    """The method explained with this model's numbers, by language."""
    attribution: Attribution = Attribution()
    artifacts: list[Artifact] = []
    events: list[Event] = []
    planned: dict[str, float] = {}
    measured: dict[str, Phase] = {}
    test_access: list[str] = []
    """Test splits scored by this run."""
    finished: str | None = None
    """Time stamp, UTC."""

    model_config = ConfigDict(
        extra="forbid",
        ser_json_inf_nan="null",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        populate_by_name=True,
        serialize_by_alias=True,
    )

    def _repr_html_(self) -> str:
        """Show the run in a notebook."""
        return run_html(self)
