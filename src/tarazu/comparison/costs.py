"""What entries cost beside their quality: time, tokens, memory, size; and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from tarazu.comparison.entries import (
    EntryResult,
    current,
    entries,
    metric_order,
    primary_variant,
)
from tarazu.comparison.spent import trial_seconds

if TYPE_CHECKING:
    from tarazu.record.record import Phase, RunRecord

# Phases by what a user waits for. What is not named here belongs to none of them.
_STEPS = {
    "load": ("load",),
    "train": ("tokenise", "train", "validate"),
    "evaluate": ("evaluate",),
    "merge": ("merge",),
}


_HOUR = 3600.0


@dataclass(frozen=True)
class Price:
    """What the machine costs.

    Attributes:
        per_hour: Money per hour.
        currency: Three letters (ISO 4217).
    """

    per_hour: float
    currency: str

    def of(self, seconds: float | None) -> float | None:
        """Return what so much time costs; None where the time is not known."""
        return None if seconds is None else seconds / _HOUR * self.per_hour


@dataclass(frozen=True)
class Costs:
    """What one entry costs, in its primary form.

    Attributes:
        entry: The entry's id.
        model: Its model.
        seconds: Mean over seeds by step: ``load``, ``tune`` (all trials that chose its settings,
            together; those of older settings in the same folder play no part), ``train``
            (tokenising and validation included), ``evaluate``, ``merge``. What a run read from
            another one's cache counts as if it had computed it; trials count as they were.
        train_tokens_per_second: Tokens that training read, padding left out; None without training.
        evaluate_tokens_per_second: Tokens that answering read.
        seconds_per_thousand: Seconds to answer a thousand items, loading left out.
        memory: Largest resident memory by step in bytes.
        device_memory: Largest memory reserved on an accelerator by step in bytes.
        trained: Trained parameters, head included.
        deployed_bytes: Size of what must be stored beside the shared base.
    """

    entry: str
    model: str | None
    seconds: Mapping[str, float]
    train_tokens_per_second: float | None
    evaluate_tokens_per_second: float | None
    seconds_per_thousand: float | None
    memory: Mapping[str, int]
    device_memory: Mapping[str, int]
    trained: int | None
    deployed_bytes: int | None

    @property
    def name(self) -> str:
        """The entry, with its model where the id does not name it."""
        known = self.model is None or self.entry.endswith(f"@{self.model}")
        return self.entry if known else f"{self.entry} ({self.model})"

    @property
    def total_seconds(self) -> float:
        """All steps together."""
        return sum(self.seconds.values())


def costs(records: Sequence[RunRecord]) -> list[Costs]:
    """Return what each entry costs, in the order of the records.

    Args:
        records: All records of a study, trials included.
    """
    groups: dict[tuple[str, str | None], list[RunRecord]] = {}
    for record in current(records):
        if record.status == "done":
            groups.setdefault((record.entry, record.model), []).append(record)
    trials = {(r.entry, r.key): r for r in records if r.stage == "trial"}
    return [_costs(runs, _tuning(runs, trials)) for runs in groups.values()]


def _tuning(runs: Sequence[RunRecord], trials: Mapping[tuple[str, str], RunRecord]) -> float:
    """Return the seconds of the trials that chose these runs' settings, and of no others."""
    keys = {(run.entry, key): None for run in runs if run.tuned for key in run.tuned.keys}
    return trial_seconds(trials[key] for key in keys if key in trials)


def _costs(runs: Sequence[RunRecord], tuning: float) -> Costs:
    first, form = runs[0], primary_variant(runs)
    steps = [_by_step(run, form) for run in runs]
    seconds = {
        step: fmean(sum(phase.alone for phase in run.get(step, ())) for run in steps)
        for step in _STEPS
    }
    answered = sum(result.n for result in first.variants if result.variant == form)
    return Costs(
        entry=first.entry,
        model=first.model,
        seconds={name: value for name, value in {**seconds, "tune": tuning}.items() if value},
        train_tokens_per_second=_speed(runs, "train"),
        evaluate_tokens_per_second=_speed(runs, _evaluation(first, form)),
        seconds_per_thousand=1000 * seconds["evaluate"] / answered if answered else None,
        memory=_peaks(steps, "rss"),
        device_memory=_peaks(steps, "reserved"),
        trained=first.parameters.trained + first.parameters.head if first.parameters else None,
        deployed_bytes=first.parameters.deployed_bytes if first.parameters else None,
    )


def _evaluation(run: RunRecord, form: str) -> str:
    """Return the phase in which a form of the model answers: a merged one has its own."""
    own = f"evaluate {form}"
    return own if own in run.measured else "evaluate"


def _by_step(run: RunRecord, form: str) -> dict[str, list[Phase]]:
    found: dict[str, list[Phase]] = {}
    for step, names in _STEPS.items():
        wanted = (_evaluation(run, form),) if step == "evaluate" else names
        found[step] = [run.measured[name] for name in wanted if name in run.measured]
    return found


def _speed(runs: Iterable[RunRecord], phase: str) -> float | None:
    found = [run.measured[phase] for run in runs if phase in run.measured]
    seconds = sum(one.alone for one in found)
    tokens = sum(one.tokens for one in found)
    return tokens / seconds if seconds and tokens else None


def _peaks(steps: Sequence[Mapping[str, Sequence[Phase]]], name: str) -> dict[str, int]:
    found = {
        step: max((getattr(phase, name) for run in steps for phase in run.get(step, ())), default=0)
        for step in _STEPS
    }
    return {step: peak for step, peak in found.items() if peak}


def fronts(records: Sequence[RunRecord]) -> dict[str, dict[str, list[str]]]:
    """Return the entries on the front of quality against each cost, by split.

    Quality is the mean of the leading metric. An entry whose cost is not known is on no front.

    Args:
        records: All records of a study.

    Returns:
        By split and cost (``seconds`` of all trials and one run, ``memory`` at its peak,
        ``deployed`` bytes) the ids of entries, the best first.
    """
    rows = [row for row in entries(records) if row.primary and row.metrics]
    seconds = {(one.entry, one.model): one.total_seconds for one in costs(records)}
    found: dict[str, dict[str, list[str]]] = {}
    for split in dict.fromkeys(row.split for row in rows if row.split is not None):
        quality = {
            row.id: row.metrics[metric_order(row.metrics)[0]].mean
            for row in rows
            if row.split == split
        }
        costs_of = {
            row.id: _known_costs(row, seconds.get((row.entry, row.model)))
            for row in rows
            if row.split == split
        }
        found[split] = {}
        for cost in ("seconds", "memory", "deployed"):
            points = {
                name: (quality[name], float(value))
                for name, known in costs_of.items()
                if (value := known[cost]) is not None
            }
            front = pareto_front(points)
            found[split][cost] = sorted(front, key=lambda name: -quality[name])
    return found


def _known_costs(row: EntryResult, seconds: float | None) -> dict[str, float | None]:
    return {
        "seconds": seconds or None,
        "memory": row.peak_memory_bytes,
        "deployed": row.parameters.deployed_bytes if row.parameters else None,
    }


def pareto_front(points: Mapping[str, tuple[float, float]]) -> set[str]:
    """Return the entries that no other one beats in quality without costing more.

    Args:
        points: Quality (more is better) and cost (less is better) by entry.

    Returns:
        Entries for which no other one is at least as good in both and better in one.
    """
    return {
        name
        for name, (quality, cost) in points.items()
        if not any(
            other_quality >= quality
            and other_cost <= cost
            and (other_quality, other_cost) != (quality, cost)
            for other_quality, other_cost in points.values()
        )
    }
