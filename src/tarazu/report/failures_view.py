"""Failures across entries as Markdown: what a reader should see first, then every table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from tarazu.comparison.correctness import Indices
from tarazu.comparison.failures import Failures
from tarazu.comparison.findings import findings
from tarazu.comparison.flips import DIRECTION_NAMES, DIRECTIONS, Direction, Flips
from tarazu.comparison.outcomes import Outcomes
from tarazu.comparison.slice_names import field_name, slice_name, slice_value
from tarazu.comparison.slices import SMALL, SliceScore
from tarazu.report.answers_view import answers_view
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.numbers import NOTHING
from tarazu.report.plain import markdown_table, shorten
from tarazu.text import Language, Text

_MOST_IDS = 10
_MOST_ITEMS = 5
_BEST = 5
_TEXT_LENGTH = 200
_GOLD = Text("→", "←")
_SMALL_MARK = " \\*"


def failures_view(
    failures: Failures, *, redacted: bool = False, language: Language = "en"
) -> list[str]:
    """Return the failures on one split as paragraphs, headings and tables of Markdown.

    Args:
        failures: The analysis.
        redacted: Leave the text of the data set out; item ids stand for it. A study that has kept
            no texts is shown so in any case.
        language: Language of everything but names.

    Returns:
        Parts to be joined by empty lines; headings begin at the third level.
    """
    redacted = redacted or not failures.outcomes.texts
    write = Writer(language)
    first = [f"- {write.literal(text)}" for text in findings(failures.outcomes, failures)]
    parts = ["\n".join(first)] if first else []
    parts += _items(failures, redacted, write)
    parts += _pairs(failures, write)
    parts += _slices(failures, write)
    parts += answers_view(failures, redacted=redacted, language=language)
    parts += _flips(failures.flips, failures.outcomes, write)
    return parts


def _items(failures: Failures, redacted: bool, write: Writer) -> list[str]:
    view, outcomes = failures.items, failures.outcomes
    if not view.entries:
        return []
    rows = []
    for number, entry in enumerate(view.entries):
        alone = view.only_right_for(entry)
        usual = write.number(int(view.right[number].sum()))
        shown = _ids(alone, outcomes, write)
        rows.append([write.inline(entry), usual, write.number(len(alone)), shown])
    headings = [
        Text("entry", "روش"),
        Text("usually right", "بیشتر وقت‌ها درست"),
        Text("only it is right", "تنها این درست است"),
        Text("these items", "این نمونه‌ها"),
    ]
    never, always = view.never_right(), view.always_right()
    counts = Text(
        f"Usually right: in more than half of an entry's runs. Of {len(view.item_ids):,} items "
        f"{len(always):,} are right and {len(never):,} wrong in every run of every entry.",
        f"بیشتر وقت‌ها درست: در بیش از نیمی از اجراهای روش. از {len(view.item_ids):,} نمونه، "
        f"{len(always):,} نمونه در همهٔ اجراهای همهٔ روش‌ها درست و {len(never):,} نمونه در همه "
        "نادرست است.",
    )
    never_ids = write.text(Text("Never right", "هرگز درست نبوده"))
    parts = [
        f"### {write.text(Text('Items', 'نمونه‌ها'))}",
        markdown_table(_in(headings, write), rows, {1, 2}),
        write.text(counts),
    ]
    parts += [f"{never_ids}: {_ids(never, outcomes, write)}"] if len(never) else []
    return parts + _divided(failures, redacted, write)


def _divided(failures: Failures, redacted: bool, write: Writer) -> list[str]:
    """Show the items that divide the entries most."""
    view, outcomes = failures.items, failures.outcomes
    chosen = view.most_divided()[:_MOST_ITEMS].tolist()
    if len(view.entries) < 2 or not chosen:
        return []
    rows = []
    for item in chosen:
        right = view.right[:, item]
        names = [
            write.listed(write.inline(e) for e, hit in zip(view.entries, right, strict=True) if hit)
            for right in (right, ~right)
        ]
        row = [write.inline(outcomes.item_ids[item]), *names]
        rows.append(row if redacted else [*row, _item_text(outcomes, item, write)])
    headings = [
        Text("item that divides them", "نمونهٔ اختلاف‌برانگیز"),
        Text("usually right", "بیشتر وقت‌ها درست"),
        Text("usually wrong", "بیشتر وقت‌ها نادرست"),
    ]
    headings += [] if redacted else [Text("text", "متن")]
    return [markdown_table(_in(headings, write), rows, set())]


def _item_text(outcomes: Outcomes, item: int, write: Writer) -> str:
    """Return an item's texts and gold answers on one line of Markdown, each shortened."""
    texts = [
        f"{_named(field_name(name), name, write)}: {write.inline(shorten(v[item], _TEXT_LENGTH))}"
        for name, v in outcomes.texts.items()
    ]
    gold = " / ".join(shorten(one, _TEXT_LENGTH) for one in dict.fromkeys(outcomes.gold[item]))
    return " · ".join([*texts, f"{write.text(_GOLD)} {write.inline(gold)}"])


def _pairs(failures: Failures, write: Writer) -> list[str]:
    view = failures.items
    if len(view.entries) < 2:
        return []
    names = [write.inline(entry) for entry in view.entries]
    fixed = view.right.astype(np.int64) @ (~view.right).astype(np.int64).T
    grid = [
        [name, *(NOTHING if i == j else write.number(int(fixed[i, j])) for j in range(len(names)))]
        for i, name in enumerate(names)
    ]
    corner = write.text(Text("fixes ↓ of the errors of →", "جبران ↓ از خطاهای ←"))
    best = set(view.ranked()[:_BEST])
    chosen = [one for one in failures.overlaps if {one.a, one.b} <= best]
    rows = [
        [
            write.inline(one.a),
            write.inline(one.b),
            write.number(one.either_right),
            write.number(one.both_wrong),
            write.number(one.both_wrong_by_chance, 1),
            NOTHING if one.kappa is None else write.decimal(one.kappa, 2),
        ]
        for one in chosen
    ]
    headings = [
        Text("a", "الف"),
        Text("b", "ب"),
        Text("either is right", "یکی درست است"),
        Text("both are wrong", "هر دو نادرست"),
        Text("expected if unrelated", "چشمداشت، اگر بی‌ربط باشند"),
        Text("κ", "κ"),
    ]
    note = Text(
        f"An entry is right about an item when more than half of its runs are. Pairs: of the "
        f"{len(best)} entries that are right most often. κ: agreement on right and wrong beyond "
        "chance (Cohen 1960); 0 for unrelated errors, 1 for the same.",
        "روشی دربارهٔ یک نمونه درست است که بیش از نیمی از اجراهایش درست باشد. جفت‌ها: از "
        f"{len(best)} روشی که بیش از همه درست‌اند. κ: توافقِ بیش از تصادف بر درست و نادرست "
        "(کوهن ۱۹۶۰)؛ صفر برای خطاهای بی‌ربط و یک برای خطاهای یکسان.",
    )
    title = Text("Errors that one fixes of the other", "خطاهایی که یکی از دیگری جبران می‌کند")
    return [
        f"### {write.text(title)}",
        markdown_table([corner, *names], grid, set(range(1, len(names) + 1))),
        markdown_table(_in(headings, write), rows, {2, 3, 4, 5}),
        write.text(note),
    ]


def _slices(failures: Failures, write: Writer) -> list[str]:
    if not failures.slices:
        return []
    metric = failures.outcomes.primary_metric
    title = Text(f"Slices: {write.inline(metric)} %", f"برش‌ها: {metric_name(metric).fa} (٪)")
    note = Text(
        f"With 95 % intervals over items, groups and seeds. ▼ weaker than the entry's own mean, "
        f"after Holm's correction for all slices of all entries. \\* fewer than {SMALL} groups: "
        "not tested.",
        f"با بازهٔ ۹۵٪ روی نمونه‌ها، گروه‌ها و بذرها. ▼ ضعیف‌تر از میانگین خود روش، پس از تصحیح "
        f"هولم برای همهٔ برش‌های همهٔ روش‌ها. \\* کمتر از {SMALL} گروه: آزموده نشد.",
    )
    parts = [f"### {write.text(title)}"]
    for name in dict.fromkeys(one.name for one in failures.slices):
        parts.append(_slice_table([one for one in failures.slices if one.name == name], write))
    return [*parts, write.text(note)]


def _slice_table(scores: Sequence[SliceScore], write: Writer) -> str:
    values = list(dict.fromkeys((one.value, one.items, one.small) for one in scores))
    rows = {entry: [write.inline(entry)] for entry in dict.fromkeys(one.entry for one in scores)}
    for one in scores:
        rows[one.entry].append(_slice_cell(one, write))
    headings = [
        f"{_named(slice_value(value), value, write)} ({write.number(items)})"
        f"{_SMALL_MARK if small else ''}"
        for value, items, small in values
    ]
    by = write.text(Text("entry, by", "روش، به تفکیک"))
    numeric = set(range(1, len(headings) + 1))
    name = scores[0].name
    heading = f"{by} {_named(slice_name(name), name, write)}"
    return markdown_table([heading, *headings], list(rows.values()), numeric)


def _named(shown: Text, name: str, write: Writer) -> str:
    """Return a name of a slice or text: in English as the task calls it."""
    return write.literal(shown) if write.language == "fa" else write.inline(name)


def _slice_cell(one: SliceScore, write: Writer) -> str:
    mark = "▼ " if one.weak else ""
    mean = write.percent(one.mean, 0)
    if one.low is None or one.high is None:
        return f"{mark}{mean}"
    return f"{mark}{mean} ({write.prose(f'{100 * one.low:.0f}–{100 * one.high:.0f}')})"


def _flips(found: Sequence[Flips], outcomes: Outcomes, write: Writer) -> list[str]:
    if not found:
        return []
    rows = []
    for one in found:
        changes = [one.changed(), *(one.counts(way) for way in DIRECTIONS)]
        counts = [write.prose(_mean(change)) for change in changes]
        rows.append([write.inline(one.form), write.inline(one.against), *counts])
        rows[-1].append(write.p_value(one.p_value))
    headings = [
        Text("form", "شکل"),
        Text("against", "در برابر"),
        Text("other answers", "پاسخ‌های دیگر"),
        *(DIRECTION_NAMES[way] for way in DIRECTIONS),
        Text("p", "p"),
    ]
    note = Text(
        "Means over seeds. p: two-sided, that as many answers turn right as turn wrong over items, "
        "their groups and seeds (of one run over single items McNemar's exact test), not "
        "corrected. It is not of how many answers change: that is a count.",
        "میانگین روی بذرها. p: دوسویه، برای این فرض که شمار پاسخ‌های درست‌شده و نادرست‌شده روی "
        "نمونه‌ها، گروه‌هایشان و بذرها برابر است (برای یک اجرا روی نمونه‌های تک، آزمون دقیق مک‌نمار)، "
        "بی تصحیح. دربارهٔ شمار پاسخ‌های عوض‌شده نیست: آن را تنها شمرده‌ایم.",
    )
    title = Text(
        "Answers that merging or quantising changes", "پاسخ‌هایی که ادغام یا کوانتش عوض می‌کند"
    )
    ways: tuple[Direction, ...] = ("right-to-wrong", "wrong-to-right")
    lists = [
        f"- {write.listed([write.inline(one.form), write.text(DIRECTION_NAMES[way])])}: "
        f"{_ids(one.items(way), outcomes, write)}"
        for one in found
        for way in ways
        if len(one.items(way))
    ]
    numeric = set(range(2, len(headings)))
    parts = [f"### {write.text(title)}", markdown_table(_in(headings, write), rows, numeric)]
    return [*parts, write.text(note), *(["\n".join(lists)] if lists else [])]


def _ids(items: Indices, outcomes: Outcomes, write: Writer) -> str:
    shown = [write.inline(outcomes.item_ids[item]) for item in islice(items.tolist(), _MOST_IDS)]
    return write.listed(shown) + (" …" if len(items) > _MOST_IDS else "")


def _mean(counts: Indices) -> str:
    value = float(counts.mean())
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"


def _in(texts: Sequence[Text], write: Writer) -> list[str]:
    return [write.text(text) for text in texts]
