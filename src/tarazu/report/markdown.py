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
from tarazu.report.compared import pairs_table, summary_texts
from tarazu.report.costs_view import costs_view
from tarazu.report.dynamics import read_dynamics
from tarazu.report.explanation import settings_table
from tarazu.report.failures_view import failures_view
from tarazu.report.html.hardware import device_of
from tarazu.report.html.slice_names import split_name
from tarazu.report.html.words import EVENTS
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.notes import caption, footnotes
from tarazu.report.numbers import NOTHING
from tarazu.report.persian import isolated
from tarazu.report.plain import markdown_inline, markdown_sentence, markdown_table, one_line
from tarazu.report.prompts import prompt_text
from tarazu.report.recorded import recorded
from tarazu.report.sizes import size_tables
from tarazu.report.tuning import tuning_parts
from tarazu.text import Language, Text

if TYPE_CHECKING:
    from tarazu.comparison.costs import Price
    from tarazu.comparison.failures import Failures
    from tarazu.comparison.result import Comparison
    from tarazu.comparison.sizes import LearningCurve
    from tarazu.record.record import RunRecord

_NO_REASON = Text("no reason recorded", "دلیلی ثبت نشده")
_WORDS = {
    text.en: text
    for text in (
        Text("Task", "کار"),
        Text("Results", "نتیجه‌ها"),
        Text("No run is done.", "هیچ اجرایی به پایان نرسیده است."),
        Text("Every two entries", "همهٔ جفت‌ها"),
        Text("Training sizes", "اندازه‌های آموزش"),
        Text("Costs", "هزینه‌ها"),
        Text("Failures on", "خطاها در"),
        Text("Losses by epoch", "زیان در هر دور"),
        Text("Other forms of the trained models", "شکل‌های دیگر مدل‌های آموزش‌دیده"),
        Text("Prompts", "پرسش‌ها"),
        Text("Tuning", "تنظیم ابرپارامترها"),
        Text("Hyperparameters", "ابرپارامترها"),
        Text("What happened", "چه رخ داد"),
        Text("Running it again", "اجرای دوباره"),
        Text(" (kept)", " (نگه‌داشته)"),
        Text("epoch", "دور"),
        Text("training loss", "زیان آموزش"),
        Text("validation loss", "زیان اعتبارسنجی"),
        Text("validation {} %", "اعتبارسنجی: {} (٪)"),
        Text("{} %", "{} (٪)"),
        Text("entry", "روش"),
        Text("form", "شکل"),
        Text("split", "بخش"),
        Text("seed", "بذر"),
        Text("rows", "سطرها"),
        Text("SHA-256 begins", "آغاز SHA-256"),
        Text("answers that differ, by seed", "پاسخ‌های متفاوت، به تفکیک بذر"),
        Text("the study file named", "پروندهٔ مطالعه با نام"),
        Text(
            "Finished runs are kept; the same command does what is missing.",
            "اجراهای پایان‌یافته نگه داشته می‌شوند؛ همان فرمان آنچه را مانده انجام می‌دهد.",
        ),
    )
}


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
        language: Of all words and numbers.
        below: Further lines below the table.
        failures: Who gets what wrong, by test split.
        price: Of the machine; without it costs are times.
        curves: Learning curves with intervals; by default those of the records, without.
    """
    used = current(records)
    rows = entries(records)
    write = Writer(language)
    study = write.inline(records[0].spec.study) if records else ""
    task = write.inline(records[0].task) if records else ""
    foot = [*footnotes(records), *below]
    task_line = f"{_say('Task', write)}: {task}"
    parts = [f"# {study}", task_line, *_results(rows, foot, comparisons, write)]
    parts += _section("Every two entries", _pairs(comparisons, write), write)
    known = learning_curves(records) if curves is None else curves
    parts += _section("Training sizes", size_tables(known, language), write)
    parts += _section("Costs", costs_view(records, language, price), write)
    for one in failures:
        view = failures_view(one, redacted=redacted, language=language)
        parts += _section("Failures on", view, write, write.inline(one.outcomes.split))
    parts += _section("Losses by epoch", _losses(used, write), write)
    parts += _section("Other forms of the trained models", _variants(rows, write), write)
    parts += _section("Prompts", _prompts(used, redacted, write), write)
    parts += _section("Tuning", tuning_parts(records, language), write)
    parts += _section("Hyperparameters", _settings(used, write), write)
    parts += _section("What happened", _events(used, write), write)
    parts += _section("Running it again", _again(used, write), write)
    return "\n\n".join(parts) + "\n"


def _say(english: str, write: Writer) -> str:
    return write.text(_WORDS[english])


def _section(title: str, parts: list[str], write: Writer, of: str = "") -> list[str]:
    heading = f"## {_say(title, write)}{f' {of}' if of else ''}"
    return [heading, *parts] if parts else []


def _results(
    rows: list[EntryResult],
    below: Sequence[Text],
    comparisons: Sequence[Comparison],
    write: Writer,
) -> list[str]:
    parts = [f"## {_say('Results', write)}"]
    if not rows:
        return [*parts, _say("No run is done.", write)]
    for split, shown in splits(rows):
        comparison = leading(comparisons, split)
        kept = columns(shown, comparison, write.language)
        best = [best_rows(column, shown) for column in kept]
        body = []
        for row in shown:
            cells = [markdown_sentence(column.cell(row)) for column in kept]
            marked = zip(cells, best, strict=True)
            body.append([f"**{cell}**" if row.id in top else cell for cell, top in marked])
        numeric = {index for index, column in enumerate(kept) if column.numeric}
        headings = [markdown_sentence(column.title(write.language)) for column in kept]
        parts += [f"### {write.inline(split)}"] if split else []
        parts += [markdown_table(headings, body, numeric), write.literal(caption(shown))]
        told = summary_texts(comparison) if comparison is not None else []
        parts += ["\n".join(f"- {write.literal(line)}" for line in told)] if told else []
    foot = "\n".join(f"- {write.literal(line)}" for line in below)
    return [*parts, foot] if foot else parts


def _pairs(comparisons: Sequence[Comparison], write: Writer) -> list[str]:
    parts = []
    for split in dict.fromkeys(one.split for one in comparisons):
        comparison = leading(comparisons, split)
        if comparison is not None and comparison.pairs:
            metric = _metric(comparison.metric, write)
            parts += [
                f"### {write.inline(split)}: {metric}",
                pairs_table(comparison, write.language),
            ]
    return parts


def _metric(name: str, write: Writer) -> str:
    return write.text(metric_name(name)) if write.language == "fa" else markdown_inline(name)


def _losses(used: list[RunRecord], write: Writer) -> list[str]:
    parts = []
    for record in used:
        if not record.epochs:
            continue
        names = metric_order(name for epoch in record.epochs for name in epoch.metrics)
        body = []
        for epoch in record.epochs:
            kept = _say(" (kept)", write) if epoch.epoch == record.selected_epoch else ""
            scores = [
                write.spread(Spread(epoch.metrics[name], None))
                if name in epoch.metrics
                else NOTHING
                for name in names
            ]
            losses = [write.loss(epoch.train_loss), write.loss(epoch.validation_loss)]
            body.append([f"{write.number(epoch.epoch)}{kept}", *losses, *scores])
        shown = [_say("validation {} %", write).format(_metric(name, write)) for name in names]
        first = [_say(name, write) for name in ("epoch", "training loss", "validation loss")]
        headings = [*first, *shown]
        metric = names[0] if names else None
        readings = [
            f"- {write.literal(finding.text)}" for finding in read_dynamics(record.epochs, metric)
        ]
        parts += [
            f"### {_run_name(record, write)}",
            markdown_table(headings, body, numeric=set(range(1, len(headings)))),
            "\n".join(readings),
        ]
    return parts


def _variants(rows: list[EntryResult], write: Writer) -> list[str]:
    several = {row.entry for row in rows if not row.primary}
    body = []
    names = metric_order(name for row in rows if row.entry in several for name in row.metrics)
    for row in rows:
        if row.entry not in several:
            continue
        cells = [row.entry, row.variant, row.split or NOTHING]
        scores = [write.spread(row.metrics.get(name)) for name in names]
        body.append([*map(write.inline, cells), *scores, _differing(row, write)])
    if not body:
        return []
    metrics = [_say("{} %", write).format(_metric(name, write)) for name in names]
    headings = [*(_say(name, write) for name in ("entry", "form", "split")), *metrics]
    numeric = set(range(3, len(headings)))
    last = _say("answers that differ, by seed", write)
    return [markdown_table([*headings, last], body, numeric)]


def _differing(row: EntryResult, write: Writer) -> str:
    if not row.flips:
        return NOTHING
    against = row.flips_against or "main"
    flips = [f"{flip:,}" for flip in row.flips]
    return write.literal(
        Text(
            f"{', '.join(flips)} of {row.n:,} differ from {row.flips_against}",
            f"{'، '.join(flips)} از {row.n:,} با {isolated(against)} فرق دارد",
        )
    )


def _prompts(used: list[RunRecord], redacted: bool, write: Writer) -> list[str]:
    """Show each prompt of an entry once, with the seeds that used it."""
    seeds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for record in used:
        if record.prompt:
            text = prompt_text(record.prompt, redacted=redacted, language=write.language)
            seeds[_entry_name(record, write), text].append(record.seed)
    parts = []
    for (name, text), which in seeds.items():
        parts += [f"### {_with_seeds(name, which, write)}", text]
    return parts


def _settings(used: list[RunRecord], write: Writer) -> list[str]:
    parts = []
    for name, record in {_entry_name(record, write): record for record in used}.items():
        if record.hyperparameters:
            parts += [f"### {name}", settings_table(record.hyperparameters, write.language)]
    return parts


def _events(used: list[RunRecord], write: Writer) -> list[str]:
    lines = [
        f"- {_run_name(record, write)}: {_kind(event.kind, write)}: "
        f"{write.literal(recorded(event.message))}"
        for record in used
        for event in record.events
    ]
    lines += [
        f"- {_run_name(record, write)}: {_kind('failed', write)}: "
        f"{write.literal(recorded(record.error or _NO_REASON.en))}"
        for record in used
        if record.status == "failed"
    ]
    return ["\n".join(lines)] if lines else []


def _kind(kind: str, write: Writer) -> str:
    known = EVENTS.get(kind)
    return write.text(known) if known and write.language == "fa" else write.inline(kind)


def _again(used: list[RunRecord], write: Writer) -> list[str]:
    if not used:
        return []
    study = one_line(used[0].spec.study)
    comment = _say("the study file named", write)
    command = f"```sh\ntarazu run {study}.yaml   # {comment} '{study}'\n```"
    machines = dict.fromkeys(
        (
            "- "
            + write.listed(
                [
                    device_of(record.environment, write, write.inline),
                    write.inline(record.environment.dtype),
                    write.text(
                        Text(
                            f"{record.environment.threads} threads",
                            f"{record.environment.threads} رشته",
                        )
                    ),
                ]
            )
            + ": "
            + write.listed(
                write.inline(f"{name} {version}")
                for name, version in sorted(record.environment.packages.items())
            )
        )
        for record in used
    )
    inputs = {
        (name, given.sha256): [
            split_name(name, write) if write.language == "fa" else write.inline(name),
            write.number(given.rows),
            f"`{given.sha256[:16]}`",
        ]
        for record in used
        for name, given in record.inputs.items()
    }
    headings = [_say(name, write) for name in ("split", "rows", "SHA-256 begins")]
    table = markdown_table(headings, list(inputs.values()), numeric={1})
    done = _say("Finished runs are kept; the same command does what is missing.", write)
    return [command, done, "\n".join(machines), *([table] if inputs else [])]


def _entry_name(record: RunRecord, write: Writer) -> str:
    known = record.model is None or record.entry.endswith(f"@{record.model}")
    return write.inline(record.entry if known else f"{record.entry} ({record.model})")


def _run_name(record: RunRecord, write: Writer) -> str:
    return _with_seeds(_entry_name(record, write), [record.seed], write)


def _with_seeds(name: str, seeds: Sequence[int], write: Writer) -> str:
    listed = write.listed(write.digits(str(seed)) for seed in seeds)
    return write.listed([name, f"{_say('seed', write)} {listed}"])
