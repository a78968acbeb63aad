"""The command line: a thin shell over `tarazu.study` and `tarazu.report`.

What needs pydantic or torch is imported inside the commands, so that ``tarazu --help`` is instant.
Exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from tarazu.errors import BadInput, bad
from tarazu.signals import deaf, interruptible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tarazu.report.api import Results

RUN_FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
DEBUG = "TARAZU_DEBUG"
_WORDS = "tarazu.words"
# The disk is full, broken or may not be written: the user can mend it, so it is no defect of ours.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override, such as training.epochs=1."),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="Load a method or task of your own from this Python file or module; repeatable.",
    ),
]
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="Study file (YAML).")]
Format = Literal["table", "json", "csv", "latex", "markdown", "html", "pdf"]


class Shell(TyperGroup):
    """Turns what went wrong into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _exit_codes(ctx.meta[_WORDS]), interruptible():
            return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the words of the command, for the one that continues it."""
        ctx.meta[_WORDS] = list(args)
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Shell,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a sign gets a question mark rather than a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with interruptible():
            app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(f"tarazu {version('tarazu')}")
    except PackageNotFoundError:
        typer.echo("tarazu, from its source folder (not installed)")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Weigh the ways of adapting a language model to your task, in one table."""


@app.command()
def run(
    study: StudyFile,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Output folder. [out/STUDY]")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ENTRY", help="Run this entry only.")
    ] = None,
    overrides: Overrides = None,
    checkpoint_every: Annotated[
        float,
        typer.Option(
            metavar="MINUTES", help="Training time between two checkpoints, at least. 0: always."
        ),
    ] = 1.0,
    keep_stale: Annotated[
        bool, typer.Option("--keep-stale", help="Keep runs that other package versions made.")
    ] = False,
    plugins: Plugins = None,
) -> None:
    """Run a study and show its table. Finished runs are skipped, stopped ones go on."""
    from rich.console import Console

    from tarazu.report.api import results_of
    from tarazu.report.complaints import complain
    from tarazu.report.progress_view import ProgressView
    from tarazu.study import run_study

    # Progress goes to standard error, so that the table can be piped.
    with ProgressView(Console(stderr=True)) as view:
        result = run_study(
            study,
            out=out,
            only=only or [],
            overrides=overrides or [],
            listener=view,
            checkpoint_every=checkpoint_every,
            keep_stale=keep_stale,
            plugins=plugins or [],
        )
    _print_table(results_of(result.folder, result.records))
    complain(f"Records: {result.folder}")
    if result.failed:
        raise typer.Exit(RUN_FAILED)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a study.")],
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = "table",
    redacted: Annotated[
        bool, typer.Option("--redacted", help="Markdown, HTML, PDF: leave the data's text out.")
    ] = False,
    language: Annotated[
        Literal["en", "fa"],
        typer.Option("--lang", help="Of the table, of Markdown, of HTML and of PDF."),
    ] = "en",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write to this file instead.")
    ] = None,
) -> None:
    """Show the results in a folder."""
    from tarazu.report.api import read_results
    from tarazu.report.api import report as as_text

    if form == "table" and out is None:
        _print_table(read_results(folder), language)  # as wide as the terminal
        return
    if form == "pdf" and out is None and sys.stdout.isatty():
        raise bad("--format pdf", "must not go to a terminal", "no --out FILE", "Name a file.")
    made = as_text(folder, form, redacted=redacted, language=language)
    if isinstance(made, str):
        made = made.removesuffix("\n") + "\n"
    if out is None:
        typer.echo(made, nl=False)
    else:
        _write(out, made)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a study.")],
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="Form.")] = "table",
) -> None:
    """Show which runs are done, running, failed, stale or waiting."""
    from tarazu.overview import status as read_status

    found = read_status(folder, note=lambda message: typer.echo(message, err=True))
    if form == "json":
        from tarazu.report.json_report import to_json

        typer.echo(to_json(found.to_json()))
        return
    from tarazu.report.status_view import status_view

    runs = [(run.label, run.state, run.why) for run in found.runs]
    _print(status_view(found.counts, runs, found.notes))


@app.command()
def clean(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a study.")],
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Trained weights and runs of other versions, too; results stay."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Free what can be computed again: checkpoints and leftovers."""
    from tarazu.cleaning import by_kind, freeable
    from tarazu.cleaning import clean as remove

    found = freeable(folder, everything=everything)
    for what, size in by_kind(found).items():
        typer.echo(f"{size:>15,} bytes  {what}")
    if not found:
        more = "" if everything else " --all frees trained weights and runs of other versions."
        typer.echo(f"Nothing to free.{more}")
        return
    if not yes:
        typer.confirm("Remove all of this?", abort=True)
    freed = sum(one.bytes for one in remove(folder, everything=everything))
    typer.echo(f"{freed:>15,} bytes freed")


@app.command()
def methods(plugins: Plugins = None) -> None:
    """List all methods."""
    from tarazu import catalog

    headings = ["method", "family", "model", "name", "what it is"]
    rows = [
        [item.name, item.family, item.needs_model, item.label.en, item.summary.en]
        for item in catalog.methods(plugins or []).values()
    ]
    _print_listing(headings, rows)


@app.command()
def tasks(plugins: Plugins = None) -> None:
    """List all tasks."""
    from tarazu import catalog

    headings = ["task", "family", "language", "labels", "what it is"]
    rows = [
        [item.name, item.family, item.language, ", ".join(item.labels) or "–", item.summary.en]
        for item in catalog.tasks(plugins or []).values()
    ]
    _print_listing(headings, rows)


@app.command()
def explain(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method by name.")],
    model: Annotated[
        str | None, typer.Option("--model", help="Fill in this model's numbers.")
    ] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Numbers only, as JSON.")] = False,
    language: Annotated[Literal["en", "fa"], typer.Option("--lang", help="Language.")] = "en",
    plugins: Plugins = None,
) -> None:
    """Explain a method: formula, what is trained, when to use it, each setting's reason."""
    from tarazu.study import explain_method

    explanation = explain_method(method, model, overrides or [], language, plugins=plugins or [])
    if as_json:
        from tarazu.report.json_report import to_json

        typer.echo(to_json(explanation.to_json()))
    else:
        _print_markdown(explanation.markdown())


@app.command()
def data(study: StudyFile, overrides: Overrides = None, plugins: Plugins = None) -> None:
    """Describe the data of a study."""
    from tarazu.study import describe_data

    _print_markdown(describe_data(study, overrides or [], plugins=plugins or []).markdown())


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a study.")],
    entry: Annotated[
        str | None, typer.Option("--entry", help="Run this one. [the quickest that trains]")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Its seed. [the first]")] = None,
    language: Annotated[Literal["en", "fa"], typer.Option("--lang", help="Language.")] = "en",
    plugins: Plugins = None,
) -> None:
    """Run one recorded run again: bit-equal, within noise, or drifted?"""
    from tarazu.report.verified import verified
    from tarazu.sentinel import verify as verify_run

    found = verify_run(folder, entry=entry, seed=seed, plugins=plugins or [])
    _print(verified(found, language))
    if found.verdict in ("drifted", "failed"):
        raise typer.Exit(RUN_FAILED)


@app.command()
def bundle(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a study.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The archive. [DIR.zip]")
    ] = None,
    weights: Annotated[bool, typer.Option("--weights", help="Pack trained weights too.")] = False,
) -> None:
    """Pack a study into one archive, without names, hosts or paths."""
    from tarazu.archive import bundle as pack

    typer.echo(pack(folder, out=out, weights=weights))


@app.command()
def doctor(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Output folder of a study: its disk and locks, too."),
    ] = None,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="Form.")] = "table",
) -> None:
    """Show what would be used here, and what stands in the way; fit for a bug report.

    Exits with 1 where something would stop a run.
    """
    from tarazu.commands.doctor import doctor as examine

    found = examine(folder, note=lambda message: typer.echo(message, err=True))
    if form == "json":
        from tarazu.report.json_report import to_json

        typer.echo(to_json(found.to_json()))
    else:
        from tarazu.report.doctor_view import doctor_view

        _print(doctor_view(found.to_json()))
    if not found.fit:
        raise typer.Exit(RUN_FAILED)


def _write(file: Path, made: str | bytes) -> None:
    """Write a report to a file, whole or not at all; what stood there stays until then."""
    from tarazu.record.disk import told_plainly, write_whole

    if file.is_dir() or not file.parent.is_dir():
        found = "a folder" if file.is_dir() else f"no folder {file.parent}"
        raise bad(str(file), "must be a file in a folder that exists", found)
    with told_plainly(file.parent):
        write_whole(file, made)


def _print(*what: RenderableType) -> None:
    from rich.console import Console

    Console().print(*what)


def _print_table(results: Results, language: Literal["en", "fa"] = "en") -> None:
    from tarazu.report.table import FinalTable

    _print(FinalTable(results.records, results.comparisons, results.below, language))


def _print_listing(headings: list[str], rows: list[list[str]]) -> None:
    from tarazu.report.listing import listing

    _print(listing(headings, rows))


def _print_markdown(text: str) -> None:
    from tarazu.report.listing import FoldingMarkdown
    from tarazu.report.plain import plain

    _print(FoldingMarkdown(plain(text), hyperlinks=False))


@contextmanager
def _exit_codes(words: Sequence[str]) -> Iterator[None]:
    """Print what the user must know, and leave with the documented exit code."""
    try:
        yield
    except KeyboardInterrupt:
        with deaf():  # who is impatient shall still read it
            _complain_of_interruption(words)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        # Typer's own way of leaving and of naming a wrong option; and a reader that has gone.
        control = isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "exit_code")
        if control or isinstance(error, BrokenPipeError):
            raise
        raise typer.Exit(_complain(error)) from None


def _complain_of_interruption(words: Sequence[str]) -> None:
    from tarazu.report.complaints import complain

    said = "Interrupted."
    if words[:1] == ["run"]:
        said += f" Finished runs are kept. This continues:\n  {shlex.join(['tarazu', *words])}"
    complain(said)


def _complain(error: Exception) -> int:
    """Print an error and return the exit code that it means."""
    from tarazu.report.complaints import complain, print_problems, write_traceback

    if isinstance(error, OSError) and error.errno in _DISK:
        place = str(error.filename or "disk")
        rule = "must be writable and have room"
        remedy = "Make room or change its permissions, then give the command again."
        if error.errno == errno.EIO:
            rule, remedy = "must be on a disk that works", "Check it, then give the command again."
        error = bad(place, rule, error.strerror or "", remedy)
    if isinstance(error, BadInput):
        print_problems(error)
        return BAD_INPUT
    if os.environ.get(DEBUG):
        raise error
    complain(
        f"Unexpected: {type(error).__name__}: {error}\n"
        f"The traceback is in {write_traceback(error)}; {DEBUG}=1 shows it here."
    )
    return RUN_FAILED
