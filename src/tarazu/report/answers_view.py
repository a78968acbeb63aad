"""What is wrong with the answers of each entry, as Markdown: classes, confidence, spans."""

from __future__ import annotations

from collections.abc import Sequence

from tarazu.comparison.calibration import CAVEAT, Calibration
from tarazu.comparison.collapse import OneClass
from tarazu.comparison.confusion import Confusion
from tarazu.comparison.failures import Failures
from tarazu.comparison.outcomes import Outcomes
from tarazu.comparison.span_errors import (
    KIND_MEANINGS,
    KIND_NAMES,
    KINDS,
    NO_CONTEXT,
    Kind,
    SpanErrors,
)
from tarazu.comparison.spread import Spread
from tarazu.report.html.writer import Writer
from tarazu.report.plain import markdown_table, shorten
from tarazu.text import Language, Text

_ENTRY = Text("entry", "روش")
_MOST_EXAMPLES = 3
_TEXT_LENGTH = 160


def answers_view(failures: Failures, *, redacted: bool, language: Language) -> list[str]:
    """Return what is wrong with the answers, as parts of Markdown.

    Args:
        failures: The analysis.
        redacted: Leave the text of the data set out.
        language: Language of everything but names.
    """
    write = Writer(language)
    return [
        *_one_class(failures.one_class, write),
        *_classes(failures.confusions, write),
        *_confusions(failures.confusions, write),
        *_calibrations(failures.calibrations, write),
        *_spans(failures.spans, failures.outcomes, redacted, write),
    ]


def _one_class(runs: Sequence[OneClass], write: Writer) -> list[str]:
    told = [run for run in runs if (run.collapsed or run.no_better) and not run.by_design]
    if not told:
        return []
    collapsed = write.text(Text("collapsed", "فروریخته"))
    open_ = write.text(Text("no better shown", "برتری نشان داده نشد"))
    rows = [
        [
            write.inline(run.entry),
            write.digits(f"{run.seed}"),
            write.inline(run.label),
            write.percent(run.share),
            write.percent(run.accuracy),
            write.percent(run.constant),
            write.p_value(run.p_value),
            collapsed if run.collapsed else open_,
        ]
        for run in told
    ]
    headings = [
        _ENTRY,
        Text("seed", "بذر"),
        Text("its most frequent class", "پرتکرارترین دستهٔ آن"),
        Text("given to %", "به چند ٪ داده شده"),
        Text("right %", "درست (٪)"),
        Text("right if always given %", "درست ٪، اگر همیشه همین پاسخ باشد"),
        Text("p", "p"),
        Text("verdict", "نتیجه"),
    ]
    title = Text("Runs no better than one class", "اجراهایی نه بهتر از یک دسته")
    return [_title(title, write), _table(headings, rows, {1, 3, 4, 5, 6}, write)]


def _classes(found: Sequence[Confusion], write: Writer) -> list[str]:
    if not found:
        return []
    rows = [
        [write.inline(one.entry), write.inline(label), write.number(quality.items)]
        + [write.spread(value) for value in (quality.precision, quality.recall, quality.f1)]
        + [write.spread(one.macro_f1) if label == one.labels[0] else ""]
        for one in found
        for label, quality in one.classes.items()
    ]
    headings = [
        _ENTRY,
        Text("class", "دسته"),
        Text("items", "نمونه"),
        Text("precision %", "صحت (٪)"),
        Text("recall %", "بازیابی (٪)"),
        Text("F1 %", "F1 (٪)"),
        Text("macro-F1 %", "F1 کلان (٪)"),
    ]
    title = Text("Classes", "دسته‌ها")
    return [_title(title, write), _table(headings, rows, {2, 3, 4, 5, 6}, write)]


def _confusions(found: Sequence[Confusion], write: Writer) -> list[str]:
    if not found:
        return []
    rows = [
        [
            write.inline(one.entry),
            write.inline(label),
            *(write.prose(_count(cell)) for cell in counts),
        ]
        for one in found
        for label, counts in zip(one.labels, one.mean().tolist(), strict=True)
    ]
    labels = [write.inline(label) for label in found[0].labels]
    gold = write.text(Text("gold ↓ answer →", "درست ↓ پاسخ ←"))
    headings = [write.text(_ENTRY), gold, *labels, write.text(Text("unparsable", "ناخوانا"))]
    title = Text("Which class is taken for which", "کدام دسته به‌جای کدام")
    table = markdown_table(headings, rows, set(range(2, len(headings))))
    return [_title(title, write), table, _over(max(len(one.counts) for one in found), write)]


def _calibrations(found: Sequence[Calibration], write: Writer) -> list[str]:
    if not found:
        return []
    rows = [
        [
            write.inline(one.entry),
            write.spread(one.confidence),
            write.spread(one.accuracy),
            write.spread(one.ece),
            write.percent(one.ece_by_chance),
            write.prose(_decimal(one.brier)),
            write.prose(_decimal(one.nll)),
        ]
        for one in found
    ]
    headings = [
        _ENTRY,
        Text("confidence %", "اطمینان (٪)"),
        Text("right %", "درست (٪)"),
        Text("ECE %", "خطای واسنجی (٪)"),
        Text("ECE by luck %", "خطای واسنجی از بخت (٪)"),
        Text("Brier", "بریر"),
        Text("NLL", "منفی لگاریتم درست‌نمایی"),
    ]
    bins = [[write.inline(one.entry), _bins(one, write)] for one in found]
    reliability = Text(
        "mean confidence % → right %, by bins of equally many answers",
        "میانگین اطمینان ٪ و درست ٪، در خانه‌هایی با شمار برابرِ پاسخ",
    )
    note = Text(
        "ECE: expected calibration error over bins of equally many answers; by luck: what perfect "
        "calibration would show with so many answers. Brier: 0 … 2. NLL in nats.",
        "خطای واسنجی: خطای واسنجی مورد انتظار (ECE) روی خانه‌هایی با شمار برابرِ پاسخ؛ از بخت: "
        "آنچه واسنجیِ کامل با همین شمار پاسخ نشان می‌داد. بریر (Brier): از ۰ تا ۲. منفی لگاریتم "
        "درست‌نمایی (NLL): بر حسب نات.",
    )
    return [
        _title(Text("Confidence", "اطمینان"), write),
        _table(headings, rows, {1, 2, 3, 4, 5, 6}, write),
        _table([_ENTRY, reliability], bins, set(), write),
        f"{write.text(note)} {write.text(CAVEAT)}",
    ]


def _bins(one: Calibration, write: Writer) -> str:
    pairs = [(100 * part.confidence, 100 * part.accuracy) for part in one.bins]
    return write.listed(
        write.prose(f"{confidence:.0f} → {right:.0f}") for confidence, right in pairs
    )


def _spans(
    found: Sequence[SpanErrors], outcomes: Outcomes, redacted: bool, write: Writer
) -> list[str]:
    kinds = [kind for kind in KINDS if any(one.counts(kind).any() for one in found)]
    if not kinds:
        return []
    rows = [
        [write.inline(one.entry), *(write.spread(one.spread(kind)) for kind in kinds)]
        for one in found
    ]
    headings = [_ENTRY, *(KIND_NAMES[kind] for kind in kinds)]
    meanings = [
        f"- {write.text(KIND_NAMES[kind])}: {write.text(KIND_MEANINGS[kind])}" for kind in kinds
    ]
    parts = [
        _title(Text("What is wrong with the answers, %", "ایراد پاسخ‌ها، ٪"), write),
        _table(headings, rows, set(range(1, len(headings))), write),
        "\n".join(meanings),
        *([write.text(NO_CONTEXT)] if "elsewhere" in kinds else []),
    ]
    shown = [kind for kind in kinds if kind != "exact"]
    examples = [row for kind in shown for row in _examples(kind, found, outcomes, redacted, write)]
    if not examples:
        return parts
    columns = [Text("error", "خطا"), _ENTRY, Text("seed", "بذر"), Text("item", "نمونه")]
    if not redacted:
        columns += [Text("question", "پرسش"), Text("answer", "پاسخ"), Text("gold", "پاسخ درست")]
    named = [[write.text(KIND_NAMES[kind]), *cells] for kind, cells in examples]
    title = Text("Examples of every error", "نمونهٔ هر خطا")
    return [*parts, _title(title, write), _table(columns, named, {2}, write)]


def _examples(
    kind: Kind,
    found: Sequence[SpanErrors],
    outcomes: Outcomes,
    redacted: bool,
    write: Writer,
) -> list[tuple[Kind, list[str]]]:
    """Return examples of a kind: one of each entry in turn, until there are enough."""
    turns = [
        (turn, one.entry, item, seed)
        for one in found
        for turn, (item, seed) in enumerate(one.examples(kind, _MOST_EXAMPLES))
    ]
    turns.sort(key=lambda example: example[0])
    rows = []
    for _, entry, item, seed in turns[:_MOST_EXAMPLES]:
        answers = outcomes.entry(entry)
        cells = [write.inline(entry), write.digits(f"{answers.seeds[seed]}")]
        cells.append(write.inline(outcomes.item_ids[item]))
        if not redacted:
            said = answers.predicted[seed, item]
            question = outcomes.texts["question"][item] if "question" in outcomes.texts else ""
            gold = " / ".join(dict.fromkeys(outcomes.gold[item]))
            answer = (answers.raw[seed, item] or "") if said is None else said
            cells += [write.inline(shorten(t, _TEXT_LENGTH)) for t in (question, answer, gold)]
        rows.append((kind, cells))
    return rows


def _over(seeds: int, write: Writer) -> str:
    one = Text("Items of one run.", "نمونه‌های یک اجرا.")
    several = Text("Items, means over seeds.", "نمونه‌ها، میانگین روی بذرها.")
    return write.text(several if seeds > 1 else one)


def _title(title: Text, write: Writer) -> str:
    return f"### {write.text(title)}"


def _table(
    headings: Sequence[Text], rows: list[list[str]], numeric: set[int], write: Writer
) -> str:
    return markdown_table([write.text(heading) for heading in headings], rows, numeric)


def _decimal(value: Spread) -> str:
    spread = "" if value.sd is None else f" ± {value.sd:.3f}"
    return f"{value.mean:.3f}{spread}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"
