"""The text that ships with tarazu: ``corpus:NAME`` is ``data/corpus/NAME.jsonl`` of the package."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from tarazu.errors import bad, did_you_mean

_SUFFIX = ".jsonl"


def corpus_folder() -> Traversable:
    """Return the folder of the embedded files."""
    return files("tarazu.data") / "corpus"


def corpus_file(name: str, *, where: str) -> Traversable:
    """Return an embedded file.

    Args:
        name: Name without suffix.
        where: Place of the source in the study, for messages.

    Raises:
        BadInput: There is no such text.
    """
    folder = corpus_folder()
    found = {
        file.name.removesuffix(_SUFFIX): file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.name.endswith(_SUFFIX)
    }
    if name not in found:
        rule = "'corpus:' must be followed by the name of a text that ships with tarazu"
        raise bad(where, rule, repr(name), did_you_mean(name, found))
    return found[name]
