"""What identifies a run: a hash of everything that can change its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tarazu.record.spec import RunSpec


def canonical_json(value: Any) -> str:
    """Return JSON that is the same for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_rows(rows: Iterable[Any]) -> str:
    """Return the SHA-256 of rows in order; each row is anything that JSON can hold."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json(row).encode("utf-8"))
        digest.update(b"\n")
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Settings that did not exist before, with what all earlier runs did: they keep their keys.
_AS_BEFORE = {"merge": "both"}
# Settings of what is made of a trained model; its training is the same whatever they say.
_AFTER_TRAINING = frozenset({"merge"})


def content_key(spec: RunSpec) -> str:
    """Return the content key of a run: 64 hexadecimal digits.

    The study's name and the entry's name are not part of it, nor is *who* chose a value: the same
    run asked for elsewhere is the same run. Nor are the other sizes of a data-size axis, nor, on an
    accelerator, the CPU threads: they change how a processor rounds, and there it computes nothing.
    """
    names = {"study", "entry", "settings", "model", "train_sizes"}
    value = spec.model_dump(mode="json", exclude=names)
    value["settings"] = {
        name: setting.value
        for name, setting in spec.settings.items()
        if name not in _AS_BEFORE or setting.value != _AS_BEFORE[name]
    }
    if spec.model_spec is not None:
        # The files identify the model; where they were fetched from does not.
        value["model_spec"] = {"kind": spec.model_spec.kind, "pooling": spec.model_spec.pooling}
    value["data"] = {"seed": spec.data.seed}
    if spec.share == 1:  # a whole run is the same whether or not others are stopped early
        del value["share"]
    if not spec.plugins:
        del value["plugins"]
    if spec.device != "cpu":
        del value["threads"]
    if not spec.deterministic:  # so that runs from before there was this setting are found
        del value["deterministic"]
    return sha256_text(canonical_json(value))


def training_key(spec: RunSpec) -> str:
    """Return what identifies the training of a run: 64 hexadecimal digits.

    A trial that is stopped early and its continuation are one training, and so are runs whose
    trained model is merged in other ways.
    """
    settings = {n: value for n, value in spec.settings.items() if n not in _AFTER_TRAINING}
    return content_key(spec.model_copy(update={"share": 1.0, "settings": settings}))


def training_name(spec: RunSpec) -> str:
    """Return the name under which a training leaves its checkpoints."""
    return training_key(spec)[:32]
