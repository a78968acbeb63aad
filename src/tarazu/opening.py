"""Opening a study's output folder: what other versions made is set aside, inputs are noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tarazu.models.source import LocalModel
from tarazu.record.environment import changed, versions
from tarazu.record.record import RunRecord
from tarazu.record.spec import DataSpec
from tarazu.record.store import STALE, Store
from tarazu.record.watched import data_files, watch
from tarazu.study_file import Entry, Study


def set_stale_aside(store: Store, entries: Sequence[Entry], note: Callable[[str], None]) -> None:
    """Set the runs of some entries aside that other package versions made, and say so.

    Args:
        store: The output folder; it knows whether such runs are kept.
        entries: What is run now.
        note: Hears what was done.
    """
    moved = store.set_aside({entry.id for entry in entries})
    if not moved:
        return
    count = f"{len(moved)} runs were" if len(moved) > 1 else "1 run was"
    note(
        f"{count} made with other versions ({_told(moved)}): set aside in {STALE}/ and made "
        "again. --keep-stale keeps them."
    )


def _told(records: Sequence[RunRecord]) -> str:
    now = versions()
    pairs = {
        name: pair
        for record in records
        for name, pair in changed(record.environment.packages, now).items()
    }
    return ", ".join(f"{name} {old} → {new}" for name, (old, new) in sorted(pairs.items()))


def watch_inputs(store: Store, study: Study, models: Mapping[str, LocalModel]) -> None:
    """Write down which files a study is made from, and how they are now."""
    watch(store.folder, _inputs(study, models))


def _inputs(
    study: Study, models: Mapping[str, LocalModel]
) -> Iterator[tuple[str, Path, str | None]]:
    yield "study", study.path, None
    for source in dict.fromkeys(_sources(study.spec.data)):
        for file in data_files(source, study.base):
            yield "data", file, None
    for name, model in models.items():
        given = study.base / Path(study.spec.models[name].source).expanduser()
        for file_name, sha in model.files.items():
            file = given if given.is_file() else model.path / file_name
            if file.is_file():
                yield f"model {name}", file, sha


def _sources(data: DataSpec) -> Iterator[str]:
    yield data.train
    if isinstance(data.validation, str):
        yield data.validation
    yield from data.test.values() if isinstance(data.test, dict) else [data.test]
