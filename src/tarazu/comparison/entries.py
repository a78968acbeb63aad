"""Records → entries: what is compared, each with its mean and spread over seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tarazu.comparison.spread import Spread
from tarazu.record.key import content_key

if TYPE_CHECKING:
    from tarazu.record.record import Parameters, RunRecord, VariantResult

T = TypeVar("T")

# Records name their metrics but not which one leads; these lead, in this order.
_LEADING = ("accuracy", "f1", "em", "exact_match")


@dataclass(frozen=True)
class Failure:
    """A run that did not get to its end.

    Attributes:
        seed: Its seed.
        reason: What the record says.
    """

    seed: int
    reason: str


@dataclass(frozen=True)
class EntryResult:
    """One entry in one form on one split, over its seeds.

    Attributes:
        id: The entry's id; other forms than the primary one have ``id:variant``.
        entry: The entry's id.
        method: Name of the method.
        model: Name of the model, if there is one.
        variant: The form of the model.
        split: The split; None when every run failed.
        primary: Whether this form stands for the entry in the comparison.
        seeds: Seeds of the runs that are done.
        missing_seeds: Seeds whose runs are done, but have no such form of the model.
        keys: Content keys of those runs.
        n: Items per run.
        metrics: By name, over seeds.
        parameters: Of the first seed; they do not depend on it.
        seconds: Mean wall time of a run, all phases.
        seconds_by_phase: The same by phase.
        peak_memory_bytes: Largest resident memory of any phase and seed.
        peak_device_bytes: Largest memory reserved on an accelerator; None without one.
        unparsable: Answers that could not be read, per seed.
        cut: Items whose context was cut, per seed.
        flips: Answers that differ from `flips_against`, per seed; empty when not compared.
        flips_against: The form it was compared with.
        events: What happened, as pairs of kind and message, each once.
        contamination: Reasons to think that the model has seen the data.
        tuned: Whether hyperparameters were searched.
        trials: How many settings were tried.
        nothing_to_tune: Why there was nothing to search in a study that tunes, by language; empty
            where something was, or where the study does not tune.
        failures: Runs of the entry that failed.
    """

    id: str
    entry: str
    method: str
    model: str | None
    variant: str = "main"
    split: str | None = None
    primary: bool = True
    seeds: tuple[int, ...] = ()
    missing_seeds: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    n: int = 0
    metrics: Mapping[str, Spread] = field(default_factory=dict)
    parameters: Parameters | None = None
    seconds: float | None = None
    seconds_by_phase: Mapping[str, float] = field(default_factory=dict)
    peak_memory_bytes: int | None = None
    peak_device_bytes: int | None = None
    unparsable: tuple[int, ...] = ()
    cut: tuple[int, ...] = ()
    flips: tuple[int, ...] = ()
    flips_against: str | None = None
    events: tuple[tuple[str, str], ...] = ()
    contamination: tuple[str, ...] = ()
    tuned: bool = False
    trials: int = 0
    nothing_to_tune: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the entry as it stands in the JSON report."""
        return {
            "id": self.id,
            "model": self.model,
            "method": self.method,
            "variant": self.variant,
            "split": self.split,
            "seeds": list(self.seeds),
            "n": self.n,
            "metrics": {
                name: {"mean": value.mean, "sd": value.sd} for name, value in self.metrics.items()
            },
            "parameters": self.parameters.model_dump() if self.parameters else None,
            "seconds": self.seconds,
            "seconds_by_phase": dict(self.seconds_by_phase),
            "peak_memory_bytes": self.peak_memory_bytes,
            "peak_device_bytes": self.peak_device_bytes,
            "unparsable": list(self.unparsable),
            "cut": list(self.cut),
            "flips": list(self.flips),
            "flips_against": self.flips_against,
            "contamination": list(self.contamination),
            "tuned": self.tuned,
            "trials": self.trials,
            "nothing_to_tune": dict(self.nothing_to_tune),
            "failed": [{"seed": item.seed, "reason": item.reason} for item in self.failures],
        }


def metric_order(names: Iterable[str]) -> list[str]:
    """Return metric names with the leading one first, the others by name."""
    present = sorted(set(names))
    return [name for name in _LEADING if name in present] + [
        name for name in present if name not in _LEADING
    ]


def leading_metric(record: RunRecord, names: Iterable[str]) -> str:
    """Return the metric by which a run is compared; records that do not say have the leading one.

    Args:
        record: The run.
        names: Metrics that it has, at least one.
    """
    return record.primary_metric or metric_order(names)[0]


def primary_results(record: RunRecord) -> list[VariantResult]:
    """Return the results of the form that stands for the method; all when it is missing."""
    primary = [item for item in record.variants if item.variant == record.primary_variant]
    return primary or record.variants


def primary_variant(runs: Iterable[RunRecord]) -> str:
    """Return the form of the model that stands for an entry: one that all its seeds have.

    Where a merged form failed under one seed, the form that stands in for it there is compared
    under all seeds, since different forms are different models.

    Args:
        runs: The runs of one entry; those that are not done do not count.
    """
    done = [run for run in runs if run.status == "done" and run.variants]
    candidates = list(dict.fromkeys(run.primary_variant for run in done))
    for name in candidates:
        if all(any(form.variant == name for form in run.variants) for run in done):
            return name
    return candidates[0] if candidates else "main"


def in_study_order(records: Iterable[RunRecord], study: Mapping[str, Any]) -> list[RunRecord]:
    """Return records in the order in which the study names its entries; others come last.

    Args:
        records: Records in any order; those of one entry keep it.
        study: The resolved study, as it is stored.
    """
    order: list[str] = []
    for name, options in study.get("methods", {}).items():
        model = options.get("model") if isinstance(options, Mapping) else None
        order += [f"{name}@{one}" for one in model] if isinstance(model, list) else [name]
    places = {name: place for place, name in enumerate(order)}
    return sorted(records, key=lambda record: places.get(record.entry, len(order)))


def current(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the records that stand for their entries, in the order in which they were given.

    Where a study asks for several sizes of the training split, the largest stands for the entry
    (`tarazu.comparison.sizes` reads the others).

    Args:
        records: All records of a folder.
    """
    kept = every_size(records)
    largest: dict[tuple[str, str | None], int] = defaultdict(int)
    for record in kept:
        entry = record.entry, record.model
        largest[entry] = max(largest[entry], train_rows(record))
    return [r for r in kept if train_rows(r) == largest[r.entry, r.model]]


def train_rows(record: RunRecord) -> int:
    """Return how many training rows a run was given."""
    return record.inputs["train"].rows if "train" in record.inputs else 0


def every_size(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the final records that belong together, in the order in which they were given.

    A folder may hold runs of an entry from before its settings were changed. Seeds with different
    settings are no sample of one thing, so an entry keeps the settings of its newest run, with all
    the training sizes that its study asked for.

    Args:
        records: All records of a folder.
    """
    final = [record for record in records if record.stage == "final"]
    newest: dict[tuple[str, str | None], RunRecord] = {}
    for record in final:
        known = newest.setdefault((record.entry, record.model), record)
        if (record.finished or "") > (known.finished or ""):
            newest[record.entry, record.model] = record
    return [r for r in final if _belong_together(r, newest[r.entry, r.model])]


def _belong_together(record: RunRecord, newest: RunRecord) -> bool:
    sizes = newest.spec.train_sizes.values()
    if record.spec.inputs.get("train") in sizes:
        return _settings(record, of_any_size=True) == _settings(newest, of_any_size=True)
    return _settings(record) == _settings(newest)


def entries(records: Sequence[RunRecord]) -> list[EntryResult]:
    """Group records by entry, form and split.

    Args:
        records: All records of a study; trials and runs with older settings are left out.

    Returns:
        Entries in the order of the records: the primary form first, then the others. An entry
        whose runs all failed has no metrics, but its failures.
    """
    groups: dict[tuple[str, str | None], list[RunRecord]] = defaultdict(list)
    for record in current(records):
        groups[record.entry, record.model].append(record)
    names = [entry for entry, _ in groups]
    found: list[EntryResult] = []
    for (entry, model), runs in groups.items():
        identifier = entry if names.count(entry) == 1 or model is None else f"{entry}@{model}"
        found += _entry(identifier, runs)
    return found


def _settings(record: RunRecord, *, of_any_size: bool = False) -> str:
    """Return what is the same for all seeds of an entry whose settings are the same."""
    inputs = {**record.spec.inputs, **({"train": ""} if of_any_size else {})}
    return content_key(record.spec.model_copy(update={"seed": 0, "inputs": inputs}))


def _entry(identifier: str, runs: list[RunRecord]) -> list[EntryResult]:
    runs = sorted(runs, key=lambda run: run.seed)
    failures = tuple(
        Failure(run.seed, run.error or "no reason recorded")
        for run in runs
        if run.status == "failed"
    )
    forms: dict[tuple[str, str], list[tuple[RunRecord, VariantResult]]] = defaultdict(list)
    for run in runs:
        if run.status == "done":
            for result in run.variants:
                forms[result.variant, result.split].append((run, result))
    first = runs[0]
    if not forms:
        return [
            EntryResult(
                identifier,
                first.entry,
                first.method,
                first.model,
                failures=failures,
                **_tuning(first),
            )
        ]
    primary = primary_variant(runs)
    ordered = sorted(forms.items(), key=lambda form: form[0][0] != primary)
    done = [run.seed for run in runs if run.status == "done"]
    return [
        _form(identifier, pairs, failures, done, primary=variant == primary)
        for (variant, _), pairs in ordered
    ]


def _tuning(record: RunRecord) -> dict[str, Any]:
    """Return what a final run says of its tuning. All seeds of an entry say the same."""
    if record.tuned is None:
        return {}
    return {
        "tuned": record.tuned.trials > 0,
        "trials": record.tuned.trials,
        "nothing_to_tune": record.tuned.nothing,
    }


def _form(
    identifier: str,
    pairs: list[tuple[RunRecord, VariantResult]],
    failures: tuple[Failure, ...],
    done: Sequence[int],
    *,
    primary: bool,
) -> EntryResult:
    runs = [run for run, _ in pairs]
    results = [result for _, result in pairs]
    first, result = pairs[0]
    phases = [phase for run in runs for phase in run.measured.values()]
    by_phase = _mean_seconds(runs)
    return EntryResult(
        id=identifier if primary else f"{identifier}:{result.variant}",
        entry=first.entry,
        method=first.method,
        model=first.model,
        variant=result.variant,
        split=result.split,
        primary=primary,
        seeds=tuple(run.seed for run in runs),
        missing_seeds=tuple(seed for seed in done if seed not in {run.seed for run in runs}),
        keys=tuple(run.key for run in runs),
        n=result.n,
        metrics=_metrics(results),
        parameters=first.parameters,
        seconds=sum(by_phase.values()) if by_phase else None,
        seconds_by_phase=by_phase,
        peak_memory_bytes=max((phase.rss for phase in phases), default=0) or None,
        peak_device_bytes=max((phase.reserved for phase in phases), default=0) or None,
        unparsable=tuple(item.unparsable for item in results),
        cut=tuple(item.cut for item in results),
        flips=tuple(item.flips for item in results if item.flips is not None),
        flips_against=result.flips_against,
        events=_unique((event.kind, event.message) for run in runs for event in run.events),
        contamination=_unique(why for run in runs for why in run.attribution.contamination),
        failures=failures,
        **_tuning(first),
    )


def _metrics(results: list[VariantResult]) -> dict[str, Spread]:
    names = metric_order(name for result in results for name in result.metrics)
    return {
        name: Spread.of([item.metrics[name] for item in results if name in item.metrics])
        for name in names
    }


def _mean_seconds(runs: list[RunRecord]) -> dict[str, float]:
    names = dict.fromkeys(name for run in runs for name in run.measured)
    return {
        name: sum(run.measured[name].alone for run in runs if name in run.measured) / len(runs)
        for name in names
    }


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
