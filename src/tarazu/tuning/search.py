"""What is searched for one entry, and the runs that this means: trials first, then final runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarazu.methods._method import Choices, Method, Range, Space
from tarazu.models.info import ModelInfo
from tarazu.record.record import Event, RunRecord, Searched, Trial, Tuned
from tarazu.record.spec import RunSpec, Setting, TuningSpec
from tarazu.study_file import Entry
from tarazu.tasks._task import Task
from tarazu.text import Text
from tarazu.tuning.points import trial_settings
from tarazu.tuning.rungs import Rung, Scored, ranking, rungs, survivors

UNTUNED_EVENT = "tuning"
"""Kind of the event that tells of a tuning in which no trial came to its end."""


@dataclass(frozen=True)
class Job:
    """One run that is asked for.

    Attributes:
        spec: The run.
        trial: Which trial it is; None for a final run.
        tuned: How the settings of a final run were chosen.
        events: What its record must tell beside what happened in the run.
    """

    spec: RunSpec
    trial: Trial | None = None
    tuned: Tuned | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Search:
    """What is searched for an entry.

    Attributes:
        method: Its method.
        base: A final run of the entry with the settings that it has without tuning.
        budget: Trials that every entry has.
        seed: Of the sequence and of every trial.
        space: What is searched.
        fixed: What the method would search, but the study fixes.
        nothing: Why nothing is searched; None when something is.
        trials: Values of the searched settings, by the number of the trial.
        rungs: Where trials are compared.
    """

    method: Method
    base: RunSpec
    budget: int
    seed: int
    space: Space
    fixed: tuple[str, ...]
    nothing: Text | None
    trials: Sequence[Mapping[str, Any]]
    rungs: tuple[Rung, ...]

    def job(self, number: int, rung: int) -> Job:
        """Return a trial. It knows of no test split: neither items, nor their hash, nor a path.

        Args:
            number: Of the trial.
            rung: Which rung it is to reach, counted from 0.
        """
        settings = {
            name: Setting(
                value=value,
                reason=f"Trial {number} of the search",
                source=self._source,
                chosen_by="tuning",
            )
            for name, value in self.trials[number].items()
        }
        spec = self.base.model_copy(
            update={
                "seed": self.seed,
                "settings": {**self.base.settings, **settings},
                "data": self.base.data.model_copy(update={"test": {}}),
                "inputs": {name: self.base.inputs[name] for name in ("train", "validation")},
                "share": self.rungs[rung].share,
            }
        )
        return Job(spec, trial=Trial(number=number, rung=rung + 1))

    def probe(self) -> Job | None:
        """Return the trial of the default settings, whole, to measure what a trial takes."""
        return self.job(0, len(self.rungs) - 1) if self.trials else None

    def finals(self, choice: Choice, seeds: Sequence[int]) -> list[Job]:
        """Return the final runs, one per seed; one in all when a seed would change nothing.

        Args:
            choice: What the trials came to.
            seeds: The study's.
        """
        settings = dict(self.base.settings)
        events: tuple[Event, ...] = ()
        if choice.winner is not None:
            score = f"{choice.metric} {choice.score:.4f}" if choice.score is not None else ""
            for name, value in self.trials[choice.winner].items():
                settings[name] = Setting(
                    value=value,
                    reason=f"Trial {choice.winner}, the best of {len(self.trials)} on validation "
                    f"({score})",
                    source=self._source,
                    chosen_by="tuning",
                )
        elif self.trials:
            message = (
                f"none of {len(self.trials)} trials came to its end ({choice.reason}): "
                "the default settings are used"
            )
            events = (Event(kind=UNTUNED_EVENT, message=message),)
        knobs = self.method.knobs(**{n: settings[n].value for n in self.method.knobs.model_fields})
        used = seeds if self.method.seeded(knobs) else seeds[:1]
        tuned = self._tuned(choice)
        return [
            Job(
                self.base.model_copy(update={"seed": seed, "settings": settings}),
                tuned=tuned,
                events=events,
            )
            for seed in used
        ]

    @property
    def _source(self) -> str:
        return f"this study's tuning, seed {self.seed}"

    def _tuned(self, choice: Choice) -> Tuned:
        return Tuned(
            budget=self.budget,
            trials=len(self.trials),
            seed=self.seed,
            winner=choice.winner,
            score=choice.score,
            searched={name: _told(item) for name, item in self.space.items()},
            fixed=list(self.fixed),
            nothing={"en": self.nothing.en, "fa": self.nothing.fa} if self.nothing else {},
            keys=list(choice.keys),
        )


@dataclass(frozen=True)
class Choice:
    """What the trials of an entry came to.

    Attributes:
        metric: Name of the metric by which they were compared.
        winner: Number of the best trial; None when there is none.
        score: Its metric, trained to the end.
        reason: Why the first of the failed trials failed.
        keys: Content keys of all trials.
    """

    metric: str
    winner: int | None = None
    score: float | None = None
    reason: str = ""
    keys: tuple[str, ...] = ()


def make_search(
    entry: Entry,
    base: RunSpec,
    info: ModelInfo | None,
    task: Task,
    tuning: TuningSpec,
    budget: int,
) -> Search:
    """Say what is searched for an entry.

    Args:
        entry: The entry. What the study, the entry or the command line gave is not searched.
        base: A final run of it with the settings that it has without tuning.
        info: Its model.
        task: The task.
        tuning: Pruning and seed.
        budget: Trials of every entry.
    """
    method = entry.method
    whole = method.search(info, task, entry.knobs)
    space = {name: item for name, item in whole.items() if name not in entry.chosen_by}
    fixed = tuple(name for name in whole if name in entry.chosen_by)
    default = {name: setting.value for name, setting in base.settings.items()}
    trials = trial_settings(space, default, trials=budget, seed=tuning.seed)
    # Without training there is nothing that could be stopped early.
    pruning = tuning.pruning and method.trains and info is not None
    return Search(
        method=method,
        base=base,
        budget=budget,
        seed=tuning.seed,
        space=space,
        fixed=fixed,
        nothing=None if space else _why(method, fixed),
        trials=trials,
        rungs=rungs(len(trials), pruning=pruning),
    )


def _why(method: Method, fixed: Sequence[str]) -> Text:
    if fixed:
        names = ", ".join(fixed)
        return Text(
            f"The study fixes all that would be searched: {names}.",
            f"بررسی همهٔ آنچه را که جست‌وجو می‌شد ثابت کرده است: {names}.",
        )
    return method.nothing_to_tune or Text(
        "The method has nothing to choose for this task.",
        "روش برای این کار چیزی برای برگزیدن ندارد.",
    )


def _told(item: Range | Choices) -> Searched:
    if isinstance(item, Choices):
        return Searched(values=list(item.values), reason=item.reason, source=item.source)
    return Searched(
        low=item.low, high=item.high, log=item.log, reason=item.reason, source=item.source
    )


Make = Callable[[Job, int], RunRecord | None]
"""Makes, or only looks up, a run at a slot of the plan; None when it is not known."""


def walk(search: Search, make: Make) -> Choice | None:
    """Go through the rungs of an entry and choose.

    Args:
        search: What is searched.
        make: Gives the record of a trial. Slots count all runs that the rungs have room for, from
            0; one is left out where fewer trials reach a rung because others failed.

    Returns:
        What was chosen; None when a record that it depends on is not known.
    """
    metric, slot = "", 0
    going = list(range(len(search.trials)))
    keys: list[str] = []
    reason = ""
    scored: list[Scored] = []
    for index, rung in enumerate(search.rungs):
        if index:
            going = survivors(scored, rung.trials)
        records = {n: make(search.job(n, index), slot + place) for place, n in enumerate(going)}
        slot += rung.trials
        known = {number: record for number, record in records.items() if record is not None}
        if len(known) < len(records):
            return None
        scored = [score_of(number, record) for number, record in known.items()]
        keys += [record.key for record in known.values()]
        reason = reason or next((r.error for r in known.values() if r.error), "")
        metric = next((r.primary_metric for r in known.values()), metric)
    best = ranking(scored)
    if not best:
        return Choice(metric, reason=reason, keys=tuple(keys))
    score = next(one.score for one in scored if one.number == best[0])
    return Choice(metric, best[0], score, reason, tuple(keys))


def score_of(number: int, record: RunRecord) -> Scored:
    """Return what a trial came to, from its record.

    Args:
        number: Of the trial.
        record: Its record.
    """
    if record.status == "failed" or not record.variants:
        return Scored(number, None)
    loss = next(
        (e.validation_loss for e in record.epochs if e.epoch == record.selected_epoch), None
    )
    return Scored(number, record.variants[0].metrics.get(record.primary_metric), loss)
