"""How far a study is, from its output folder alone: nothing is written, and no model is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tarazu.comparison.entries import every_size
from tarazu.errors import bad
from tarazu.record.aside import STALE
from tarazu.record.environment import changed, same_hashes, versions
from tarazu.record.record import RunRecord
from tarazu.record.standing import Running, Slot, in_use, read_plan, read_running
from tarazu.record.store import Store
from tarazu.record.watched import PLUGIN, Watched, changed_files, known_plugins

State = Literal["done", "running", "failed", "stale", "waiting"]
STATES: tuple[State, ...] = ("done", "running", "failed", "stale", "waiting")

_MADE_WITH = "made with"


@dataclass(frozen=True)
class RunStatus:
    """One run of a study.

    Attributes:
        label: Entry and seed, or which trial.
        entry: Id of the entry.
        stage: ``trial`` or ``final``.
        state: ``stale`` is a finished run that is not what the study asks for now, or that other
            versions or other files made.
        why: Why it is stale or failed, or since when it runs; empty otherwise.
        key: Its content key; empty where it is not known yet.
    """

    label: str
    entry: str
    stage: str
    state: State
    why: str = ""
    key: str = ""


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes:
        study: Its name; empty where the folder does not say it.
        in_use: Whether a process has the folder now.
        runs: What the study asks for, in its order, then what else is in the folder.
        notes: What else should be known.
    """

    study: str
    in_use: bool
    runs: tuple[RunStatus, ...]
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Runs by state, every state once."""
        found = Counter(run.state for run in self.runs)
        return {state: found[state] for state in STATES}

    def to_json(self) -> dict[str, Any]:
        """Return what ``tarazu status --format json`` prints."""
        return {
            "study": self.study,
            "in_use": self.in_use,
            "counts": self.counts,
            "runs": [asdict(run) for run in self.runs],
            "notes": list(self.notes),
        }


def status(folder: str | Path, *, note: Callable[[str], None] = print) -> Status:
    """Tell how far a study is.

    Args:
        folder: Its output folder.
        note: Hears when it takes a while, as another machine had the folder.

    Raises:
        BadInput: It is no output folder, or a record in it cannot be read.
    """
    folder = Path(folder)
    store = Store(folder)
    used = in_use(folder, note)  # may take a while: what is read after it is of one moment
    slots, records = read_plan(folder), store.records()
    if slots is None and not records and not store.has_study():
        rule = "must be the output folder of a study"
        raise bad(str(folder), rule, "no study in it", "Run the study first, or give its folder.")
    differing = changed_files(folder)
    stale = _Stale(differing)
    older: list[RunStatus] = []
    if slots is None:
        runs = _without_plan(records, stale)
    else:
        runs, older = _planned(slots, records, stale, read_running(folder) if used else None)
    study = store.read_study() if store.has_study() else {}
    return Status(
        study=str(study.get("study", "")),
        in_use=used,
        runs=(*runs, *older),
        notes=(*_notes(folder, differing), *_next(folder, runs, differing, used=used)),
    )


class _Stale:
    """Says why a record is not what would be made now."""

    def __init__(self, differing: Sequence[Watched]) -> None:
        self._packages = versions()
        self._same = same_hashes(self._packages)
        self._files = differing

    def why(self, record: RunRecord) -> str:
        """Return the reasons, or nothing."""
        reasons = []
        if record.environment.hash not in self._same:
            pairs = changed(record.environment.packages, self._packages)
            told = [f"{name} {old}, now {new}" for name, (old, new) in pairs.items()]
            reasons.append(f"{_MADE_WITH} {'; '.join(told) or 'other versions'}")
        names = [
            Path(file.path).name
            for file in self._files
            if file.what in ("data", f"model {record.model}")
            or file.what.removeprefix(PLUGIN) in record.spec.plugins
        ]
        if names:
            reasons.append(f"{', '.join(dict.fromkeys(names))} changed since")
        return "; ".join(reasons)


def _planned(
    slots: Sequence[Slot], records: Iterable[RunRecord], stale: _Stale, running: Running | None
) -> tuple[list[RunStatus], list[RunStatus]]:
    """Return the runs of the plan, then what else is there."""
    left = {(record.entry, record.key): record for record in records}
    found = []
    for place, slot in enumerate(slots):
        record = left.pop((slot.entry, slot.key), None)
        if running is not None and running.place == place:
            found.append(_run(slot, "running", f"since {running.began}"))
        elif record is None:
            found.append(_run(slot, "waiting"))
        else:
            found.append(_judged(slot, record, stale))
    why = "not in the last plan: other settings, data, model files or plug-ins"
    return found, [_run(_slot(record), "stale", why + _by(record)) for record in left.values()]


def _by(record: RunRecord) -> str:
    told = [f"plug-in {name} {sha[:12]}" for name, sha in record.spec.plugins.items()]
    return f" ({_MADE_WITH} {', '.join(told)})" if told else ""


def _without_plan(records: Sequence[RunRecord], stale: _Stale) -> list[RunStatus]:
    """Judge a folder that was made before plans were written down."""
    used = {(record.entry, record.key) for record in every_size(records)}
    return [
        _judged(_slot(record), record, stale)
        if record.stage == "trial" or (record.entry, record.key) in used
        else _run(_slot(record), "stale", "older settings")
        for record in records
    ]


def _judged(slot: Slot, record: RunRecord, stale: _Stale) -> RunStatus:
    if record.status == "failed":
        return _run(slot, "failed", record.error or "no reason recorded")
    why = stale.why(record)
    return _run(slot, "stale" if why else "done", why)


def _slot(record: RunRecord) -> Slot:
    told = f"trial {record.trial.number}" if record.trial else f"seed {record.seed}"
    rows = record.spec.train_rows
    sized = record.entry if rows is None else f"{record.entry} · {rows:,}"
    return Slot(f"{sized} · {told}", record.entry, record.stage, record.key)


def _run(slot: Slot, state: State, why: str = "") -> RunStatus:
    return RunStatus(slot.label, slot.entry, slot.stage, state, why, slot.key)


def _notes(folder: Path, differing: Sequence[Watched]) -> list[str]:
    found = []
    if any(file.what == "study" for file in differing):
        found.append("The study file changed since it was last run: this is the plan from before.")
    found += [
        f"The plug-in '{file.what.removeprefix(PLUGIN)}' is missing: {file.path} is not there."
        for file in differing
        if file.what.startswith(PLUGIN) and not (folder / file.path).is_file()
    ]
    aside = len(list((folder / STALE).glob("*/record.json")))
    if aside:
        found.append(f"Set aside in {STALE}/, made with other versions: {aside:,}.")
    return found


def _next(
    folder: Path, runs: Sequence[RunStatus], differing: Sequence[Watched], *, used: bool
) -> list[str]:
    """Say what to do about the runs of the plan."""
    if used:
        return ["A process is at work in this folder now."]
    finished = all(run.state == "done" for run in runs)
    if finished and not any(file.what == "study" for file in differing):
        return []
    found = ["Give the study's command again to make what is waiting, failed or stale."]
    found += [
        f"It takes methods or tasks from the plug-in '{name}', which loads only when it is named. "
        f"{remedy}"
        for name, remedy in known_plugins(folder).items()
    ]
    if any(run.why.startswith(_MADE_WITH) for run in runs):
        found.append("With --keep-stale it uses runs of other versions as they are.")
    return found
