"""The results in an output folder: read once, shown in every form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tarazu.comparison.entries import current, in_study_order
from tarazu.comparison.exposure import exposures
from tarazu.errors import bad
from tarazu.record.ledger import FILE, read_ledgers
from tarazu.record.record import RunRecord
from tarazu.record.store import Store
from tarazu.report.json_report import json_report
from tarazu.report.markdown import markdown
from tarazu.report.notes import data_notes, exposure_notes
from tarazu.text import Language

_WIDTH = 160


@dataclass(frozen=True)
class Results:
    """What a folder holds.

    Attributes:
        records: All records, in the order of the study.
        study: The resolved study; empty when the folder has none.
        below: What stands below the table beside what the records say: what is known of the data,
            and how often the test sets had been scored before.
    """

    records: list[RunRecord]
    study: Mapping[str, Any]
    below: Sequence[str] = field(default=())


def read_results(folder: str | Path) -> Results:
    """Read the results in an output folder.

    Args:
        folder: The folder.

    Raises:
        BadInput: It is no folder, holds no records, or one that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise bad(str(folder), "must be the output folder of a study", "no such folder")
    store = Store(folder)
    records = store.records()
    if not records:
        remedy = "Run a study with `tarazu run STUDY --out DIR` first."
        raise bad(str(folder), "must hold the records of a study", "none", remedy)
    study = store.read_study() if (folder / "study.json").is_file() else {}
    return Results(in_study_order(records, study), study, _below(folder, records))


def _below(folder: str | Path, records: Sequence[RunRecord]) -> list[str]:
    """Return what an output folder knows of its data and test sets, beside the records."""
    store, used = Store(Path(folder)), current(records)
    known = [store.read_data_notes(record.spec.inputs) for record in used]
    scorings = read_ledgers([Path(folder) / FILE])
    return [
        *data_notes(note for notes in known for note in notes),
        *exposure_notes(exposures(records, scorings)),
    ]


def report_json(results: Results) -> str:
    """Return results as JSON."""
    return json_report(results.records)


def report_markdown(results: Results, *, redacted: bool = False, language: Language = "en") -> str:
    """Return results as Markdown.

    Args:
        results: The results.
        redacted: Leave the data set's text out; done anyway when the study asks for it.
        language: Language of the reading of the dynamics.
    """
    asked = results.study.get("report", {}).get("text") == "redacted"
    return markdown(
        results.records, redacted=redacted or asked, language=language, below=results.below
    )


def report(
    folder: str | Path,
    format: Literal["table", "json", "markdown"] = "table",
    *,
    redacted: bool = False,
    language: Language = "en",
) -> str:
    """Return the results in an output folder as text.

    Args:
        folder: The folder.
        format: A table for reading, JSON for programs, or the whole report as Markdown.
        redacted: Markdown: leave the data set's text out; done anyway when the study asks for it.
        language: Markdown: language of the reading of the dynamics.

    Raises:
        BadInput: The folder has no readable results.
    """
    results = read_results(folder)
    if format == "json":
        return report_json(results)
    if format == "markdown":
        return report_markdown(results, redacted=redacted, language=language)
    from rich.console import Console

    from tarazu.report.table import FinalTable

    console = Console(width=_WIDTH, no_color=True, force_terminal=False)
    with console.capture() as capture:
        console.print(FinalTable(results.records, results.below))
    return capture.get()
