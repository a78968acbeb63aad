"""What a comparison says, in words and as a table of pairs."""

from __future__ import annotations

from tarazu.comparison.result import Comparison, Interval, Pair
from tarazu.report.html.words import VERDICTS
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.numbers import NOTHING
from tarazu.report.persian import isolated
from tarazu.report.plain import markdown_table, one_line
from tarazu.text import Language, Text

_HEADINGS = (
    Text("a", "الف"), Text("b", "ب"), Text("a − b, points", "الف منهای ب (واحد درصد)"),
    Text("95 %", "بازهٔ ۹۵٪"), Text("p", "p"), Text("p (Holm)", "p (هولم)"),
    Text("verdict", "داوری"),
)  # fmt: skip


def interval_text(interval: Interval | None) -> str:
    """Return a 95 % interval in percent, such as ``68.9 … 73.4``."""
    if interval is None or interval.low is None or interval.high is None:
        return NOTHING
    return f"{100 * interval.low:.1f} … {100 * interval.high:.1f}"


def summary(comparison: Comparison, language: Language = "en") -> list[str]:
    """Return what the comparison allows to say, and what makes it weak.

    Args:
        comparison: The comparison.
        language: Of the sentences.
    """
    return [text.in_(language) for text in summary_texts(comparison)]


def summary_texts(comparison: Comparison) -> list[Text]:
    """Return the same in both languages.

    Args:
        comparison: The comparison.
    """
    if not comparison.pairs:
        return []
    said = [_separated(comparison), _equivalent(comparison), _detectable(comparison)]
    return [text for text in (*said, *comparison.warnings) if text is not None]


def pairs_table(comparison: Comparison, language: Language = "en") -> str:
    """Return every two entries with their difference, as Markdown, the surest first.

    Args:
        comparison: The comparison.
        language: Of headings, numbers and verdicts.
    """
    write = Writer(language)
    ordered = sorted(comparison.pairs, key=lambda p: (_known(p.p_holm), -abs(p.difference)))
    rows = [
        [
            write.inline(pair.a),
            write.inline(pair.b),
            write.difference(pair.difference),
            write.ends(pair.low, pair.high, signed=True),
            write.p_value(pair.p_value),
            write.p_value(pair.p_holm),
            write.text(VERDICTS[verdict(pair)]),
        ]
        for pair in ordered
    ]
    return markdown_table([write.text(heading) for heading in _HEADINGS], rows, {2, 3, 4, 5})


def verdict(pair: Pair) -> str:
    """Return what a pair's tests say, in two words at most."""
    if pair.p_holm is None:
        return NOTHING
    if pair.separable and pair.equivalent:
        return "differ, within the margin"
    if pair.separable:
        return "differ"
    return "equivalent" if pair.equivalent else "open"


def _separated(comparison: Comparison) -> Text | None:
    if comparison.detectable is None:
        return None
    pairs = comparison.pairs
    count = sum(pair.separable for pair in pairs)
    exact = all(pair.test == "mcnemar" for pair in pairs)
    test = "exact McNemar tests" if exact else "paired tests over items and seeds"
    test_fa = "آزمون دقیق مک‌نمار" if exact else "آزمون جفتی روی نمونه‌ها و بذرها"
    metric, metric_fa = one_line(comparison.metric), metric_name(comparison.metric).fa
    return Text(
        f"Group: entries that share a letter cannot be separated by {metric} ({test}, "
        f"{comparison.items:,} items in {comparison.clusters:,} groups, 5 % over all "
        f"{len(pairs)} pairs by Holm). {count} of {len(pairs)} pairs can be.",
        f"گروه: روش‌هایی که حرفی مشترک دارند با معیار {metric_fa} از هم جدا نمی‌شوند ({test_fa}، "
        f"{comparison.items:,} نمونه در {comparison.clusters:,} گروه، ۵٪ روی همهٔ "
        f"{len(pairs)} جفت با تصحیح هولم). {count} جفت از {len(pairs)} جفت جدا می‌شوند.",
    )


def _equivalent(comparison: Comparison) -> Text | None:
    same = [(p.a, p.b) for p in comparison.pairs if p.equivalent]
    names = ", ".join(f"{one_line(a)} = {one_line(b)}" for a, b in same)
    names_fa = "، ".join(f"{isolated(a)} = {isolated(b)}" for a, b in same)
    points = f"{100 * comparison.margin:g}"
    if comparison.detectable is None:
        return None
    if not same:
        return Text(
            f"No two entries are shown to be equivalent within {points} points.",
            f"هم‌ارزی هیچ دو روشی در محدودهٔ {points} واحد درصد نشان داده نشد.",
        )
    return Text(
        f"Equivalent within {points} points: {names}.",
        f"هم‌ارز در محدودهٔ {points} واحد درصد: {names_fa}.",
    )


def _detectable(comparison: Comparison) -> Text | None:
    one, strictest = comparison.detectable, comparison.detectable_holm
    if one is None or strictest is None:
        return None
    return Text(
        f"A true difference must be about {100 * one:.1f} points for one planned comparison here "
        f"to find it in 80 of 100 studies, {100 * strictest:.1f} points over all pairs.",
        f"برای آنکه یک مقایسهٔ ازپیش‌تعیین‌شده در ۸۰ مطالعه از ۱۰۰ تفاوت را بیابد، تفاوت واقعی باید "
        f"حدود {100 * one:.1f} واحد درصد باشد، و برای همهٔ جفت‌ها {100 * strictest:.1f}.",
    )


def _known(value: float | None) -> float:
    return 2.0 if value is None else value
