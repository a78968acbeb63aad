"""The results in an output folder: read once, shown in every form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from tarazu.comparison.compare import compare_all
from tarazu.comparison.costs import Price
from tarazu.comparison.entries import current, in_study_order
from tarazu.comparison.exposure import exposures
from tarazu.comparison.failures import Failures, analyse
from tarazu.comparison.outcomes import Outcomes, read_outcomes
from tarazu.comparison.result import Comparison
from tarazu.comparison.size_intervals import size_intervals
from tarazu.comparison.sizes import LearningCurve, learning_curves
from tarazu.errors import bad
from tarazu.record.ledger import FILE, read_ledgers
from tarazu.record.record import RunRecord
from tarazu.record.spec import ComparisonSpec
from tarazu.record.store import Store
from tarazu.report.csv_report import csv_report
from tarazu.report.json_report import json_report
from tarazu.report.latex import latex
from tarazu.report.markdown import markdown
from tarazu.report.notes import data_notes, exposure_notes
from tarazu.report.price import price_of
from tarazu.text import Language, Text

if TYPE_CHECKING:
    from tarazu.report.html.source import Source

TextFormat = Literal["table", "json", "markdown", "csv", "latex", "html"]
_WIDTH = 160


@dataclass(frozen=True)
class Results:
    """What a folder holds.

    Attributes:
        records: All records, in the order of the study.
        study: The resolved study; empty when the folder has none.
        store: The folder.
    """

    records: list[RunRecord]
    study: Mapping[str, Any]
    store: Store

    @cached_property
    def outcomes(self) -> list[Outcomes]:
        """The answers of all entries by test split."""
        return read_outcomes(self.store, self.records)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """The entries held against each other, for each split by its primary metric first."""
        chosen = self.study.get("comparison", {})
        return compare_all(self.outcomes, ComparisonSpec.model_validate(chosen).margin)

    @cached_property
    def curves(self) -> list[LearningCurve]:
        """The entries at every training size, with intervals; none where there is one size."""
        return learning_curves(self.records, size_intervals(self.store, self.records))

    @property
    def price(self) -> Price | None:
        """What the machine costs, where the study says so."""
        return price_of(self.study)

    @cached_property
    def failures(self) -> list[Failures]:
        """Who gets what wrong, by test split."""
        by_design = {record.entry for record in self.records if record.method == "majority"}
        language = self.records[0].spec.language
        return [analyse(one, language=language, by_design=by_design) for one in self.outcomes]

    @cached_property
    def below(self) -> list[Text]:
        """What stands below the table beside what the records say of themselves.

        What is known of the data, and how often the test sets had been scored before: by runs that
        the whole folder does not hold, even where some of its runs are shown.
        """
        known = [self.store.read_data_notes(r.spec.inputs) for r in current(self.records)]
        scorings = read_ledgers([self.store.folder / FILE])
        return [
            *data_notes(note for notes in known for note in notes),
            *exposure_notes(exposures(self.store.records(), scorings)),
        ]

    def _repr_html_(self) -> str:
        """Show what won and the final table in a notebook."""
        from tarazu.report.html.fragment import html_fragment

        return html_fragment(_source(self, "en"))


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
    return Results(in_study_order(records, study), study, store)


def results_of(folder: Path, records: Sequence[RunRecord]) -> Results:
    """Return some of the runs in a folder as its results, such as those just made.

    Args:
        folder: The output folder.
        records: The runs, in the order of the study.
    """
    store = Store(folder)
    study = store.read_study() if (folder / "study.json").is_file() else {}
    return Results(list(records), study, store)


def report_json(results: Results) -> str:
    """Return results as JSON."""
    return json_report(
        results.records, results.comparisons, results.below, results.price, results.curves
    )


def report_csv(results: Results) -> str:
    """Return results as CSV."""
    return csv_report(results.records, results.comparisons, results.price)


def report_latex(results: Results) -> str:
    """Return results as a LaTeX document."""
    return latex(results.records, results.comparisons, results.below)


def report_markdown(results: Results, *, redacted: bool = False, language: Language = "en") -> str:
    """Return results as Markdown.

    Args:
        results: The results.
        redacted: Leave the data set's text out; done anyway when the study asks for it.
        language: Of all words and numbers.
    """
    return markdown(
        results.records,
        results.comparisons,
        redacted=redacted or _asks_for_redaction(results),
        language=language,
        below=results.below,
        failures=results.failures,
        price=results.price,
        curves=results.curves,
    )


def report_html(results: Results, *, redacted: bool = False, language: Language = "en") -> str:
    """Return results as one self-contained page.

    Args:
        results: The results.
        redacted: Leave the data set's text out; done anyway when the study asks for it.
        language: Of all words and numbers of the page.
    """
    # Imported here: the libraries behind the page take longer to load than a table to print.
    from tarazu.report.html.page import html_page

    return html_page(_source(results, language, redacted=redacted), language)


def report_pdf(results: Results, *, redacted: bool = False, language: Language = "en") -> bytes:
    """Return results as PDF: the page of `report_html` on paper.

    Args:
        results: The results.
        redacted: Leave the data set's text out; done anyway when the study asks for it.
        language: Of all words and numbers.

    Raises:
        BadInput: What lays pages out is not installed.
    """
    from tarazu.report.html.paper import paper_page
    from tarazu.report.pdf import pdf

    return pdf(paper_page(_source(results, language, redacted=redacted), language))


def _source(results: Results, language: Language, *, redacted: bool = False) -> Source:
    from tarazu.report.failures_view import failures_view
    from tarazu.report.html.source import Source

    first = next(iter(current(results.records)), results.records[0])
    redacted = redacted or _asks_for_redaction(results)
    return Source(
        results.records,
        results.study,
        redacted=redacted,
        items=results.store.read_items(first) if results.store.has_items(first) else None,
        outcomes=results.outcomes,
        comparisons=results.comparisons,
        below=results.below,
        curves=results.curves,
        price=results.price,
        analyses={
            one.outcomes.split: failures_view(one, redacted=redacted, language=language)
            for one in results.failures
        },
    )


def _asks_for_redaction(results: Results) -> bool:
    return bool(results.study.get("report", {}).get("text") == "redacted")


@overload
def report(
    folder: str | Path, format: Literal["pdf"], *, redacted: bool = ..., language: Language = ...
) -> bytes: ...
@overload
def report(
    folder: str | Path, format: TextFormat = ..., *, redacted: bool = ..., language: Language = ...
) -> str: ...
def report(
    folder: str | Path,
    format: TextFormat | Literal["pdf"] = "table",
    *,
    redacted: bool = False,
    language: Language = "en",
) -> str | bytes:
    """Return the results in an output folder as text, or as the bytes of a PDF.

    Args:
        folder: The folder.
        format: A table for reading, JSON for programs, CSV for spreadsheets, LaTeX for papers, or
            the whole report as Markdown, as one HTML page or as PDF.
        redacted: Markdown, HTML and PDF: leave the data set's text out; done anyway when the study
            asks for it.
        language: Of the table, of Markdown, of HTML and of PDF; the other formats are for programs
            and papers, and are English.

    Raises:
        BadInput: The folder has no readable results; for PDF: what lays pages out is not installed.
    """
    results = read_results(folder)
    if format == "json":
        return report_json(results)
    if format == "csv":
        return report_csv(results)
    if format == "latex":
        return report_latex(results)
    if format == "markdown":
        return report_markdown(results, redacted=redacted, language=language)
    if format == "html":
        return report_html(results, redacted=redacted, language=language)
    if format == "pdf":
        return report_pdf(results, redacted=redacted, language=language)
    from rich.console import Console

    from tarazu.report.table import FinalTable

    console = Console(width=_WIDTH, no_color=True, force_terminal=False)
    with console.capture() as capture:
        console.print(FinalTable(results.records, results.comparisons, results.below, language))
    return capture.get()
