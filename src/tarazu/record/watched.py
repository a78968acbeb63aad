"""The files that a study was made from, so that it can be seen later that one has changed.

They stand in ``.inputs.json``, relative to the output folder: for this machine only, no report and
no bundle contains it.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
import uuid
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tarazu.record.disk import write_synced
from tarazu.record.key import sha256_file
from tarazu.scrub import scrub

FILE = ".inputs.json"
PLUGIN = "plugin "


@dataclass(frozen=True)
class Watched:
    """One file as it was.

    Attributes:
        path: Relative to the output folder.
        what: ``study``, ``data``, or ``model`` or ``plugin`` and its name, such as
            ``model minilm``.
        bytes: Its size.
        changed: When it was last written to, in nanoseconds; -1 for a file of a plug-in, which is
            always read again: it was hashed some time before it is noted.
        sha256: Of its content.
    """

    path: str
    what: str
    bytes: int
    changed: int
    sha256: str


_FIELDS = fields(Watched)


def data_files(source: str, base: Path) -> list[Path]:
    """Return the files of a source of data; none of what lies elsewhere or ships with tarazu."""
    if source.startswith(("hf:", "corpus:")):
        return []
    if (base / source).is_file():
        return [base / source]
    return [
        base / name
        for name in sorted(glob.glob(source, root_dir=base, recursive=True))
        if (base / name).is_file()
    ]


def watch(
    folder: Path,
    files: Iterable[tuple[str, Path, str | None]],
    *,
    keep: Collection[str] = (),
) -> None:
    """Write down how some files are now; where that cannot be written, nothing is.

    Args:
        folder: The output folder.
        files: What each one is, where it is, and its SHA-256 if that is known already. One that is
            not there is left out, and one whose path holds a secret.
        keep: What was noted of files that are one of these stays as it is.
    """
    found = [asdict(one) for one in _known(folder) if one.what in keep]
    for what, file, sha in files:
        with suppress(OSError):
            state = file.stat()
            path = os.path.relpath(file.absolute(), folder.resolve())
            if scrub(path) != path:
                continue
            sha = sha or sha256_file(file)
            changed = -1 if what.startswith(PLUGIN) else state.st_mtime_ns
            found.append(asdict(Watched(path, what, state.st_size, changed, sha)))
    text = scrub(json.dumps(found, ensure_ascii=False, indent=1)) + "\n"
    with suppress(OSError):
        write_synced(folder / f".tmp-{uuid.uuid4().hex}", text, folder / FILE)


def changed_files(folder: Path) -> list[Watched]:
    """Return the files that are not what they were; one that is gone is one of them.

    A file of the same size and time is not read again.
    """
    return [one for one in _known(folder) if _differs(folder.resolve() / one.path, one)]


def known_plugins(folder: Path) -> dict[str, str]:
    """Return the plug-ins that a study had when it was last run: by name, how to name them.

    The folder may be somebody else's: what could not name a plug-in is left out.
    """
    found = {}
    for one in _known(folder):
        name = one.what.removeprefix(PLUGIN)
        if one.what.startswith(PLUGIN) and names_plugin(name) and one.path.isprintable():
            path = os.path.normpath(folder.resolve() / one.path)
            found[name] = f"Add --plugin {shlex.quote(path if name.endswith('.py') else name)}."
    return found


def names_plugin(name: str) -> bool:
    """Say whether a record's name of a plug-in can be one: a file's without folder, or a module's.

    Args:
        name: From a record or a note, which somebody else may have written.
    """
    if name.endswith(".py"):
        return name.isprintable() and not re.search(r"[/\\]|^-", name)
    return all(part.isidentifier() for part in name.split("."))


def plugin_files(folder: Path) -> dict[str, set[tuple[str, str]]]:
    """Return the plug-ins that a study had when it was last run: names and hashes of their files.

    Args:
        folder: The output folder.
    """
    found: dict[str, set[tuple[str, str]]] = {}
    for one in _known(folder):
        if one.what.startswith(PLUGIN):
            files = found.setdefault(one.what.removeprefix(PLUGIN), set())
            files.add((Path(one.path).name, one.sha256))
    return found


def _known(folder: Path) -> list[Watched]:
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = [Watched(**value) for value in values]
    except (OSError, ValueError, TypeError, RecursionError):
        return []
    kinds = {field.name: int if field.name in ("bytes", "changed") else str for field in _FIELDS}
    right = all(type(value) is kinds[n] for one in found for n, value in asdict(one).items())
    return found if right else []


def _differs(file: Path, known: Watched) -> bool:
    try:
        state = file.stat()
        if (state.st_size, state.st_mtime_ns) == (known.bytes, known.changed):
            return False
        return state.st_size != known.bytes or sha256_file(file) != known.sha256
    except (OSError, ValueError):  # a path with a NUL is a ValueError
        return True
