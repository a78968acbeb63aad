"""Models on the Hugging Face Hub: from its cache without any network, else downloaded."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tarazu.errors import BadInput, bad
from tarazu.models.cache import (
    MODEL_FILES,
    PICKLE_REASON,
    PICKLES,
    TOKENIZER_FILES,
    Note,
    allowed,
    disk_full,
    is_disk_full,
    refuse_adapter,
)
from tarazu.models.download_bars import hub_bars
from tarazu.models.info import Card

HUB_ID = re.compile(
    r"(?!.*(?:--|\.\.))(?P<repo>[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)"
    r"(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?"
)
_PATTERNS = [*MODEL_FILES, "README.md"]
# Sub-folders hold other formats of the same weights; `consolidated` is a second copy of them.
_IGNORED = ["*/*", "consolidated*"]
_LARGEST_CONFIG = 10_000_000


@dataclass(frozen=True)
class HubSource:
    """A model on the Hub.

    Attributes:
        repo: ``ORG/NAME``.
        revision: Branch, tag or commit; the main branch when absent.
    """

    repo: str
    revision: str | None = None


def fetch_hub(source: HubSource, where: str, card: Card | None, note: Note) -> Path:
    """Return the local folder of a Hub model, downloading it only when it is not cached whole.

    Args:
        source: What to fetch.
        where: The place in the study file, for messages.
        card: What is known of the model, for how to get access.
        note: Told what is downloaded.

    Raises:
        BadInput: When the model is gated, missing, has no safetensors weights, or cannot be
            reached.
    """
    cached = _snapshot(source, _PATTERNS, offline=True)
    if cached is not None and not missing_files(cached):
        return cached
    note(f"downloading {source.repo} from the Hugging Face Hub")
    folder = _download(source, where, card, _PATTERNS)
    missing = missing_files(folder)
    if missing:
        raise bad(where, f"{source.repo} must hold {missing}", remedy="Choose another model.")
    return folder


def hub_config(source: HubSource, where: str, card: Card | None) -> dict[str, Any]:
    """Return a Hub model's ``config.json``, from the cache or over the network, without weights.

    Args:
        source: The model.
        where: The place in the study file, for messages.
        card: What is known of the model, for how to get access.
    """
    folder = _snapshot(source, ["config.json"], offline=True)
    if folder is None or not (folder / "config.json").is_file():
        folder = _download(source, where, card, ["config.json"])
    if not (folder / "config.json").is_file():
        raise bad(where, f"{source.repo} must have a config.json", remedy="Choose another model.")
    return read_config(folder, where)


def read_config(folder: Path, where: str) -> dict[str, Any]:
    """Return the ``config.json`` of a model's folder.

    Args:
        folder: A folder in the layout of transformers.
        where: The place in the study file, for messages.

    Raises:
        BadInput: It cannot be read, is too large, or is no JSON object.
    """
    file = folder / "config.json"
    try:
        if file.stat().st_size > _LARGEST_CONFIG:
            raise ValueError(f"{file.stat().st_size} bytes, at most {_LARGEST_CONFIG} are read")
        config = json.loads(file.read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError(f"it is no JSON object but a {type(config).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise bad(where, "the folder must hold a readable config.json", error) from error
    return config


def missing_files(folder: Path) -> str:
    """Return what a model's folder lacks, or an empty text when it is complete.

    Args:
        folder: A folder in the layout of transformers.
    """
    names = {path.name for path in folder.iterdir() if path.is_file()}
    if "config.json" not in names:
        return "config.json"
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            shards = {str(shard) for shard in shards}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return f"a readable {index.name}"
        # A name with a folder in it is none of these names: no shard is read from elsewhere.
        if shards - names:
            return ", ".join(sorted(shards - names))
    elif not any(name.endswith(".safetensors") for name in names):
        return "safetensors weights"
    if not any(allowed(name, TOKENIZER_FILES) for name in names):
        return "tokenizer files"
    return ""


def _snapshot(source: HubSource, patterns: list[str], *, offline: bool) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            source.repo,
            revision=source.revision,
            allow_patterns=patterns,
            ignore_patterns=_IGNORED,
            local_files_only=offline,
            # Read now, not when huggingface_hub was imported.
            cache_dir=os.environ.get("HF_HUB_CACHE") or None,
        )
    except LocalEntryNotFoundError:
        if offline:
            return None
        raise
    return Path(str(folder))


def _download(source: HubSource, where: str, card: Card | None, patterns: list[str]) -> Path:
    from huggingface_hub import HfApi

    try:
        # Asked first: without a network, snapshot_download would return a half-filled folder.
        listed = HfApi().model_info(source.repo, revision=source.revision).siblings or []
        if patterns is _PATTERNS:
            _require_whole_model(source, where, [file.rfilename for file in listed])
        with hub_bars():
            folder = _snapshot(source, patterns, offline=False)
    except BadInput:
        raise
    except Exception as error:
        raise _explained(error, source, where, card) from error
    if folder is None:
        raise AssertionError("a download either returns its folder or raises")
    return folder


def _require_whole_model(source: HubSource, where: str, names: list[str]) -> None:
    top = [name.lower() for name in names if "/" not in name]
    refuse_adapter(top, source.repo, where)
    if any(name.endswith(".safetensors") for name in top):
        return
    pickled = any(name.endswith(PICKLES) for name in top)
    raise bad(
        where,
        f"{source.repo} {PICKLE_REASON}" if pickled else f"{source.repo} must hold safetensors",
        "a repository without safetensors",
        "Choose a repository or revision (`ORG/NAME@REV`) with safetensors weights; for a GGUF, "
        "download the file and name it.",
    )


def _explained(error: Exception, source: HubSource, where: str, card: Card | None) -> BadInput:
    """Turn an error of the Hub's client into what the user can do about it."""
    from huggingface_hub import constants, errors

    if is_disk_full(error):
        return disk_full(Path(constants.HF_HUB_CACHE), "HF_HUB_CACHE")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return bad(
            where, f"{source.repo} is gated: access must be granted", "", _access(source, card)
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return bad(
            where,
            f"{source.repo} must have the revision",
            source.revision,
            "Check the name after '@'.",
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403, 404):
        return bad(
            where,
            "must be a model that the Hugging Face Hub shows you, or an existing folder",
            source.repo,
            "Check the spelling; write a folder as './NAME'; for a private model run `hf auth "
            "login` or set HF_TOKEN.",
        )
    return bad(
        where,
        f"{source.repo} is not in the local cache, so the Hugging Face Hub must be reachable",
        f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        "Connect to the network (and unset HF_HUB_OFFLINE), download it elsewhere with `hf "
        f"download {source.repo}` and copy the cache, or set `source` to a local folder.",
    )


def _access(source: HubSource, card: Card | None) -> str:
    if card is not None and card.access is not None:
        return card.access
    return (
        f"Ask for access at https://huggingface.co/{source.repo}, then run `hf auth login` or set "
        "HF_TOKEN."
    )
