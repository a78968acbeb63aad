"""Rows from a data set on the Hub, read by `datasets`, which runs no code that comes with one."""

from __future__ import annotations

import re
from typing import Any

from tarazu.data.plausible import Rows, check_cells, named, plausible
from tarazu.errors import bad

_HUB = re.compile(
    r"hf:(?P<id>[^/@:\s]+/[^/@:\s]+)(/(?P<config>[^@:\s]+))?(@(?P<revision>[^:\s]+))?:(?P<split>\S+)"
)


def hub_rows(source: str, where: str) -> Rows:
    """Read all rows of ``hf:ORG/NAME[/CONFIG][@REV]:SPLIT``.

    Args:
        source: The source.
        where: Its place in the study, for messages.

    Raises:
        BadInput: It has another form, is not to be had, or cannot be read.
    """
    match = _HUB.fullmatch(source)
    if match is None:
        rule = "a source on the Hub must be hf:ORG/NAME[/CONFIG][@REV]:SPLIT"
        raise bad(where, rule, f"'{source}'", "Example: hf:nyu-mll/multi_nli:train")
    from datasets import ClassLabel, load_dataset
    from datasets.exceptions import DatasetsError

    try:
        # Code that comes with a data set is never run: `datasets` 4 and later has no such thing.
        data: Any = load_dataset(
            match["id"], name=match["config"], revision=match["revision"], split=match["split"]
        )
    except (DatasetsError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise bad(where, *_hub_problem(source, match["id"], error)) from error
    names = {c: f.names for c, f in data.features.items() if isinstance(f, ClassLabel)}
    return named(_rows(data, source), names, source)


def _rows(data: Any, source: str) -> Rows:
    """Return the rows of a data set, within the limits of a Parquet file."""
    unpacked = data.data.nbytes
    # Of all its files together; what was made here was never downloaded.
    size = data.info.download_size or unpacked
    try:
        with plausible(source, rows=data.num_rows, unpacked=unpacked, size=size):
            rows: Rows = data.to_list()
    except (ValueError, OverflowError, RecursionError) as error:  # no UTF-8, or a date out of range
        raise bad(source, "the data set must be readable", error, "Choose another one.") from None
    check_cells(rows, source)
    return rows


def _hub_problem(source: str, name: str, error: Exception) -> tuple[str, str, str]:
    """Say why the Hub gave no data, and what to do: offline, or unknown data set or split."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    found = f"'{source}': {first}"
    if _unreachable(error):
        remedy = (
            "There is no connection and no copy in the cache. Connect once, or download the files "
            "elsewhere and name them by path."
        )
        return "the data must be on this machine or the Hub reachable", found, remedy
    remedy = f"See https://huggingface.co/datasets/{name} for its configurations and splits."
    return "the Hub must hold this data set, configuration and split", found, remedy


def _unreachable(error: BaseException | None) -> bool:
    """Tell whether an error, or what caused it, was a missing connection."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if isinstance(error, (ConnectionError, TimeoutError)) or names & {
            "OfflineModeIsEnabled",
            "LocalEntryNotFoundError",
            "TransportError",
        }:
            return True
        error = error.__cause__ or error.__context__
    return False
