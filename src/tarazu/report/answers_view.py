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
from tarazu.report.compared import p_text
from tarazu.report.numbers import percent
from tarazu.report.plain import markdown_inline, markdown_table, shorten
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
    return [
        *_one_class(failures.one_class, language),
        *_classes(failures.confusions, language),
        *_confusions(failures.confusions, language),
        *_calibrations(failures.calibrations, language),
        *_spans(failures.spans, failures.outcomes, redacted, language),
    ]


def _one_class(runs: Sequence[OneClass], language: Language) -> list[str]:
    told = [run for run in runs if (run.collapsed or run.no_better) and not run.by_design]
    if not told:
        return []
    collapsed = Text("collapsed", "فروکاسته").in_(language)
    open_ = Text("no better shown", "برتری نشان داده نشد").in_(language)
    rows = [
        [
            markdown_inline(run.entry),
            f"{run.seed}",
            markdown_inline(run.label),
            _percent(run.share),
            _percent(run.accuracy),
            _percent(run.constant),
            p_text(run.p_value),
            collapsed if run.collapsed else open_,
        ]
        for run in told
    ]
    headings = [
        _ENTRY,
        Text("seed", "بذر"),
        Text("its most frequent class", "پرتکرارترین دستهٔ آن"),
        Text("given to %", "پاسخِ چند ٪"),
        Text("right %", "درست ٪"),
        Text("right if always given %", "درست اگر همیشه همین باشد ٪"),
        Text("p", "p"),
        Text("verdict", "نتیجه"),
    ]
    title = Text("Runs no better than one class", "اجراهایی نه بهتر از یک دسته")
    return [_title(title, language), _table(headings, rows, {1, 3, 4, 5, 6}, language)]


def _classes(found: Sequence[Confusion], language: Language) -> list[str]:
    if not found:
        return []
    rows = [
        [markdown_inline(one.entry), markdown_inline(label), f"{quality.items:,}"]
        + [percent(value) for value in (quality.precision, quality.recall, quality.f1)]
        + [percent(one.macro_f1) if label == one.labels[0] else ""]
        for one in found
        for label, quality in one.classes.items()
    ]
    headings = [
        _ENTRY,
        Text("class", "دسته"),
        Text("items", "نمونه"),
        Text("precision %", "دقت ٪"),
        Text("recall %", "بازیابی ٪"),
        Text("F1 %", "F1 ٪"),
        Text("macro-F1 %", "F1 کلان ٪"),
    ]
    title = Text("Classes", "دسته‌ها")
    return [_title(title, language), _table(headings, rows, {2, 3, 4, 5, 6}, language)]


def _confusions(found: Sequence[Confusion], language: Language) -> list[str]:
    if not found:
        return []
    rows = [
        [markdown_inline(one.entry), markdown_inline(label), *(_count(cell) for cell in counts)]
        for one in found
        for label, counts in zip(one.labels, one.mean().tolist(), strict=True)
    ]
    labels = [markdown_inline(label) for label in found[0].labels]
    gold = Text("gold ↓ answer →", "درست ↓ پاسخ →").in_(language)
    headings = [_ENTRY.in_(language), gold, *labels, Text("unparsable", "ناخوانا").in_(language)]
    title = Text("Which class is taken for which", "کدام دسته به‌جای کدام")
    table = markdown_table(headings, rows, set(range(2, len(headings))))
    return [_title(title, language), table, _over(max(len(one.counts) for one in found), language)]


def _calibrations(found: Sequence[Calibration], language: Language) -> list[str]:
    if not found:
        return []
    rows = [
        [
            markdown_inline(one.entry),
            percent(one.confidence),
            percent(one.accuracy),
            percent(one.ece),
            _percent(one.ece_by_chance),
            _decimal(one.brier),
            _decimal(one.nll),
        ]
        for one in found
    ]
    headings = [
        _ENTRY,
        Text("confidence %", "اطمینان ٪"),
        Text("right %", "درست ٪"),
        Text("ECE %", "ECE ٪"),
        Text("ECE by luck %", "ECE از بخت ٪"),
        Text("Brier", "Brier"),
        Text("NLL", "NLL"),
    ]
    bins = [[markdown_inline(one.entry), _bins(one)] for one in found]
    reliability = Text(
        "mean confidence % → right %, by bins of equally many answers",
        "میانگین اطمینان ٪ ← درست ٪، در بازه‌هایی با شمار برابرِ پاسخ",
    )
    note = Text(
        "ECE: expected calibration error over bins of equally many answers; by luck: what perfect "
        "calibration would show with so many answers. Brier: 0 … 2. NLL in nats.",
        "ECE: خطای ترازِ مورد انتظار روی بازه‌هایی با شمار برابرِ پاسخ؛ از بخت: آنچه ترازِ کامل با "
        "همین شمار پاسخ نشان می‌داد. Brier: ۰ تا ۲. NLL بر حسب نات.",
    )
    return [
        _title(Text("Confidence", "اطمینان"), language),
        _table(headings, rows, {1, 2, 3, 4, 5, 6}, language),
        _table([_ENTRY, reliability], bins, set(), language),
        f"{note.in_(language)} {CAVEAT.in_(language)}",
    ]


def _bins(one: Calibration) -> str:
    pairs = [(100 * part.confidence, 100 * part.accuracy) for part in one.bins]
    return ", ".join(f"{confidence:.0f} → {right:.0f}" for confidence, right in pairs)


def _spans(
    found: Sequence[SpanErrors], outcomes: Outcomes, redacted: bool, language: Language
) -> list[str]:
    kinds = [kind for kind in KINDS if any(one.counts(kind).any() for one in found)]
    if not kinds:
        return []
    rows = [
        [markdown_inline(one.entry), *(percent(one.spread(kind)) for kind in kinds)]
        for one in found
    ]
    headings = [_ENTRY, *(KIND_NAMES[kind] for kind in kinds)]
    meanings = [
        f"- {KIND_NAMES[kind].in_(language)}: {KIND_MEANINGS[kind].in_(language)}" for kind in kinds
    ]
    parts = [
        _title(Text("What is wrong with the answers, %", "ایراد پاسخ‌ها، ٪"), language),
        _table(headings, rows, set(range(1, len(headings))), language),
        "\n".join(meanings),
        *([NO_CONTEXT.in_(language)] if "elsewhere" in kinds else []),
    ]
    shown = [kind for kind in kinds if kind != "exact"]
    examples = [row for kind in shown for row in _examples(kind, found, outcomes, redacted)]
    if not examples:
        return parts
    columns = [Text("error", "خطا"), _ENTRY, Text("seed", "بذر"), Text("item", "نمونه")]
    if not redacted:
        columns += [Text("question", "پرسش"), Text("answer", "پاسخ"), Text("gold", "پاسخ درست")]
    named = [[KIND_NAMES[kind].in_(language), *cells] for kind, cells in examples]
    title = Text("Examples of every error", "نمونهٔ هر خطا")
    return [*parts, _title(title, language), _table(columns, named, {2}, language)]


def _examples(
    kind: Kind, found: Sequence[SpanErrors], outcomes: Outcomes, redacted: bool
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
        cells = [markdown_inline(entry), f"{answers.seeds[seed]}"]
        cells.append(markdown_inline(outcomes.item_ids[item]))
        if not redacted:
            said = answers.predicted[seed, item]
            question = outcomes.texts["question"][item] if "question" in outcomes.texts else ""
            gold = " / ".join(dict.fromkeys(outcomes.gold[item]))
            answer = (answers.raw[seed, item] or "") if said is None else said
            cells += [markdown_inline(shorten(t, _TEXT_LENGTH)) for t in (question, answer, gold)]
        rows.append((kind, cells))
    return rows


def _over(seeds: int, language: Language) -> str:
    one = Text("Items of one run.", "نمونه‌های یک اجرا.")
    several = Text("Items, means over seeds.", "نمونه‌ها، میانگین روی بذرها.")
    return (several if seeds > 1 else one).in_(language)


def _title(title: Text, language: Language) -> str:
    return f"### {title.in_(language)}"


def _table(
    headings: Sequence[Text], rows: list[list[str]], numeric: set[int], language: Language
) -> str:
    return markdown_table([heading.in_(language) for heading in headings], rows, numeric)


def _percent(share: float) -> str:
    return percent(Spread(share, None))


def _decimal(value: Spread) -> str:
    spread = "" if value.sd is None else f" ± {value.sd:.3f}"
    return f"{value.mean:.3f}{spread}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"
