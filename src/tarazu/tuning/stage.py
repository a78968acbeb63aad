"""The stage of tuning: all trials of all entries, then the final runs with what they chose.

No test item is scored before every choice is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarazu.errors import bad
from tarazu.models.info import ModelInfo
from tarazu.record.key import content_key
from tarazu.record.progress import Listener, PlannedRun
from tarazu.record.record import RunRecord
from tarazu.record.spec import RunSpec, TuningSpec
from tarazu.record.store import Store
from tarazu.splits import Splits
from tarazu.study_file import Entry, Study
from tarazu.tuning.budget import trials_for
from tarazu.tuning.search import Choice, Job, Search, make_search, walk

# Rough seconds on two cores: to start a run, and per item in a forward pass. They only serve to
# tell the remaining time of a study before its runs have shown how fast the machine is.
_START = 6.0
_COST = {"encoder": 0.006, "decoder": 0.12, "baseline": 0.001}


def planned(
    spec: RunSpec,
    finished: bool,
    splits: Splits,
    infos: Mapping[str, ModelInfo],
    trial: str = "",
    *,
    settled: bool = True,
    begun: float = 0.0,
) -> PlannedRun:
    """Describe a run for the progress view.

    Args:
        spec: The run.
        finished: Whether it is done already.
        splits: The data.
        infos: Models by name.
        trial: Which trial it is, in words; empty for a final run.
        settled: Whether it will be this run, and not another one that tuning chooses.
        begun: Share of its updates that a lower rung will have made.
    """
    asked = len(splits.validation) if trial else sum(map(len, splits.tests.values()))
    kind = infos[spec.model].kind if spec.model is not None else "baseline"
    epochs = spec.settings["epochs"].value if "epochs" in spec.settings else 0
    # A backward pass costs about twice a forward pass.
    rows = len(splits.train) if spec.train_rows is None else spec.train_rows
    updates = 3 * epochs * rows * spec.share * (1 - begun)
    work = _START + _COST[kind] * (updates + asked)
    label = f"{_sized(spec)} · {trial or f'seed {spec.seed}'}"
    key = content_key(spec) if settled else ""
    if not trial:
        return PlannedRun(label, spec.entry, finished, work, "final", key)
    return PlannedRun(label, spec.entry, finished, work, "trial", key, begun)


def _sized(spec: RunSpec) -> str:
    """Return an entry with its training rows where the study asks for several sizes."""
    return spec.entry if spec.train_rows is None else f"{spec.entry} · {spec.train_rows:,}"


@dataclass
class Stage:
    """Tuning and the final runs of a study.

    Attributes:
        study: The study, with a tuning.
        entries: What is compared.
        specs: The final runs with the settings that they have without tuning.
        infos: Models by name.
        splits: The data.
        store: Where finished runs are found.
        listener: Hears what is left out of the plan.
        make: Makes a run at an index of the plan, or returns it when it is finished.
        announce: Hears the plan, before anything is made.
    """

    study: Study
    entries: Sequence[Entry]
    specs: Sequence[RunSpec]
    infos: Mapping[str, ModelInfo]
    splits: Splits
    store: Store
    listener: Listener
    make: Callable[[Job, int], RunRecord]
    announce: Callable[[list[PlannedRun]], None]

    def run(self) -> list[RunRecord]:
        """Make all trials, choose, and make the final runs. Returns the records in this order."""
        searches = self._searches(self.tuning.trials or self._measured())
        plans = [self._foresee(search) for search in searches]
        trials = [slot for slots, _ in plans for slot in slots]
        self.announce([*trials, *(slot for _, finals in plans for slot in finals)])
        records: list[RunRecord] = []
        choices: list[Choice] = []
        offset = 0
        for search, (slots, _) in zip(searches, plans, strict=True):
            choices.append(self._choose(search, offset, records))
            offset += len(slots)
        for search, choice, (_, finals) in zip(searches, choices, plans, strict=True):
            jobs = search.finals(choice, self.study.spec.seeds)
            records += [self.make(job, offset + place) for place, job in enumerate(jobs)]
            self._drop(range(offset + len(jobs), offset + len(finals)))
            offset += len(finals)
        return records

    @property
    def tuning(self) -> TuningSpec:
        """What the study says about tuning."""
        assert self.study.spec.tuning is not None
        return self.study.spec.tuning

    def _searches(self, budget: int) -> list[Search]:
        """Return one search per entry and training size: what is best depends on the size."""
        bases: dict[tuple[str, int | None], RunSpec] = {}
        for spec in self.specs:
            bases.setdefault((spec.entry, spec.train_rows), spec)
        entries = {entry.id: entry for entry in self.entries}
        return [
            make_search(
                entries[spec.entry],
                spec,
                self.infos[spec.model] if spec.model is not None else None,
                self.study.task,
                self.tuning,
                budget,
            )
            for spec in bases.values()
        ]

    def _choose(self, search: Search, offset: int, records: list[RunRecord]) -> Choice:
        made: set[int] = set()

        def make(job: Job, slot: int) -> RunRecord:
            made.add(slot)
            records.append(self.make(job, offset + slot))
            return records[-1]

        choice = walk(search, make)
        assert choice is not None  # every trial was made
        room = sum(rung.trials for rung in search.rungs)
        self._drop(offset + slot for slot in range(room) if slot not in made)
        return choice

    def _drop(self, indices: Any) -> None:
        for index in indices:
            self.listener.dropped(index)

    def _foresee(self, search: Search) -> tuple[list[PlannedRun], list[PlannedRun]]:
        """Return room for all trials and for the final runs, as far as can be known by now."""
        finished: dict[int, bool] = {}

        def look(job: Job, slot: int) -> RunRecord | None:
            record = self.store.find(content_key(job.spec), settled=True)
            finished[slot] = record is not None
            return record

        choice = walk(search, look)
        trials: list[PlannedRun] = []
        for index, rung in enumerate(search.rungs):
            begun = search.rungs[index - 1].share / rung.share if index else 0.0
            for place in range(rung.trials):
                told = f"trial {place}"
                if index:
                    told = f"rung {index + 1}, trial {place + 1} of {rung.trials}"
                spec, done = search.job(place, index).spec, finished.get(len(trials), False)
                known = done or index == 0
                slot = planned(
                    spec, done, self.splits, self.infos, told, settled=known, begun=begun
                )
                trials.append(slot)
        seeds = self.study.spec.seeds
        if choice is not None:
            return trials, [self._slot(job) for job in search.finals(choice, seeds)]
        # While the choice is open there is room for as many final runs as there can be.
        possible = [Choice("", winner=number) for number in range(len(search.trials))]
        room = max((search.finals(one, seeds) for one in possible), key=len)
        return trials, [
            planned(j.spec, False, self.splits, self.infos, settled=False) for j in room
        ]

    def _slot(self, job: Job, trial: str = "") -> PlannedRun:
        found = self.store.find(content_key(job.spec), settled=bool(trial))
        return planned(job.spec, found is not None, self.splits, self.infos, trial)

    def _measured(self) -> int:
        """Return the number of trials that a time stands for; measured once, then kept."""
        asked = {"seconds": self.tuning.seconds, "inputs": self.splits.hashes()}
        known = self.store.read_budget() or {}
        trials = known.get("trials")
        if isinstance(trials, int) and {name: known.get(name) for name in asked} == asked:
            return trials
        if len(self.entries) < len(self.study.entries):
            raise bad(
                "tuning.seconds",
                "a time must be turned into a number of trials by all entries together",
                "some of them",
                "Run the study once without --only, or give tuning.trials.",
            )
        measured = self._measure()
        trials = trials_for(self.tuning.seconds or 0.0, measured)
        self.store.write_budget({**asked, "trials": trials, "measured": measured})
        self.listener.note(f"{self.tuning.seconds:g} seconds: {trials} trials of every entry")
        return trials

    def _measure(self) -> dict[str, float]:
        """Return the seconds that a whole trial of the default settings takes, by entry."""
        jobs = [job for search in self._searches(1) if (job := search.probe()) is not None]
        self.listener.note("One trial of every entry is measured, to know how many the time allows")
        self.announce([self._slot(job, "trial 0, measured") for job in jobs])
        records = [self.make(job, index) for index, job in enumerate(jobs)]
        return {
            _sized(record.spec): _START + sum(phase.seconds for phase in record.measured.values())
            for record in records
        }
