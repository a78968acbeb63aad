"""The contract of a method: one frozen value made of plain functions, in one file.

Nearly everything has a default, so that a method states only what it is. The training loop and the
run never ask which method they run. No file here imports torch at its top: listing is instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tarazu.data.item import Item, Prediction
from tarazu.errors import bad
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text

if TYPE_CHECKING:
    from tarazu.models.learner import Learner
    from tarazu.record.record import Parameters

Family = Literal["baseline", "prompting", "full", "partial", "adapter", "soft-prompt", "quantised"]
ReadingName = Literal["classes", "spans", "text"]


class Knobs(BaseModel):
    """Base of every method's knobs. A field's docstring is its documentation."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def knob(default: Any, *, reason: str, source: str, **constraints: Any) -> Any:
    """Declare a knob whose default carries its reason and source.

    Args:
        default: The value when nobody chooses.
        reason: Why this value.
        source: Paper, documentation or measurement behind it.
        **constraints: Passed on to `pydantic.Field` (``ge``, ``le`` …).
    """
    return Field(default, json_schema_extra={"reason": reason, "source": source}, **constraints)


@dataclass(frozen=True)
class Default:
    """A default training setting of a method, with its reason and source."""

    value: Any
    reason: str
    source: str


@dataclass(frozen=True)
class Range:
    """Numbers that are searched, from one end to the other.

    Attributes:
        low: Lower end.
        high: Upper end.
        reason: Why this range.
        source: Paper, documentation or measurement behind it.
        log: Search evenly on a logarithmic scale.
    """

    low: float
    high: float
    reason: str
    source: str
    log: bool = False

    def at(self, place: float) -> float:
        """Return the number at a place in [0, 1), rounded to three digits."""
        if self.log:
            value = self.low * (self.high / self.low) ** place
        else:
            value = self.low + (self.high - self.low) * place
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclass(frozen=True)
class Choices:
    """Values that are searched.

    Attributes:
        values: The values, in an order that means something where there is one.
        reason: Why these.
        source: Paper, documentation or measurement behind them.
    """

    values: tuple[Any, ...]
    reason: str
    source: str

    def at(self, place: float) -> Any:
        """Return the value at a place in [0, 1): all have an equal share of it."""
        return self.values[min(int(place * len(self.values)), len(self.values) - 1)]


Space = Mapping[str, Range | Choices]
"""What is searched, by the name of a knob or a training setting."""


@dataclass(frozen=True)
class ExplainContext:
    """What an explanation may refer to.

    Attributes:
        knobs: The knobs as chosen.
        info: The model; None when none was named.
        parameters: Counted on the configuration; None without a model.
    """

    knobs: Any
    info: ModelInfo | None
    parameters: Parameters | None


@dataclass(frozen=True)
class FitContext:
    """What a method without a neural model gets.

    Attributes:
        task: The task.
        knobs: The method's knobs.
        train: Training items, as the method's `view` shows them.
        items: Items to answer, as the method's `view` shows them; their gold is not to be used.
        seed: Seed of the run.
    """

    task: Task
    knobs: Any
    train: Sequence[Item]
    items: Sequence[Item]
    seed: int


@dataclass(frozen=True)
class Demonstrations:
    """Which solved examples stand in a prompt.

    Attributes:
        choose: Gives the demonstrations of an item, in order.
        fixed: Whether every item gets the same ones (a prefix that can be shared).
        how: How they are chosen and why, for the record.
    """

    choose: Callable[[Item], Sequence[Item]]
    fixed: bool
    how: str


@dataclass(frozen=True)
class Variant:
    """Another form of a trained model, saved to disk and evaluated in a process of its own.

    Attributes:
        name: One of `Method.variants`, such as ``merged-dequantised``.
        folder: Holds the model in the layout of `transformers`.
    """

    name: str
    folder: Path


def everything(info: ModelInfo | None, task: Task, knobs: Any) -> str | None:
    """Support every model and task."""
    return None


def search_nothing(info: ModelInfo | None, task: Task, knobs: Any) -> Space:
    """Search nothing; the method says why (`Method.nothing_to_tune`)."""
    return {}


def default_reading(info: ModelInfo, task: Task, knobs: Any) -> ReadingName:
    """Encoders answer by a head over classes or spans, decoders in words."""
    if info.kind == "decoder":
        return "text"
    return "classes" if task.kind == "classify" else "spans"


def same_item(item: Item, task: Task, knobs: Any) -> Item:
    """Show the item as it is."""
    return item


def attach_nothing(learner: Learner, knobs: Any) -> None:
    """Train nothing: every parameter stays frozen."""
    learner.requires_grad_(False)


@dataclass(frozen=True)
class Method:
    """A way of making a pretrained model do a task.

    Attributes:
        name: The file's name with hyphens.
        label: Name for people.
        family: What kind of method it is.
        summary: What it is, in one sentence.
        explain: What it is, its formula, what is trained and when to use it, filled with the
            numbers of the model (Markdown).
        knobs: Its hyperparameters.
        needs_model: Whether a pretrained model must be named: ``no``, ``yes`` or ``optional``.
        trains: Whether it updates weights by gradient.
        seeded: Whether a seed changes anything under these knobs; if not, one run is enough.
        defaults: Training settings of the method for a model, each with reason and source; names
            are the fields of `tarazu.record.spec.TrainingSpec`.
        search: What is tuned: knobs and training settings, each with a range or some values on the
            scale that is right for this method. Takes model, task and knobs, because a knob that is
            given may leave another without meaning.
        nothing_to_tune: Why there is no setting to search, for a method without any.
        supports: Why a model or task cannot be used (a sentence), or None when it can.
        reading: How the answer is read from the model.
        four_bit: Whether the base is loaded in 4 bits (NF4).
        attach: Makes the learner trainable in this method's way: freezes, injects, adds. Works on
            meta tensors too, so that planning counts by the same code.
        deployed: Names of the learner's tensors that must be shipped for this task, given the
            trained ones; None means the trained ones.
        view: What the method lets the model see of an item.
        demonstrations: Solved examples in the prompt, from the training items only, by seed.
        variants: Names of the other forms of the trained model that these hyperparameters ask for.
        write_variant: Writes one of them. Takes its name, the learner, the base's folder, the
            folder to create, and the compute dtype's name. What it raises costs the run this form
            and nothing else.
        primary_variant: The variant that stands for the method in the comparison.
        predict: Answers items without a neural model; replaces everything above.
        cite: References, for reports.
    """

    name: str
    label: Text
    family: Family
    summary: Text
    explain: Callable[[ExplainContext], Text]
    knobs: type[Knobs] = Knobs
    needs_model: Literal["no", "yes", "optional"] = "yes"
    trains: bool = True
    seeded: Callable[[Any], bool] = lambda knobs: True
    defaults: Callable[[ModelInfo, Task], Mapping[str, Default]] = lambda info, task: {}
    search: Callable[[ModelInfo | None, Task, Any], Space] = search_nothing
    nothing_to_tune: Text | None = None
    supports: Callable[[ModelInfo | None, Task, Any], str | None] = everything
    reading: Callable[[ModelInfo, Task, Any], ReadingName] = default_reading
    four_bit: bool = False
    attach: Callable[[Learner, Any], None] = attach_nothing
    deployed: Callable[[Learner], int | None] = lambda learner: None
    view: Callable[[Item, Task, Any], Item] = same_item
    demonstrations: Callable[[Any, Task, Sequence[Item], int], Demonstrations] | None = None
    variants: Callable[[Any], Sequence[str]] | None = None
    write_variant: Callable[[str, Learner, Path, Path, str], None] | None = None
    primary_variant: str = "main"
    predict: Callable[[FitContext], list[Prediction]] | None = None
    cite: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse a method that names other forms of its model and cannot write them.

        Raises:
            BadInput: One of `variants` and `write_variant` is missing.
        """
        if (self.variants is None) != (self.write_variant is None):
            missing = "write_variant" if self.write_variant is None else "variants"
            rule = "variants (names, by hyperparameters) and write_variant must be given together"
            remedy = "See docs/guide/adding.md: each form is written by itself."
            raise bad(f"method {self.name}", rule, f"no {missing}", remedy)

    @property
    def learns(self) -> bool:
        """Whether the training split reaches its answers: as weights, demonstrations or counts."""
        return self.trains or self.demonstrations is not None or self.predict is not None
