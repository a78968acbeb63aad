"""Everything about a study in one archive that can be handed over (requirement N14).

No names, hosts or paths: absolute paths in settings are reduced to file names, logs and whatever
belongs to this machine stay out, and equal studies give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import tarazu
from tarazu.comparison.entries import every_size
from tarazu.errors import bad
from tarazu.record.disk import sync, told_plainly
from tarazu.record.key import sha256_file, sha256_text
from tarazu.record.record import RunRecord
from tarazu.record.store import PLUGINS
from tarazu.record.watched import names_plugin
from tarazu.report.api import (
    Results,
    read_results,
    report_csv,
    report_html,
    report_json,
    report_markdown,
)
from tarazu.text import LANGUAGES

# The earliest time that a zip archive can hold: the time of packing is nobody's business.
_NO_TIME = (1980, 1, 1, 0, 0, 0)

_PACKED = "code/plugins"
_README = """# {study}

A study made by tarazu {version}. What is in this archive:

- `report.en.html`, `report.fa.html`: the results to read, offline, in English and Persian
- `report.md`, `report.json`, `entries.csv`: the same for other programs
- `study.json`: what was asked for, with every default filled in
- `runs/`: one record per run, with all settings and their reasons, and the answer to every item
- `data/`: the items{redacted}
- `code/`: the program that made it, one file per method under `code/tarazu/methods/`
{plugins}{weights}
To run it again: `pip install tarazu=={version}`, put the data where `study.json` names them (their
SHA-256 stand in every record under `inputs`), and `tarazu run study.json{named}`.
{absent}"""


def bundle(folder: str | Path, *, out: str | Path | None = None, weights: bool = False) -> Path:
    """Pack a study into one zip archive.

    Args:
        folder: The output folder of the study.
        out: The archive; by default the folder's name with ``.zip``, beside the folder.
        weights: Pack trained weights, too. Without them, records still list their SHA-256.

    Returns:
        The archive.

    Raises:
        BadInput: The folder holds no results, or the archive cannot be written or would stand
            inside the folder.
    """
    folder = Path(folder)
    results = read_results(folder)
    place = Path(out) if out is not None else folder.resolve().with_suffix(".zip")
    if place.resolve().is_relative_to(folder.resolve()):
        raise bad("--out", "must stand outside of the folder that is packed", str(place))
    temporary = place.with_name(f".tmp-{uuid.uuid4().hex}")
    with told_plainly(place.parent):
        try:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in sorted(_files(results, weights=weights)):
                    entry = zipfile.ZipInfo(name, _NO_TIME)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, content)
            sync(temporary)
            os.replace(temporary, place)
            sync(place.parent)
        finally:
            temporary.unlink(missing_ok=True)
    return place


def _files(results: Results, *, weights: bool) -> Iterator[tuple[str, bytes]]:
    redacted = results.study.get("report", {}).get("text") == "redacted"
    records = [_without_paths(record) for record in results.records]
    shown = Results(records, _bare(results.study), results.store)
    name = results.records[0].spec.study
    plugins = dict(_plugins(results))
    readme = _README.format(
        study=name,
        version=_version(),
        redacted=", without their text" if redacted else "",
        plugins="- `code/plugins/`: methods and tasks of the author's own\n" if plugins else "",
        named="".join(f" --plugin {shlex.quote(place)}" for place in _named(results, plugins)),
        absent=_absent(results, plugins),
        weights="- `runs/*/artifacts/`: trained weights\n" if weights else "",
    )
    yield "README.md", readme.encode()
    yield "report.md", report_markdown(shown).encode()
    for language in LANGUAGES:
        yield f"report.{language}.html", report_html(shown, language=language).encode()
    yield "report.json", report_json(shown).encode()
    yield "entries.csv", report_csv(shown).encode()
    yield "study.json", _json(_bare(results.study))
    for record, bare in zip(results.records, shown.records, strict=True):
        yield from _run(results, record, bare, redacted=redacted, weights=weights)
    for file in sorted((results.store.folder / "data").glob("*/items.parquet")):
        yield f"data/{file.parent.name}/items.parquet", file.read_bytes()
    yield from plugins.items()
    yield from _code()


def _plugins(results: Results) -> Iterator[tuple[str, bytes]]:
    """Yield the plug-ins that made the results, where the folder still holds what made them."""
    for name, sha in _made(results.records):
        file = results.store.folder / PLUGINS / name
        if PurePath(name).name == name and file.is_file() and sha256_file(file) == sha:
            yield (
                f"{_PACKED}/{name}",
                _own_file(results.store.folder, f"{PLUGINS}/{name}").read_bytes(),
            )


def _made(records: Iterable[RunRecord]) -> list[tuple[str, str]]:
    """Return names and hashes of the plug-ins that made some runs."""
    found = {pair for record in records for pair in record.spec.plugins.items()}
    return sorted(pair for pair in found if names_plugin(pair[0]))


def _named(results: Results, packed: Mapping[str, bytes]) -> list[str]:
    """Return how a command names the plug-ins: where they are packed, or by their names."""
    # Those of earlier runs may define the same methods.
    names = dict.fromkeys(name for name, _ in _made(every_size(results.records)))
    return [f"{_PACKED}/{name}" if f"{_PACKED}/{name}" in packed else name for name in names]


def _absent(results: Results, packed: Mapping[str, bytes]) -> str:
    """Say which plug-ins are not in the archive: modules, files that changed or hold a token."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in packed.items()}
    absent = [
        pair for pair in _made(results.records) if hashes.get(f"{_PACKED}/{pair[0]}") != pair[1]
    ]
    if not absent:
        return ""
    told = "".join(f"- {shlex.quote(name)}, SHA-256 {sha}\n" for name, sha in absent)
    return f"\nThese plug-ins made some of the runs and are not in this archive:\n\n{told}"


def _run(
    results: Results, record: RunRecord, bare: RunRecord, *, redacted: bool, weights: bool
) -> Iterator[tuple[str, bytes]]:
    folder = results.store.run_folder(record)
    inside = f"runs/{folder.name}"
    yield f"{inside}/record.json", _json(bare.model_dump(mode="json", by_alias=True))
    if record.status == "done":
        table = results.store.read_predictions(record)
        if redacted:
            table = _without_text(table, spans=not record.labels)
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        yield f"{inside}/predictions.parquet", buffer.getvalue()
    if weights:
        for artifact in record.artifacts:
            yield f"{inside}/{artifact.path}", _own_file(folder, artifact.path).read_bytes()


def _own_file(folder: Path, path: str) -> Path:
    """Return a file of a run; a link in a folder of somebody else's may lead anywhere."""
    file = folder / path
    if not file.resolve().is_relative_to(folder.resolve()):
        raise bad(str(file), "a file that is packed must lie in its run's folder", "a link")
    return file


def _without_text(table: pa.Table, *, spans: bool) -> pa.Table:
    """Leave out what a model said; a span of the data's text is replaced by its hash."""
    table = table.drop_columns(["raw"])
    if not spans:
        return table
    hashed = [
        None if answer is None else sha256_text(answer)[:16]
        for answer in table.column("predicted").to_pylist()
    ]
    place = table.column_names.index("predicted")
    return table.set_column(place, "predicted", pa.array(hashed, pa.string()))


def _without_paths(record: RunRecord) -> RunRecord:
    return RunRecord.model_validate(_bare(record.model_dump(mode="json", by_alias=True)))


def _bare(value: Any) -> Any:
    """Return a value in which every absolute path is reduced to its last part."""
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, str) and _is_path(value):
        return PurePath(value).name
    return value


def _is_path(text: str) -> bool:
    return "\n" not in text and (
        os.path.isabs(text) or text.startswith("~") or text[1:3] in (":\\", ":/")
    )


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _version() -> str:
    try:
        return metadata.version("tarazu")
    except metadata.PackageNotFoundError:
        return "from its source folder"


def _code() -> Iterator[tuple[str, bytes]]:
    root = Path(tarazu.__file__).parent
    for file in sorted(root.rglob("*.py")):
        yield f"code/tarazu/{file.relative_to(root).as_posix()}", file.read_bytes()
