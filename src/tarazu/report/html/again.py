"""Everything needed to run the study again, and whose work it rests on."""

from __future__ import annotations

import io
import re
import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from tarazu.report.html.parts import Block, Cell, Table, headings, name, number, prose, row
from tarazu.report.html.source import Source, entry_name
from tarazu.report.html.writer import Writer
from tarazu.report.plain import one_line, plain
from tarazu.report.recorded import recorded

# Author and year, then an arXiv number, or what stands before the next comma or bracket.
_CITATION = re.compile(
    r"(?:^|; )([^;()]*?\b(?:19|20)\d\d[a-z]?,? ?(?:arXiv \d{4}\.\d{4,5}|[^,;()]*(?:\([A-Z]\w+\))?))"
)
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")


@dataclass(frozen=True)
class Citation:
    """A work that the study rests on.

    Attributes:
        text: Author, year, place.
        link: Where it can be read; empty when it is not known.
        entries: Who uses it.
    """

    text: str
    link: str
    entries: tuple[str, ...]


@dataclass(frozen=True)
class AgainPart:
    """The section.

    Attributes:
        commands: To give in a terminal.
        study: The study file.
        tables: Package versions and hashes of data, models and what was trained.
    """

    commands: Block
    study: Block | None
    tables: tuple[Table, ...]


def again_part(source: Source, write: Writer) -> AgainPart:
    """Build the section."""
    study = one_line(source.records[0].spec.study)
    version = next((r.environment.packages.get("tarazu") for r in source.used), None)
    install = f"pip install tarazu=={version}" if version else "pip install tarazu"
    names = sorted({name for record in source.used for name in record.spec.plugins})
    plugins = "".join(f" --plugin {shlex.quote(one_line(name))}" for name in names)
    commands = f"{install}\ntarazu run {study}.yaml{plugins}\ntarazu report out/{study}"
    return AgainPart(
        Block(write.say("commands"), commands, "code"),
        _study(source, study, write),
        tuple(
            table
            for table in (_packages(source, write), _models(source, write), _kept(source, write))
            if table.rows
        ),
    )


def _study(source: Source, name: str, write: Writer) -> Block | None:
    if not source.study:
        return None
    study = _without_folders(source.study) if source.redacted else source.study
    return Block(write.say("study_file", file=write.name(f"{name}.yaml")), as_yaml(study), "code")


def as_yaml(study: Mapping[str, Any]) -> str:
    """Return a resolved study as a study file; what is absent is left out."""
    from ruamel.yaml import YAML

    writer = YAML()
    writer.default_flow_style = False
    writer.width = 10_000
    stream = io.StringIO()
    writer.dump(_present(study), stream)
    return plain(stream.getvalue())


def _present(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _present(item) for key, item in value.items() if item is not None}
    return [_present(item) for item in value] if isinstance(value, list | tuple) else value


def _without_folders(value: Any) -> Any:
    """Keep the name of a file and drop the folders of an absolute path: they name a person."""
    if isinstance(value, Mapping):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(item) for item in value]
    if isinstance(value, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(value).is_absolute():
                return kind(value).name
    return value


def _packages(source: Source, write: Writer) -> Table:
    environments = {record.environment.hash: record.environment for record in source.used}
    names = dict.fromkeys(name for found in environments.values() for name in found.packages)
    rows = tuple(
        row(
            Cell(package, kind="code"),
            Cell(
                " / ".join(
                    dict.fromkeys(e.packages.get(package, "–") for e in environments.values())
                ),
                kind="code",
            ),
        )
        for package in names
    )
    titles = write.say("package"), write.say("version")
    return Table(headings(*titles), rows, write.say("packages_title"))


def _models(source: Source, write: Writer) -> Table:
    files = {
        (record.model, file): sha
        for record in source.used
        for file, sha in record.spec.model_files.items()
    }
    rows = tuple(
        row(name(model or ""), Cell(file, kind="code"), Cell(sha, kind="code"))
        for (model, file), sha in files.items()
    )
    titles = [write.say(key) for key in ("model", "file", "sha_whole")]
    return Table(headings(*titles), rows, write.say("models_title"))


def _kept(source: Source, write: Writer) -> Table:
    rows = tuple(
        row(
            name(entry_name(record)),
            number(write.digits(str(record.seed)), record.seed),
            Cell(record.key[:16], kind="code"),
            Cell(file.path, kind="code"),
            number(write.size(file.bytes), file.bytes),
            Cell(file.sha256[:16], kind="code"),
        )
        for record in source.used
        for file in record.artifacts
    )
    titles = [write.say(key) for key in ("entry", "seed", "run_key", "file", "size", "sha")]
    return Table(headings(*titles, numeric=(1, 4)), rows, write.say("kept_title"))


def citations(source: Source) -> list[Citation]:
    """Return the works that data and settings name, each once, with the entries that use it."""
    users: dict[str, list[str]] = defaultdict(list)
    for record in source.used:
        if record.attribution.data_source:
            users.setdefault(one_line(record.attribution.data_source), [])
    for entry, record in source.named().items():
        for setting in record.hyperparameters.values():
            for work in works(setting.source):
                users[work].append(entry)
    return [
        Citation(work, _link(work), tuple(dict.fromkeys(entries)))
        for work, entries in users.items()
    ]


def works(text: str) -> list[str]:
    """Return the works that the source of a setting names, without tables and sections."""
    found = [match.strip(" ,") for match in _CITATION.findall(one_line(text))]
    return [work for work in found if re.match(r"[^\W\d]", work)]


def _link(work: str) -> str:
    match = _ARXIV.search(work)
    return f"https://arxiv.org/abs/{match[1]}" if match else ""


def licence_rows(source: Source, write: Writer) -> Table:
    """Return models and data with their origin and licence."""
    found: dict[tuple[str, ...], None] = {}
    for record in source.used:
        known = record.attribution
        if known.data_source or known.data_licence:
            found[write.say("data"), known.data_source or "", "", known.data_licence or ""] = None
    for record in source.used:
        known = record.attribution
        if record.model is not None:
            notice = "; ".join(filter(None, (known.model_licence, known.model_notice)))
            origin = known.weights_origin or ""
            found[one_line(record.model), known.model_source or "", origin, notice] = None
    titles = [write.say(key) for key in ("what", "source", "weights", "licence")]
    rows = tuple(
        row(name(what), *(prose(write.text(recorded(text)) if text else "") for text in rest))
        for what, *rest in found
    )
    return Table(headings(*titles), rows, write.say("licences_title"))
