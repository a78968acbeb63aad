"""Making the runs of a study: each that is not finished goes through a process into the store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tarazu.catalog import plugins_of
from tarazu.errors import bad
from tarazu.models.cache import trials_folder
from tarazu.models.source import LocalModel
from tarazu.models.states import Shelves
from tarazu.record.disk import is_of_the_disk
from tarazu.record.key import content_key
from tarazu.record.ledger import Ledger
from tarazu.record.memory_limits import MemoryLimits
from tarazu.record.progress import Listener
from tarazu.record.record import Event, RunRecord
from tarazu.record.store import Store
from tarazu.report.plain import escaped
from tarazu.runner import Outcome, run
from tarazu.scrub import scrub
from tarazu.signals import deferred, shielded
from tarazu.splits import Splits
from tarazu.study_file import Study
from tarazu.training.checkpoint import Checkpoints, checkpoints_for
from tarazu.tuning.search import UNTUNED_EVENT, Job
from tarazu.work import Request


@dataclass(frozen=True)
class Workshop:
    """What all runs of a study have in common.

    Attributes:
        study: The study.
        models: Models by name.
        splits: The data.
        store: Where records go.
        ledger: Where scorings of the test sets are counted.
        listener: Hears what happens.
        shelves: Where runs share tokens and what a frozen trunk computed.
        checkpoint_every: Seconds of training between two checkpoints, at least.
        limits: How much at a time fitted into memory, by the shape of a run.
    """

    study: Study
    models: Mapping[str, LocalModel]
    splits: Splits
    store: Store
    ledger: Ledger
    listener: Listener
    shelves: Shelves | None
    checkpoint_every: float
    limits: MemoryLimits = field(default_factory=MemoryLimits)

    def make(self, job: Job, index: int) -> RunRecord:
        """Make a run that is not yet finished; another entry may have made the same one.

        Args:
            job: The run.
            index: Its place in the plan.
        """
        found = self.store.find(content_key(job.spec), settled=job.trial is not None)
        if found is not None:
            told = {"trial": job.trial, "tuned": job.tuned, "events": _events(found, job)}
            record = self.store.adopt(found, job.spec, **told)
            if job.trial is None:
                self._checkpoints(job).clear()  # the command that ended it may not have come to it
        else:
            self.listener.started(index)
            record = self._run(job, index)
        self.listener.finished(index, record)
        return record

    def forget_trials(self, records: Iterable[RunRecord]) -> None:
        """Remove what trials left for their continuation: all choices are made."""
        for record in records:
            if record.trial is not None:
                self._checkpoints(Job(record.spec, trial=record.trial)).clear()

    def _run(self, job: Job, index: int) -> RunRecord:
        trial = job.trial is not None
        checkpoints = self._checkpoints(job)
        # The output folder holds the test items, too: a trial gets a folder elsewhere.
        place = None if trial else self.store.folder
        with self.store.writing() if place else nullcontext():
            folder = tempfile.TemporaryDirectory(
                dir=place, prefix=".tmp-", ignore_cleanup_errors=True
            )
        with folder as scratch:
            request = self._request(job, Path(scratch), checkpoints)
            with deferred():  # a run that has come to its end is kept
                outcome = run(
                    request,
                    tell=lambda told: self.listener.progress(index, told),
                    limits=self.limits,
                )
                with shielded():
                    record = self._keep(outcome, job, Path(scratch) / "artifacts")
        if record.fault == "settings" or (record.status == "done" and not trial):
            checkpoints.clear()  # it would fail again, or it is done
        return record

    def _request(self, job: Job, scratch: Path, checkpoints: Checkpoints) -> Request:
        spec, trial = job.spec, job.trial is not None
        model = self.models[spec.model] if spec.model is not None else None
        sized = self.splits.at_size(spec.train_rows)
        return Request(
            spec=spec,
            folder=model.path if model else None,
            info=model.info if model else None,
            splits=Splits(sized.train, sized.validation, {}) if trial else sized,
            scratch=scratch,
            show_text=self.study.spec.report.text == "full",
            stage="trial" if trial else "final",
            shelves=self.shelves.for_trial() if trial and self.shelves else self.shelves,
            checkpoints=checkpoints,
            plugins=plugins_of(spec.method, "" if spec.task_options else spec.task),
        )

    def _keep(self, outcome: Outcome, job: Job, artifacts: Path) -> RunRecord:
        if is_of_the_disk(outcome.record.error or ""):
            # The next one would fail, too: nothing is written of it, and it is made again.
            remedy = "Free some space or mend the disk, then give the command again."
            rule = "the disk must take what a run writes; finished runs are kept"
            raise bad(str(self.store.folder), rule, outcome.record.error, remedy)
        with self.store.writing():
            # First: no result can be seen that was not counted.
            self.ledger.count(outcome.record)
        told = {"trial": job.trial, "tuned": job.tuned, "events": _events(outcome.record, job)}
        record = self.store.write_record(
            outcome.record.model_copy(update=told),
            outcome.predictions,
            artifacts if artifacts.is_dir() else None,
        )
        if outcome.details:
            log = self.store.run_folder(record) / "error.log"
            with suppress(OSError):  # the record says the reason; this is for its author
                log.write_text(escaped(scrub(outcome.details)), encoding="utf-8")
        return record

    def _checkpoints(self, job: Job) -> Checkpoints:
        trial = job.trial is not None
        out = self.store.folder
        parent = trials_folder(out) if trial else out / "checkpoints"
        return checkpoints_for(job.spec, parent, self.checkpoint_every)


def _events(record: RunRecord, job: Job) -> list[Event]:
    return [*(event for event in record.events if event.kind != UNTUNED_EVENT), *job.events]
