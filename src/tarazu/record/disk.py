"""Writing to disk so that a file is there whole or not at all, and saying plainly why it cannot."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tarazu.errors import bad

_ELSEWHERE = "Choose another folder with --out."
_REMEDIES = {
    errno.ENOSPC: ("there is no space left", f"Free some space and run again. {_ELSEWHERE}"),
    errno.EDQUOT: ("the quota is used up", f"Free some space and run again. {_ELSEWHERE}"),
    errno.EIO: ("the disk reports an error", f"Check the disk. {_ELSEWHERE}"),
    errno.ESTALE: ("it has vanished", f"Mount it again. {_ELSEWHERE}"),
    errno.EROFS: ("it is on a read-only file system", _ELSEWHERE),
    errno.EACCES: ("there is no permission to write", f"Allow writing to it. {_ELSEWHERE}"),
    errno.EPERM: ("there is no permission to write", f"Allow writing to it. {_ELSEWHERE}"),
    errno.ENOTDIR: ("a file stands where a folder is needed", _ELSEWHERE),
    errno.EEXIST: ("a file stands where a folder is needed", _ELSEWHERE),
    errno.ENAMETOOLONG: ("its name is too long", _ELSEWHERE),
}


@contextmanager
def told_plainly(folder: Path) -> Iterator[None]:
    """Turn errors of the file system into `BadInput` that names the folder and the remedy."""
    try:
        yield
    except OSError as error:
        number = _number(error)
        if number == errno.ENOENT and not folder.exists():
            number = errno.ESTALE  # unmounted or removed under our hands
        if number not in _REMEDIES:
            raise
        reason, remedy = _REMEDIES[number]
        raise bad(str(folder), "the output folder must be writable", reason, remedy) from error


def _number(error: OSError) -> int | None:
    """Return the number of an error; one of a whole tree (`shutil.Error`) has it in its text."""
    if error.errno is not None:
        return error.errno
    return next((number for number in _REMEDIES if f"[Errno {number}]" in str(error)), None)


def is_of_the_disk(message: str) -> bool:
    """Tell whether a message of a failed process says that the disk did not take what it wrote.

    Libraries that are no Python name the error by its number or its words only.
    """
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)
    return "the disk is full" in message or any(
        sign in message
        for number in numbers
        for sign in (f"[Errno {number}]", f"os error {number})", os.strerror(number))
    )


def sync(path: Path) -> None:
    """Make sure that a file, or the list of a folder's files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some mounted drives have nothing of the kind for folders; files they all have.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, so that they are there after a crash."""
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync(one.parent)


def write_synced(temporary: Path, content: str | bytes, place: Path) -> None:
    """Write a file under a temporary name beside its place, sync it, and move it into place."""
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        sync(temporary)
        os.replace(temporary, place)
        sync(place.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file of the user's choice: whole or not at all, where that can be had.

    A link keeps its name and its target changes. What is no file (a pipe, a terminal), and a file
    in a folder that takes no new ones, is written to as it is.
    """
    place = file.resolve()
    if (place.exists() and not place.is_file()) or not os.access(place.parent, os.R_OK | os.W_OK):
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return
    mode = place.stat().st_mode if place.exists() else None
    temporary = place.with_name(f".tmp-{uuid.uuid4().hex}")
    write_synced(temporary, content, place)
    if mode is not None:
        place.chmod(mode & 0o7777)
