"""On what kind of file system a folder is: a disk of this machine, or what others can write to."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

# File systems of the network, of the host of a virtual machine, and those that run as programs:
# mounted cloud drives are such (Google Drive in Colab: fuse.drive; rclone, s3fs, gcsfuse, sshfs).
_OTHERS_WRITE = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fhgfs", "fuse", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "panfs", "prl_fs", "pvfs2", "smb2", "smb3",
    "smbfs", "vboxsf", "virtiofs", "vmhgfs", "wekafs",
})  # fmt: skip
# Programs that read a disk of this machine.
_LOCAL = frozenset({
    "bindfs", "cryfs", "encfs", "exfat", "ext2", "ext4", "fuse-overlayfs", "gocryptfs", "mergerfs",
    "ntfs", "ntfs-3g", "unionfs",
})  # fmt: skip


def drive(folder: Path) -> str | None:
    """Return the kind of a folder's file system where other machines may write to it.

    Args:
        folder: It exists.

    Returns:
        Its name, such as ``nfs4`` or ``fuse.rclone``; None for a disk of this machine, and where
        the system does not tell.
    """
    kind = _kind(folder.resolve())
    return kind if kind is not None and _others_write(kind) else None


def file_system(folder: Path) -> str | None:
    """Return the type of the file system of a folder, such as ``ext4``; None where nothing tells.

    Args:
        folder: It exists.
    """
    return _kind(folder.resolve())


def _others_write(kind: str) -> bool:
    whole, _, program = kind.partition(".")
    return whole in _OTHERS_WRITE and program not in _LOCAL


def _kind(folder: Path) -> str | None:
    """Return the type of the file system that is mounted nearest above a folder.

    The form of the lines is that of proc_pid_mountinfo(5): the fifth field is the place, and the
    type follows a lone dash. Of two at one place the later one is seen.
    """
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    found: tuple[int, str | None] = (0, None)
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if folder.is_relative_to(place) and len(place.parts) >= found[0]:
            found = len(place.parts), after.split(" ")[0]
    return found[1]
