"""What came of running a recorded run again, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text as Line

from tarazu.report.plain import one_line
from tarazu.text import Language, Text

if TYPE_CHECKING:
    from tarazu.comparison.sameness import Changed, Verification


def verified(found: Verification, language: Language = "en") -> RenderableType:
    """Return the verdict, what changed in the results, and which packages changed.

    Args:
        found: The verification.
        language: Of the sentences.
    """
    lines = [Line(one_line(found.sentence().in_(language)), style="bold")]
    if found.error is not None:
        lines.append(Line(one_line(found.error)))
    texts = [_split(one) for one in found.splits]
    if found.differs:
        listed = ", ".join(map(one_line, found.differs))
        texts.append(Text(f"Not the same bits: {listed}.", f"بیت‌های متفاوت: {listed}."))
    texts.append(_packages(found))
    return Group(*lines, *(Line(text.in_(language)) for text in texts))


def _split(one: Changed) -> Text:
    metric, split = one_line(one.metric), one_line(one.split)
    figures = f"{100 * one.before:.2f} → {100 * one.after:.2f}"
    return Text(
        f"{split}: {metric} {figures} (± {196 * one.error:.2f} by the choice of items); "
        f"{one.answers:,} of {one.items:,} answers differ.",
        f"{split}: {metric} {figures} (± {196 * one.error:.2f} از انتخاب نمونه‌ها)؛ "
        f"{one.answers:,} پاسخ از {one.items:,} فرق دارد.",
    )


def _packages(found: Verification) -> Text:
    if not found.packages:
        return Text("No package has changed.", "هیچ بسته‌ای تغییر نکرده است.")
    listed = ", ".join(
        f"{one_line(name)} {one_line(old)} → {one_line(new)}"
        for name, (old, new) in found.packages.items()
    )
    return Text(f"Changed packages: {listed}.", f"بسته‌های تغییرکرده: {listed}.")
