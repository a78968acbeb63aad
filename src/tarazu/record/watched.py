"""The files that a study was made from, so that it can be seen later that one has changed.

They stand in ``.inputs.json``, relative to the output folder: for this machine only, no report and
no bundle contains it.
"""

from __future__ import annotations

import glob
import json
import os
import shlex
import uuid
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
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
        changed: When it was last written to, in nanoseconds.
        sha256: Of its content.
    """

    path: str
    what: str
    bytes: int
    changed: int
    sha256: str


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
            found.append(asdict(Watched(path, what, state.st_size, state.st_mtime_ns, sha)))
    text = scrub(json.dumps(found, ensure_ascii=False, indent=1)) + "\n"
    with suppress(OSError):
        write_synced(folder / f".tmp-{uuid.uuid4().hex}", text, folder / FILE)


def changed_files(folder: Path) -> list[Watched]:
    """Return the files that are not what they were; one that is gone is one of them.

    A file of the same size and time is not read again.
    """
    return [one for one in _known(folder) if _differs(folder.resolve() / one.path, one)]


def known_plugins(folder: Path) -> dict[str, str]:
    """Return the plug-ins that a study had when it was last run: by name, how to name them."""
    return {
        name: f"Add --plugin {name if not name.endswith('.py') else _path(folder, one)}."
        for one in _known(folder)
        if one.what.startswith(PLUGIN)
        for name in [one.what.removeprefix(PLUGIN)]
    }


def _path(folder: Path, one: Watched) -> str:
    """Return the path of a file as a shell takes it."""
    return shlex.quote(os.path.normpath(folder.resolve() / one.path))


def _known(folder: Path) -> list[Watched]:
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [Watched(**value) for value in values]
    except (OSError, ValueError, TypeError):
        return []


def _differs(file: Path, known: Watched) -> bool:
    try:
        state = file.stat()
        if (state.st_size, state.st_mtime_ns) == (known.bytes, known.changed):
            return False
        return state.st_size != known.bytes or sha256_file(file) != known.sha256
    except OSError:
        return True
