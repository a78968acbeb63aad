"""The record store: one output folder, in which everything is written whole or not at all.

::

    study.json                        the resolved study
    .place.json                       where the study file stands, for this machine only
    tuning.json                       a budget in seconds as a number of trials, measured once
    precision.json                    what a CPU computes in if that is left open, likewise
    runs/<entry>-s<seed>-<key>/       one run: record.json, predictions.parquet, artifacts/
    data/<sha>/items.parquet          the items, once per data set
    plugins/<name>                    plug-ins as they were in the last run; nothing loads them
    data/<sha>/notes.json             what its splits share, and what else should be known of them
    ledger.jsonl                      every scoring of its test sets (`tarazu.record.ledger`)
    plan.json                         what the study asks for, and how far it is (`.standing`)
    stale/<run>-<versions>/           runs of other package versions, unseen (`.aside`)

Everything is built beside its place under a temporary name, synced to disk and renamed into place.
What a killed process left under a temporary name is removed by the next one that writes.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from tarazu.errors import bad
from tarazu.record.disk import make_folder, sync, told_plainly, write_synced
from tarazu.record.holder import Holder
from tarazu.record.holder import held as holding
from tarazu.record.key import canonical_json, sha256_file, sha256_rows, sha256_text
from tarazu.record.lock import folder_lock
from tarazu.record.mounted import drive
from tarazu.record.record import SCHEMA, Artifact, RunRecord
from tarazu.record.spec import RunSpec
from tarazu.record.tables import ItemRow, PredictionRow, items_table, predictions_table, to_bytes
from tarazu.scrub import scrub

_TEMPORARY = ".tmp-"
_REPLACED = ".old-"
RECORD = "record.json"
_PLACE = ".place.json"
_LOCK = ".lock"
_STUDY = "study.json"
_PRECISION = "precision.json"
PLUGINS = "plugins"


class Store:
    """Reads and writes the records of one study.

    Args:
        folder: The output folder. It is made at the first write.
        versions: Hash of the package versions (`tarazu.record.environment`) that a finished run
            must have been made with to be found, or several; None finds every one.
    """

    def __init__(self, folder: Path, versions: str | Collection[str] | None = None) -> None:
        self.folder = folder
        self.versions = (versions,) if isinstance(versions, str) else versions
        self._runs = folder / "runs"
        self._data = folder / "data"
        self._device: int | None = None  # of the folder, while it is locked
        self._holder: Holder | None = None  # against other machines, on a drive that they share

    @contextmanager
    def lock(
        self, *, clear: bool = True, note: Callable[[str], None] = lambda message: None
    ) -> Iterator[int]:
        """Keep other studies out of the folder, and clear away what a killed process left.

        Only the process that leads a study takes the lock; reading never needs it.

        Args:
            clear: Whether to clear away; who counts what is there does it later.
            note: Hears that the folder is on a drive whose locks other machines may not see.

        Yields:
            A descriptor that the processes of runs must hold: the folder stays locked while one of
            them lives, even when this process was killed.

        Raises:
            BadInput: Another process has the folder, it cannot be written to, or its file system
                cannot keep others out.
        """
        with ExitStack() as held:
            with told_plainly(self.folder):
                make_folder(self.folder)
                runs = held.enter_context(folder_lock(self.folder))
                if (kind := drive(self.folder)) is not None:
                    note(_on_a_drive(self.folder, kind))
                    self._holder = held.enter_context(holding(self.folder, note))
                    held.callback(setattr, self, "_holder", None)
                self._device = self.folder.stat().st_dev
                held.callback(setattr, self, "_device", None)
                self._clear(leftovers=clear)
            yield runs

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Tell plainly what goes wrong in writing, and that a locked folder is no longer there.

        A folder that was removed is not made again, and where a disk was unmounted nothing is
        written to what lies below: what was finished is elsewhere.
        """
        with told_plainly(self.folder):
            if self._device is not None and not self._is_there():
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(self.folder))
            if self._holder is not None:
                self._holder.check()
            yield

    def _is_there(self) -> bool:
        """Tell whether the folder is the one that was locked; on some disks inodes change."""
        try:
            return (self.folder / _LOCK).is_file() and self.folder.stat().st_dev == self._device
        except FileNotFoundError:
            return False

    def leftovers(self) -> list[Path]:
        """Return what a killed process left under temporary names, or had not yet removed."""
        return [
            left
            for parent in (self.folder, self._runs, self._data)
            for left in (*sorted(parent.glob(f"{_TEMPORARY}*")), *sorted(_replaced(parent)))
            if left.name.startswith(_TEMPORARY) or _place_of(left).exists()
        ]

    def _clear(self, *, leftovers: bool) -> None:
        for parent in (self.folder, self._runs, self._data):
            for old in _replaced(parent):
                if not _place_of(old).exists():  # killed between the two renames of a replacement
                    old.rename(_place_of(old))
        if leftovers:
            for left in self.leftovers():
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    @contextmanager
    def _whole(self, place: Path) -> Iterator[Path]:
        """Give a temporary folder that becomes `place` at the end, or vanishes on an error."""
        temporary = place.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"
        with self.writing():
            try:
                make_folder(place.parent)
                temporary.mkdir()
                yield temporary
                for path in (*temporary.rglob("*"), temporary):
                    sync(path)
                _put(temporary, place)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def write_record(
        self,
        record: RunRecord,
        predictions: Iterable[PredictionRow] = (),
        artifacts: Path | None = None,
    ) -> RunRecord:
        """Write one run whole; an earlier record of the same run is replaced.

        Args:
            record: The record.
            predictions: Answers to the items, in order.
            artifacts: Folder whose files are moved into the run.

        Returns:
            The record as written, with its artifacts listed.

        Raises:
            BadInput: The folder cannot be written to; nothing is left half-written.
        """
        with self._whole(self.run_folder(record)) as temporary:
            if artifacts is not None:
                shutil.move(artifacts, temporary / "artifacts")
            files = sorted(p for p in temporary.rglob("*") if p.is_file())
            record = record.model_copy(
                update={"artifacts": [_artifact(file, temporary) for file in files]}
            )
            table = predictions_table(predictions)
            (temporary / "predictions.parquet").write_bytes(to_bytes(table))
            (temporary / RECORD).write_text(_as_text(record), encoding="utf-8")
        return record

    def adopt(self, record: RunRecord, spec: RunSpec, **parts: Any) -> RunRecord:
        """Keep a finished run under another entry's name as well: computed once, shown under both.

        A run whose settings are now chosen by somebody else says so under its own name, too.

        Args:
            record: The finished run.
            spec: The run of the same content key as the other entry asks for it.
            **parts: Other fields of `RunRecord` that belong to who asks, such as ``tuned``.

        Returns:
            The record under the other name.

        Raises:
            BadInput: The folder cannot be written to; nothing is left half-written.
        """
        mine = {"hyperparameters": spec.settings, **parts}
        place = self.run_folder(record.model_copy(update={"entry": spec.entry}))
        if (place / RECORD).is_file():
            present = read_record(place / RECORD)
            if _same_run(present, record):
                record = present
                if all(getattr(present, name) == value for name, value in mine.items()):
                    return present
        source = self.run_folder(record)
        adopted = record.model_copy(
            update={"entry": spec.entry, "model": spec.model, "spec": spec, **mine}
        )
        with self._whole(place) as temporary:
            shutil.copytree(source, temporary, dirs_exist_ok=True)
            (temporary / RECORD).write_text(_as_text(adopted), encoding="utf-8")
        return adopted

    def write_items(
        self, splits: Mapping[str, Sequence[ItemRow]], *, redacted: bool = False
    ) -> Path:
        """Write the items of a data set, once.

        Args:
            splits: Items by split.
            redacted: Leave their texts out. A file with texts from before is replaced.

        Returns:
            The file.
        """
        sha = {name: sha256_rows(i.content() for i in items) for name, items in splits.items()}
        folder = self._data / data_id(sha)
        table = items_table(splits, redacted=redacted)
        file = folder / "items.parquet"
        if not file.exists() or pq.read_schema(file).names != table.schema.names:
            with self._whole(folder) as temporary:
                (temporary / file.name).write_bytes(to_bytes(table))
        return file

    def write_data_notes(
        self, inputs: Mapping[str, str], notes: Sequence[str], leakage: Mapping[str, Any]
    ) -> None:
        """Write what should be known of a data set beside its items.

        Args:
            inputs: SHA-256 of the items of each split.
            notes: In words.
            leakage: What the splits share, by item ids.
        """
        folder = self._data / data_id(inputs)
        said = {"notes": list(notes), **leakage}
        text = scrub(json.dumps(said, ensure_ascii=False, indent=1)) + "\n"
        with self.writing():
            make_folder(folder)
            # Beside the folder, where what a killed process leaves is looked for.
            temporary = self._data / f"{_TEMPORARY}{uuid.uuid4().hex}"
            write_synced(temporary, text, folder / "notes.json")

    def read_data_notes(self, inputs: Mapping[str, str]) -> list[str]:
        """Return what should be known of a data set, in words; nothing where it was not written."""
        try:
            text = (self._data / data_id(inputs) / "notes.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        notes: list[str] = json.loads(text)["notes"]
        return notes

    def write_study(self, study: Mapping[str, Any]) -> None:
        """Write the resolved study as ``study.json``."""
        self._write_json(_STUDY, study)

    def write_budget(self, budget: Mapping[str, Any]) -> None:
        """Write how seconds were turned into a number of trials, as ``tuning.json``."""
        self._write_json("tuning.json", budget)

    def read_budget(self) -> dict[str, Any] | None:
        """Return what `write_budget` wrote; None when it wrote nothing, or not what can be read."""
        return self._read_json("tuning.json")

    def write_precision(self, dtype: str) -> None:
        """Write what the CPU computes in, as ``precision.json``."""
        self._write_json(_PRECISION, {"dtype": dtype})

    def read_precision(self) -> str | None:
        """Return what `write_precision` wrote; None when there is nothing that can be used."""
        dtype = (self._read_json(_PRECISION) or {}).get("dtype")
        return dtype if dtype in ("float32", "bfloat16") else None

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            values = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return values if isinstance(values, dict) else None

    def _write_json(self, name: str, values: Mapping[str, Any]) -> None:
        text = scrub(json.dumps(values, ensure_ascii=False, indent=2)) + "\n"
        with self.writing():
            make_folder(self.folder)
            temporary = self.folder / f"{_TEMPORARY}{uuid.uuid4().hex}"
            write_synced(temporary, text, self.folder / name)

    def write_base(self, base: Path) -> None:
        """Remember the folder from which a study's relative paths start.

        It is written relative to the output folder into a file of its own, which no report and no
        bundle contains.
        """
        text = json.dumps({"base": os.path.relpath(base.resolve(), self.folder.resolve())}) + "\n"
        with self.writing():
            temporary = self.folder / f"{_TEMPORARY}{uuid.uuid4().hex}"
            write_synced(temporary, text, self.folder / _PLACE)

    def write_plugin(self, name: str, source: bytes) -> None:
        """Keep the code of a plug-in for whoever is handed the study; nothing loads it from here.

        Args:
            name: The name of its file.
            source: Its bytes, as they were run. One that holds a secret is not kept.
        """
        text = source.decode("utf-8", errors="replace")
        if scrub(text) != text:
            return
        place = self.folder / PLUGINS / name
        with self.writing():
            make_folder(place.parent)
            write_synced(self.folder / f"{_TEMPORARY}{uuid.uuid4().hex}", source, place)

    def read_base(self) -> Path:
        """Return the folder from which the study's relative paths start.

        Raises:
            BadInput: It is not known.
        """
        file = self.folder / _PLACE
        if not file.is_file():
            rule = "must remember where the study file stands"
            raise bad(str(self.folder), rule, f"no {_PLACE}", "Give the study's command again.")
        base: str = json.loads(file.read_text(encoding="utf-8"))["base"]
        return (self.folder / base).resolve()

    def read_study(self) -> dict[str, Any]:
        """Return the resolved study.

        Raises:
            BadInput: The folder holds no study, or none that can be read.
        """
        if not self.has_study():
            raise bad(
                str(self.folder),
                "must be the output folder of a study",
                "no study.json in it",
                "Run the study first, or give its --out folder.",
            )
        file = self.folder / _STUDY
        try:
            study: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            rule = "must be a readable study"
            raise bad(str(file), rule, error, "Give the study's command again.") from None
        return study

    def has_study(self) -> bool:
        """Return whether a study is written down here."""
        return (self.folder / _STUDY).is_file()

    def run_folder(self, record: RunRecord) -> Path:
        """Return the folder of a run."""
        entry = re.sub(r"[^\w.@-]", "_", record.entry).lstrip(".")
        entry = entry.encode()[:160].decode(errors="ignore")  # a name has at most 255 bytes
        return self._runs / f"{entry}-s{record.seed}-{record.key[:12]}"

    def find(self, key: str, *, settled: bool = False) -> RunRecord | None:
        """Return the finished record of a content key; failed runs are not finished.

        Args:
            key: The key.
            settled: Return also a run that failed by its settings: it would fail again.
        """
        for file in sorted(self._runs.glob(f"[!.]*-{key[:12]}/{RECORD}")):
            record = read_record(file)
            done = record.status == "done" or (settled and record.fault == "settings")
            if record.key == key and done and self.fresh(record):
                return record
        return None

    def fresh(self, record: RunRecord) -> bool:
        """Tell whether a run was made with the versions that are asked for."""
        return self.versions is None or record.environment.hash in self.versions

    def records(self) -> list[RunRecord]:
        """Return all records, finished and failed, sorted by entry and seed."""
        files = self._runs.glob(f"[!.]*/{RECORD}")
        records = [read_record(file) for file in files]
        return sorted(records, key=lambda r: (r.entry, r.seed, r.key))

    def read_predictions(self, record: RunRecord) -> pa.Table:
        """Return the predictions of a run, in their order."""
        return _read_table(self.run_folder(record) / "predictions.parquet")

    def has_items(self, record: RunRecord) -> bool:
        """Return whether the items that a run was given are kept here."""
        return self._items_file(record).is_file()

    def read_items(self, record: RunRecord) -> pa.Table:
        """Return the items that a run was given."""
        return _read_table(self._items_file(record))

    def _items_file(self, record: RunRecord) -> Path:
        return self._data / data_id(record.spec.inputs) / "items.parquet"


def _on_a_drive(folder: Path, kind: str) -> str:
    return (
        f"{folder} is on a drive ({kind}) whose locks other machines may not see. A file tells "
        "them that it is in use, once the drive hands it on; a local disk is safer and faster."
    )


def _same_run(one: RunRecord, other: RunRecord) -> bool:
    """Tell whether two records are of one run that was made with the same versions."""
    return (one.key, one.status, one.environment.hash) == (
        other.key,
        other.status,
        other.environment.hash,
    )


def _as_text(record: RunRecord) -> str:
    return scrub(record.model_dump_json(by_alias=True, indent=2)) + "\n"


def _put(temporary: Path, place: Path) -> None:
    """Rename a folder into its place. A folder cannot be replaced in one step: it moves aside."""
    old = place.parent / f"{_REPLACED}{place.name}"
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    try:
        os.replace(temporary, place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    sync(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def _replaced(parent: Path) -> Iterator[Path]:
    return parent.glob(f"{_REPLACED}*")


def _place_of(old: Path) -> Path:
    """Return where something stood that was moved aside to be replaced."""
    return old.with_name(old.name.removeprefix(_REPLACED))


def data_id(inputs: Mapping[str, str]) -> str:
    """Return the name of a data set's folder, given the hash of each split."""
    return sha256_text(canonical_json(dict(inputs)))[:12]


def _artifact(file: Path, folder: Path) -> Artifact:
    return Artifact(
        path=file.relative_to(folder).as_posix(),
        sha256=sha256_file(file),
        bytes=file.stat().st_size,
    )


def _read_table(file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise bad(
            str(file), "must be a readable Parquet file", error, "Delete the folder and run again."
        ) from None


def read_record(file: Path) -> RunRecord:
    """Return the record in a file.

    Raises:
        BadInput: It cannot be read.
    """
    remedy = "Delete the folder of this run, and run the study again."
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise bad(str(file), "must be a readable record", error, remedy) from None
    version = values.get("schema") if isinstance(values, dict) else None
    if version != SCHEMA:
        raise bad(str(file), f"must be a record of schema {SCHEMA}", version, remedy)
    try:
        return _validated(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise bad(str(file), "must be a valid record", found, remedy) from None


def _validated(values: dict[str, Any]) -> RunRecord:
    """Build a record; JSON has no NaN, so a null where a number must be was one."""
    try:
        return RunRecord.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] != "float_type" or detail["input"] is not None:
                raise
            *above, last = detail["loc"]
            target: Any = values
            for part in above:
                target = target[part]
            target[last] = float("nan")
        return RunRecord.model_validate(values)
