"""The cache of models: each folder is built once, whole or not at all, by one process at a time."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir

from tarazu.errors import BadInput, bad
from tarazu.models import sealed
from tarazu.record.disk import make_folder, sync

Note = Callable[[str], None]
"""Tells the user what takes time right now."""

WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json")
TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "spiece.model",
    "sentencepiece*.model",
)
CONFIG_FILES = ("config.json", "generation_config.json")
MODEL_FILES = (*WEIGHT_FILES, *TOKENIZER_FILES, *CONFIG_FILES)
"""Everything of a published model that can change a result, as patterns of file names."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
PICKLE_REASON = "must be safetensors or GGUF: loading a pickle runs the code inside it"


def cache_root() -> Path:
    """Return the folder that holds everything fetched: ``TARAZU_CACHE``, or the user's cache."""
    return Path(os.environ.get("TARAZU_CACHE") or user_cache_dir("tarazu")).expanduser().absolute()


def trials_folder(out: Path) -> Path:
    """Return where the trials of a study leave what their continuations start from.

    It is not in the output folder, which holds the test items (trap T30); and each output folder
    has its own, so that whoever has that folder's lock is alone in this one.

    Args:
        out: The output folder of the study.
    """
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    return cache_root() / "trials" / name


def allowed(name: str, patterns: tuple[str, ...] = MODEL_FILES) -> bool:
    """Tell whether a file name is one of a model's files, never a pickle."""
    lower = name.lower()
    return not lower.endswith(PICKLES) and any(fnmatch(lower, pattern) for pattern in patterns)


def refuse_adapter(names: Iterable[str], found: object, where: str) -> None:
    """Refuse a model with an adapter beside it, or an adapter alone.

    transformers would load the adapter with the model unannounced, from a pickle if need be.

    Args:
        names: The files beside one another.
        found: Where they are.
        where: The place in the study file, for messages.

    Raises:
        BadInput: One of them is the configuration of an adapter.
    """
    if any(name.lower() == "adapter_config.json" for name in names):
        raise bad(
            where,
            "must be one whole model, without an adapter_config.json",
            found,
            "Merge the adapter into its base (PEFT: merge_and_unload, then save_pretrained) and "
            "name that folder; or name the base alone.",
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_model_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every model file in a folder by name.

    The Hub's cache names the content of a large file by its SHA-256; that name is taken, so that
    sixteen gigabytes are not read again for every run.
    """
    hashes = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and allowed(path.name):
            blob = path.resolve()
            named = blob.parent.name == "blobs" and len(blob.name) == 64
            hashes[path.name] = blob.name if named else sha256_of(path)
    return hashes


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or what caused it, says that the disk is full.

    safetensors reports a full disk as an error of its own, with the number in its text.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "os error 28" in str(error) or "[Errno 28]" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def disk_full(folder: Path, variable: str = "TARAZU_CACHE", needed: int | None = None) -> BadInput:
    """Build the error of a full disk.

    Args:
        folder: Where the space is missing.
        variable: The environment variable that moves the folder elsewhere.
        needed: Bytes that would have been needed, where known.
    """
    amount = f"{needed / 1e9:.2f} GB free" if needed else "more space"
    return bad(
        str(folder),
        f"needs {amount}; the disk is full",
        remedy=f"Free some space, or set {variable} to a folder on another disk.",
    )


def require_space(folder: Path, needed: int) -> None:
    """Raise `BadInput` when a folder's disk has too little space left, before writing to it."""
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(folder, needed=needed)


def build_once(folder: Path, build: Callable[[Path], None], note: Note) -> Path:
    """Return a folder of the cache, building it first where it is missing or not as it was built.

    The folder appears under its name only when it is complete and on the disk. A second process
    waits for the first and then uses its result; what a killed process left behind is removed.

    Args:
        folder: The folder to return, below `cache_root`.
        build: Fills an empty folder, and writes its manifest.
        note: Told when another process has to be waited for, and why a folder is built again.

    Raises:
        BadInput: When the cache cannot be written to, or what `build` raises. A folder that is not
            as it was built stays until another one can take its place.
    """
    if folder.is_dir() and sealed.fault(folder) is None:
        return folder
    name = "-".join(folder.relative_to(cache_root()).parts)
    with _reported(), _lock(cache_root() / "locks" / f"{name}.lock", note):
        fault = sealed.fault(folder) if folder.is_dir() else None
        if fault is not None:
            note(f"a model in the cache is not as it was written ({fault}): it is made again")
        if fault is not None or not folder.is_dir():
            _build(folder, cache_root() / "partial" / name, build)
    return folder


def _build(folder: Path, partial: Path, build: Callable[[Path], None]) -> None:
    # One name per folder, not a random one: under the lock nobody else writes here, and the
    # remains of a killed process are found again.
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        build(partial)
        sealed.seal(partial)
        make_folder(folder.parent)
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _lock(path: Path, note: Note) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        note("waiting for another process that fetches the same model")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise disk_full(cache_root()) from error
        unusable = isinstance(error, PermissionError | NotADirectoryError | FileExistsError)
        if unusable or getattr(error, "errno", None) == errno.EROFS:
            raise bad(
                str(cache_root()),
                "must be a folder that can be written to, to cache models",
                error,
                "Set TARAZU_CACHE to another folder.",
            ) from error
        raise
