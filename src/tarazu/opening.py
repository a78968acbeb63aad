"""Opening a study's output folder: runs of other versions are sorted out, inputs are noted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tarazu.catalog import plugins_of
from tarazu.errors import BadInput, Problem
from tarazu.models.source import LocalModel
from tarazu.plugins import Plugin
from tarazu.record.aside import STALE, bring_back, set_aside
from tarazu.record.environment import changed, versions
from tarazu.record.progress import WARNING
from tarazu.record.record import RunRecord
from tarazu.record.spec import ComputeSpec, DataSpec
from tarazu.record.store import Store
from tarazu.record.watched import (
    PLUGIN,
    changed_files,
    data_files,
    known_plugins,
    plugin_files,
    watch,
)
from tarazu.study_file import Entry, Study
from tarazu.study_yaml import read_document

if TYPE_CHECKING:
    from tarazu.models.precision import Precision

_MORE = "`tarazu doctor` tells more."


def settle_versions(store: Store, entries: Sequence[Entry], note: Callable[[str], None]) -> None:
    """Set runs aside that other package versions made, take up those of these versions, say so.

    Args:
        store: The output folder; it knows whether runs of any version are used.
        entries: What is run now.
        note: Hears what was done.
    """
    asked = {entry.id for entry in entries}
    if moved := set_aside(store, asked):
        were = "were" if len(moved) > 1 else "was"
        note(
            f"{_runs(moved)} {were} made with other versions ({_told(moved)}): set aside in "
            f"{STALE}/ and made again. With --keep-stale they are used as they are."
        )
    if back := bring_back(store, asked):
        note(f"{_runs(back)} that had been set aside in {STALE}/ will be used again.")


def settle_precision(store: Store, compute: ComputeSpec, note: Callable[[str], None]) -> Precision:
    """Choose where and in which precision to compute, and say so; what was once measured stays.

    A processor may be about as fast in both, and a second measurement that fell out otherwise would
    make every finished run another one.

    Args:
        store: The output folder.
        compute: What the study asks for.
        note: Hears which device and precision it is and why; that a card cannot be used, though
            one could be expected; and what else would be chosen by now, or cannot be any more.

    Raises:
        BadInput: See `tarazu.models.precision.choose`.
    """
    from tarazu.models.precision import choose, dtype_reason, is_native

    now = choose(compute)
    kept = store.read_precision()
    differs = _is_measured(compute, now) and kept not in (None, now.dtype)
    if differs and kept is not None and is_native(kept):
        settled, reason = replace(now, dtype=kept), "as when the study was first run"
    else:
        settled, reason = now, dtype_reason(now, compute)
    for line in _device_lines(compute, settled, reason):
        note(line)
    if not differs:
        return settled
    if settled == now:
        note(
            f"Computing in {now.dtype}: the study was first run in {kept}, for which this "
            "processor has no instructions. Runs made in it are made again."
        )
        return now
    note(
        f"Computing in {kept}, as when the study was first run, though {now.dtype} was measured to "
        "be the better choice now. compute.dtype says which."
    )
    return settled


def _device_lines(compute: ComputeSpec, precision: Precision, reason: str) -> Iterator[str]:
    """Yield the line that names device and precision, and what stands in the way of a card."""
    from tarazu.models import hardware

    device = precision.device
    named = hardware.device_name(device, hardware.hardware(device), precision.threads)
    yield f"Device: {named}, {precision.dtype} ({reason})"
    if device == "cuda":
        if (found := hardware.too_old_for_torch()) is not None:
            yield f"{WARNING}{found.reason}. {found.remedy} {_MORE}"
    elif compute.device == "auto":
        found = hardware.obstacle()
        if found is not None and not found.expected:
            yield f"{WARNING}no card can be used: {found.reason}. {found.remedy} {_MORE}"
        for other in hardware.unused_accelerators():
            yield f"There is {other}, which tarazu does not use."


def keep_precision(store: Store, compute: ComputeSpec, precision: Precision) -> None:
    """Write down what was first measured, for the next time and for a machine gone back to.

    Args:
        store: The output folder, locked.
        compute: What the study asks for.
        precision: What came of it.
    """
    if _is_measured(compute, precision) and store.read_precision() is None:
        store.write_precision(precision.dtype)


def _is_measured(compute: ComputeSpec, precision: Precision) -> bool:
    return compute.dtype == "auto" and precision.device == "cpu"


def note_plugins(
    store: Store,
    entries: Sequence[Entry],
    plugins: Sequence[Plugin],
    note: Callable[[str], None],
) -> None:
    """Say which plug-ins are not what made the last runs: these are made again.

    Args:
        store: The output folder.
        entries: What is run now.
        plugins: The plug-ins in use.
        note: Hears it.
    """
    asked = {entry.id for entry in entries}
    records = [record for record in store.records() if record.entry in asked] if plugins else []
    for plugin in plugins:
        made = {record.spec.plugins.get(plugin.name) for record in records} - {None}
        if made and plugin.sha256 not in made:
            note(f"The plug-in '{plugin.name}' has changed: what it made is made again.")


def _runs(records: Sequence[RunRecord]) -> str:
    return f"{len(records):,} runs" if len(records) > 1 else "1 run"


def _told(records: Sequence[RunRecord]) -> str:
    now = versions()
    pairs = {
        name: pair
        for record in records
        for name, pair in changed(record.environment.packages, now).items()
    }
    return ", ".join(f"{name} {old} → {new}" for name, (old, new) in sorted(pairs.items()))


def untouched(store: Store, study: Study, entries: Sequence[Entry]) -> set[str]:
    """Return the entries that are not run now and of which the last plan still holds.

    Args:
        store: The output folder, in which this study is not yet written down.
        study: The study.
        entries: What is run now.
    """
    asked = {entry.id for entry in entries}
    others = [entry for entry in study.entries if entry.id not in asked]
    changes = {file.what for file in changed_files(store.folder)}
    if not others or "data" in changes:
        return set()
    try:
        before = store.read_study()
    except BadInput:
        return set()
    now = study.spec.model_dump(mode="json", by_alias=True)
    noted = plugin_files(store.folder)
    return {
        entry.id
        for entry in others
        if _part_of(entry, before) == _part_of(entry, now) and _same_plugins(entry, study, noted)
    }


def _same_plugins(
    entry: Entry, study: Study, noted: Mapping[str, Collection[tuple[str, str]]]
) -> bool:
    """Say whether an entry's plug-ins hold what was noted of them, wherever their files lie now."""
    task = study.spec.task if isinstance(study.spec.task, str) else ""
    return all(
        {(file.name, sha) for file, sha in one.files} == noted.get(one.name)
        for one in plugins_of(entry.method.name, task)
    )


def _part_of(entry: Entry, study: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a study says that concerns one entry."""
    own = {name: value for name, value in study.items() if name not in ("report", "study")}
    own["methods"] = (study.get("methods") or {}).get(entry.id.partition("@")[0])
    own["models"] = (study.get("models") or {}).get(entry.model)
    return own


def watch_inputs(
    store: Store,
    study: Study,
    models: Mapping[str, LocalModel],
    plugins: Sequence[Plugin] = (),
) -> None:
    """Write down which files a study is made from, and how they are now.

    Args:
        store: The output folder.
        study: The study.
        models: The models that were looked at; what was noted of its others is kept.
        plugins: The plug-ins in use.
    """
    others = {f"model {name}" for name in study.spec.models if name not in models}
    named = [(f"{PLUGIN}{one.name}", file, sha) for one in plugins for file, sha in one.files]
    watch(store.folder, [*_inputs(study, models), *named], keep=others)


def named_before(
    path: str | Path, out: str | Path | None, plugins: Sequence[Plugin]
) -> list[Problem]:
    """Say which plug-ins a study had when it was last run and has not now.

    Args:
        path: The study file, which may be wrong.
        out: Its output folder; None for the one by its name.
        plugins: The plug-ins in use.
    """
    try:
        study = read_document(Path(path)).values if out is None else {}
    except BadInput:
        return []
    name = study.get("study") if isinstance(study, dict) else None
    if out is None and (not isinstance(name, str) or not name):
        return []
    folder = Path(out) if out is not None else Path("out") / str(name)
    given = {plugin.name for plugin in plugins}
    return [
        Problem("--plugin", f"'{one}' was in use when the study was last run", "none", remedy)
        for one, remedy in known_plugins(folder).items()
        if one not in given
    ]


def _inputs(
    study: Study, models: Mapping[str, LocalModel]
) -> Iterator[tuple[str, Path, str | None]]:
    yield "study", study.path, None
    for source in dict.fromkeys(_sources(study.spec.data)):
        for file in data_files(source, study.base):
            yield "data", file, None
    for name, model in models.items():
        # A model of the Hub or of a wheel lies in a cache, which may be emptied at any time.
        given = study.base / Path(study.spec.models[name].source).expanduser()
        for file_name, sha in model.files.items():
            yield f"model {name}", given if given.is_file() else given / file_name, sha


def _sources(data: DataSpec) -> Iterator[str]:
    yield data.train
    if isinstance(data.validation, str):
        yield data.validation
    yield from data.test.values() if isinstance(data.test, dict) else [data.test]
