"""Folders of the model cache: what was written into them, and whether it still is there.

::

    <folder>/tarazu-model.json      where it comes from, and size, time and SHA-256 of every file

A file of the same size and time is taken for the same; any other is read again. So a power loss, a
disk that fails or somebody's edit cannot change a model while its recorded checksums stay.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tarazu.record.disk import sync, write_synced
from tarazu.record.key import sha256_file

MANIFEST = "tarazu-model.json"
_CONTENTS = "contents"
_NOT_READ = ("README.md",)


@dataclass(frozen=True)
class _Content:
    """A file as it was written.

    Attributes:
        sha256: Of its content.
        bytes: Its size; None where it was not noted.
        changed: When it was last written to, in nanoseconds; None where it was not noted.
    """

    sha256: str
    bytes: int | None = None
    changed: int | None = None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what was recorded when a folder of the cache was built."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    return manifest


def write_manifest(folder: Path, **facts: Any) -> None:
    """Record how a folder of the cache came to be."""
    temporary = folder / f".tmp-{uuid.uuid4().hex}"
    write_synced(temporary, json.dumps(facts, indent=1, sort_keys=True), folder / MANIFEST)


def seal(folder: Path) -> None:
    """Note what a folder holds, and make sure that all of it is on the disk.

    Args:
        folder: It is complete and has a manifest.
    """
    files = list(_files(folder))
    for path in files:
        sync(path)
    contents = {}
    for path in files:
        state = path.stat()
        contents[_name(path, folder)] = _Content(
            sha256_file(path), state.st_size, state.st_mtime_ns
        )
    _note(folder, read_manifest(folder), contents)
    for parent in {path.parent for path in files}:
        sync(parent)


def fault(folder: Path) -> str | None:
    """Return in what a folder is not as it was sealed; None when it is.

    Times that changed with the same content (a copied cache) are noted anew.

    Args:
        folder: It exists.
    """
    try:
        manifest = read_manifest(folder)
        known = _known(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"
    found = {_name(path, folder) for path in _files(folder)}
    if added := sorted(found - set(known) - set(_NOT_READ)):
        return f"{added[0]} was added"
    now = {}
    for name, was in known.items():
        is_now = _as_it_is(folder / name, was)
        if isinstance(is_now, str):
            return f"{name} {is_now}"
        now[name] = is_now
    if now != known:
        with suppress(OSError):  # somebody else's cache, perhaps
            _note(folder, manifest, now)
    return None


def _as_it_is(path: Path, was: _Content) -> _Content | str:
    """Return a file as it is now where its content is the same, else what is wrong with it."""
    try:
        state = path.stat()
        if (state.st_size, state.st_mtime_ns) == (was.bytes, was.changed):
            return was
        if was.bytes not in (None, state.st_size):
            return "has another size"
        if sha256_file(path) != was.sha256:
            return "has another SHA-256"
    except OSError as error:
        return "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
    return replace(was, bytes=state.st_size, changed=state.st_mtime_ns)


def _known(manifest: dict[str, Any]) -> dict[str, _Content]:
    if _CONTENTS not in manifest:  # a wheel's folder of an earlier version has checksums only
        return {name: _Content(str(sha)) for name, sha in manifest["files"].items()}
    return {name: _Content(**content) for name, content in manifest[_CONTENTS].items()}


def _note(folder: Path, manifest: dict[str, Any], contents: dict[str, _Content]) -> None:
    noted = {name: asdict(content) for name, content in contents.items()}
    write_manifest(folder, **{**manifest, _CONTENTS: noted})


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that a model may be read from."""
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            if name != MANIFEST and not name.startswith("."):
                yield Path(parent, name)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
