"""The whole report as Markdown: results, dynamics, prompts, settings, and how to run it again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tarazu.comparison.entries import EntryResult, current, entries, metric_order
from tarazu.comparison.result import leading
from tarazu.comparison.sizes import learning_curves
from tarazu.comparison.spread import Spread
from tarazu.report.columns import best_rows, columns, splits
from tarazu.report.compared import pairs_table, summary
from tarazu.report.costs_view import costs_view
from tarazu.report.dynamics import read_dynamics
from tarazu.report.explanation import settings_table
from tarazu.report.failures_view import failures_view
from tarazu.report.notes import caption, footnotes
from tarazu.report.numbers import NOTHING, loss, percent
from tarazu.report.plain import markdown_inline, markdown_table, one_line
from tarazu.report.prompts import prompt_text
from tarazu.report.sizes import size_tables
from tarazu.report.tuning import tuning_parts
from tarazu.text import Language, Text

if TYPE_CHECKING:
    from tarazu.comparison.costs import Price
    from tarazu.comparison.failures import Failures
    from tarazu.comparison.result import Comparison
    from tarazu.comparison.sizes import LearningCurve
    from tarazu.record.record import RunRecord


def markdown(
    records: Sequence[RunRecord],
    comparisons: Sequence[Comparison] = (),
    *,
    redacted: bool = False,
    language: Language = "en",
    below: Sequence[Text] = (),
    failures: Sequence[Failures] = (),
    price: Price | None = None,
    curves: Sequence[LearningCurve] | None = None,
) -> str:
    """Return the report of a study as Markdown.

    Args:
        records: All records of the study.
        comparisons: Its entries held against each other.
        redacted: Leave the text of the data set out; item ids stand for it.
        language: Language of the reading of the dynamics.
        below: Further lines below the table.
        failures: Who gets what wrong, by test split.
        price: Of the machine; without it costs are times.
        curves: Learning curves with intervals; by default those of the records, without.
    """
    used = current(records)
    rows = entries(records)
    study = markdown_inline(records[0].spec.study) if records else ""
    task = markdown_inline(records[0].task) if records else ""
    foot = [*footnotes(records), *below]
    parts = [f"# {study}", f"Task: {task}", *_results(rows, foot, comparisons, language)]
    parts += _section("Every two entries", _pairs(comparisons))
    known = learning_curves(records) if curves is None else curves
    parts += _section("Training sizes", size_tables(known))
    parts += _section("Costs", costs_view(records, language, price))
    for one in failures:
        view = failures_view(one, redacted=redacted, language=language)
        parts += _section(f"Failures on {markdown_inline(one.outcomes.split)}", view)
    parts += _section("Losses by epoch", _losses(used, language))
    parts += _section("Other forms of the trained models", _variants(rows))
    parts += _section("Prompts", _prompts(used, redacted))
    parts += _section("Tuning", tuning_parts(records, language))
    parts += _section("Hyperparameters", _settings(used))
    parts += _section("What happened", _events(used))
    parts += _section("Running it again", _again(used))
    return "\n\n".join(parts) + "\n"


def _section(title: str, parts: list[str]) -> list[str]:
    return [f"## {title}", *parts] if parts else []


def _results(
    rows: list[EntryResult],
    below: Sequence[Text],
    comparisons: Sequence[Comparison],
    language: Language,
) -> list[str]:
    parts = ["## Results"]
    if not rows:
        return [*parts, "No run is done."]
    for split, shown in splits(rows):
        comparison = leading(comparisons, split)
        kept = columns(shown, comparison)
        best = [best_rows(column, shown) for column in kept]
        body = []
        for row in shown:
            cells = [markdown_inline(column.cell(row)) for column in kept]
            marked = zip(cells, best, strict=True)
            body.append([f"**{cell}**" if row.id in top else cell for cell, top in marked])
        numeric = {index for index, column in enumerate(kept) if column.numeric}
        headings = [markdown_inline(column.heading) for column in kept]
        parts += [f"### {markdown_inline(split)}"] if split else []
        parts += [markdown_table(headings, body, numeric), markdown_inline(caption(shown).en)]
        told = summary(comparison, language) if comparison is not None else []
        parts += ["\n".join(f"- {markdown_inline(line)}" for line in told)] if told else []
    foot = "\n".join(f"- {markdown_inline(line.en)}" for line in below)
    return [*parts, foot] if foot else parts


def _pairs(comparisons: Sequence[Comparison]) -> list[str]:
    parts = []
    for split in dict.fromkeys(one.split for one in comparisons):
        comparison = leading(comparisons, split)
        if comparison is not None and comparison.pairs:
            parts += [
                f"### {markdown_inline(split)}: {markdown_inline(comparison.metric)}",
                pairs_table(comparison),
            ]
    return parts


def _losses(used: list[RunRecord], language: Language) -> list[str]:
    parts = []
    for record in used:
        if not record.epochs:
            continue
        names = metric_order(name for epoch in record.epochs for name in epoch.metrics)
        body = []
        for epoch in record.epochs:
            kept = " (kept)" if epoch.epoch == record.selected_epoch else ""
            scores = [
                percent(Spread(epoch.metrics[name], None)) if name in epoch.metrics else NOTHING
                for name in names
            ]
            losses = [loss(epoch.train_loss), loss(epoch.validation_loss)]
            body.append([f"{epoch.epoch}{kept}", *losses, *scores])
        shown = [f"validation {markdown_inline(name)} %" for name in names]
        headings = ["epoch", "training loss", "validation loss", *shown]
        metric = names[0] if names else None
        readings = [
            f"- {markdown_inline(finding.text.in_(language))}"
            for finding in read_dynamics(record.epochs, metric)
        ]
        parts += [
            f"### {_run_name(record)}",
            markdown_table(headings, body, numeric=set(range(1, len(headings)))),
            "\n".join(readings),
        ]
    return parts


def _variants(rows: list[EntryResult]) -> list[str]:
    several = {row.entry for row in rows if not row.primary}
    body = []
    names = metric_order(name for row in rows if row.entry in several for name in row.metrics)
    for row in rows:
        if row.entry not in several:
            continue
        flips = ", ".join(f"{flip:,}" for flip in row.flips)
        against = f"{flips} of {row.n:,} differ from {row.flips_against}" if flips else NOTHING
        cells = [row.entry, row.variant, row.split or NOTHING]
        scores = [percent(row.metrics.get(name)) for name in names]
        body.append([*map(markdown_inline, cells), *scores, markdown_inline(against)])
    if not body:
        return []
    headings = ["entry", "form", "split", *(f"{markdown_inline(name)} %" for name in names)]
    numeric = set(range(3, len(headings)))
    return [markdown_table([*headings, "answers that differ, by seed"], body, numeric)]


def _prompts(used: list[RunRecord], redacted: bool) -> list[str]:
    """Show each prompt of an entry once, with the seeds that used it."""
    seeds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for record in used:
        if record.prompt:
            text = prompt_text(record.prompt, redacted=redacted)
            seeds[_entry_name(record), text].append(record.seed)
    parts = []
    for (name, text), which in seeds.items():
        parts += [f"### {name}, seed {', '.join(map(str, which))}", text]
    return parts


def _settings(used: list[RunRecord]) -> list[str]:
    parts = []
    for name, record in {_entry_name(record): record for record in used}.items():
        if record.hyperparameters:
            parts += [f"### {name}", settings_table(record.hyperparameters)]
    return parts


def _events(used: list[RunRecord]) -> list[str]:
    lines = [
        f"- {_run_name(record)}: {markdown_inline(event.kind)}: {markdown_inline(event.message)}"
        for record in used
        for event in record.events
    ]
    lines += [
        f"- {_run_name(record)}: failed: {markdown_inline(record.error)}"
        for record in used
        if record.status == "failed"
    ]
    return ["\n".join(lines)] if lines else []


def _again(used: list[RunRecord]) -> list[str]:
    if not used:
        return []
    study = one_line(used[0].spec.study)
    command = f"```sh\ntarazu run {study}.yaml   # the study file named '{study}'\n```"
    machines = {
        record.environment.hash: (
            f"- {record.environment.device}, {record.environment.dtype}, "
            f"{record.environment.threads} threads: "
            + ", ".join(
                f"{markdown_inline(name)} {markdown_inline(version)}"
                for name, version in sorted(record.environment.packages.items())
            )
        )
        for record in used
    }
    inputs = {
        (name, given.sha256): [markdown_inline(name), f"{given.rows:,}", f"`{given.sha256[:16]}`"]
        for record in used
        for name, given in record.inputs.items()
    }
    table = markdown_table(["split", "rows", "SHA-256 begins"], list(inputs.values()), numeric={1})
    done = "Finished runs are kept; the same command does what is missing."
    return [command, done, "\n".join(machines.values()), *([table] if inputs else [])]


def _entry_name(record: RunRecord) -> str:
    known = record.model is None or record.entry.endswith(f"@{record.model}")
    return markdown_inline(record.entry if known else f"{record.entry} ({record.model})")


def _run_name(record: RunRecord) -> str:
    return f"{_entry_name(record)}, seed {record.seed}"
