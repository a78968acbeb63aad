"""A data set described: what `tarazu data` shows (requirement N1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tarazu.report.numbers import NOTHING
from tarazu.report.plain import markdown_inline, markdown_table, shorten

_EXAMPLE_LENGTH = 300


@dataclass(frozen=True)
class Lengths:
    """How long texts are, in words.

    Attributes:
        mean: Mean.
        p95: 95 % of the texts have at most so many words.
        maximum: The longest.
    """

    mean: float
    p95: int
    maximum: int

    @classmethod
    def of(cls, texts: Iterable[str]) -> Lengths:
        """Measure texts; words are what white space separates.

        Args:
            texts: The texts.
        """
        counts = sorted(len(text.split()) for text in texts)
        if not counts:
            return cls(0.0, 0, 0)
        # Nearest rank: the smallest count that at least 95 % of the texts do not exceed.
        rank = math.ceil(0.95 * len(counts)) - 1
        return cls(sum(counts) / len(counts), counts[rank], counts[-1])


@dataclass(frozen=True)
class SplitCard:
    """One split described.

    Attributes:
        name: ``train``, ``validation``, or the name of a test split.
        rows: Items.
        groups: Groups that never part between splits.
        labels: Items by label; empty when the answers are spans.
        answers: Length of the (first) gold answer; None when the answers are labels.
        lengths: Length of each text field.
    """

    name: str
    rows: int
    groups: int
    labels: Mapping[str, int] = field(default_factory=dict)
    answers: Lengths | None = None
    lengths: Mapping[str, Lengths] = field(default_factory=dict)


@dataclass(frozen=True)
class OverlapCard:
    """What stands in two splits, before anything was dropped or sampled.

    Attributes:
        split: The split that is learnt from, or a test split compared with itself.
        held_out: The other split.
        duplicates: Rows whose whole text stands in the other split, or repeats an earlier row.
        near_duplicates: Rows that are nearly the same.
        shared_groups: Other rows whose group stands in the other split; None within one split.
    """

    split: str
    held_out: str
    duplicates: int
    near_duplicates: int
    shared_groups: int | None


@dataclass(frozen=True)
class Example:
    """One item, to be looked at.

    Attributes:
        id: The item's id.
        fields: Its texts; empty when the text is redacted.
        gold: Right answers; empty when the text is redacted.
    """

    id: str
    fields: Mapping[str, str] = field(default_factory=dict)
    gold: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataCard:
    """A data set described.

    Attributes:
        title: Name of the task.
        summary: What the task is.
        languages: ISO codes of the data's languages.
        columns: Column of the data by field of the task.
        licence: As the source states it.
        source: Where the data come from.
        splits: Each split as it is used.
        examples: A few items.
        notes: What should be known, such as leakage between splits.
        overlaps: What each two splits share, and what a test split repeats.
        near_duplicates: Similarity from which rows are near duplicates; None: not looked for.
    """

    title: str
    summary: str
    languages: tuple[str, ...]
    columns: Mapping[str, str]
    licence: str | None
    source: str | None
    splits: tuple[SplitCard, ...]
    examples: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()
    overlaps: tuple[OverlapCard, ...] = ()
    near_duplicates: float | None = None

    def markdown(self) -> str:
        """Return the card as Markdown."""
        facts = {
            "Language": ", ".join(self.languages),
            "Licence": self.licence or "not stated",
            "Source": self.source or "not stated",
        }
        parts = [
            f"# {markdown_inline(self.title)}",
            markdown_inline(self.summary),
            "\n".join(f"- {name}: {markdown_inline(value)}" for name, value in facts.items()),
            "## Columns",
            markdown_table(["field", "column"], _escaped(self.columns.items()), numeric=set()),
            "## Sizes",
            self._sizes(),
            "## Lengths in words",
            self._lengths(),
        ]
        if any(split.labels for split in self.splits):
            parts += ["## Label balance", self._balance()]
        if self.overlaps:
            parts += ["## Rows that stand in two splits, or twice in one", self._overlaps()]
        if self.examples:
            parts += ["## Examples", *map(_example, self.examples[:3])]
        if self.notes:
            notes = "\n".join(f"- {markdown_inline(note)}" for note in self.notes)
            parts += ["## To be known", notes]
        return "\n\n".join(parts)

    def _sizes(self) -> str:
        rows = [
            [markdown_inline(split.name), f"{split.rows:,}", f"{split.groups:,}"]
            for split in self.splits
        ]
        return markdown_table(["split", "rows", "groups"], rows, numeric={1, 2})

    def _lengths(self) -> str:
        rows = []
        for split in self.splits:
            answers = {"answer": split.answers} if split.answers else {}
            for name, length in {**split.lengths, **answers}.items():
                numbers = [f"{length.mean:.1f}", f"{length.p95:,}", f"{length.maximum:,}"]
                rows.append([markdown_inline(split.name), markdown_inline(name), *numbers])
        headings = ["split", "text", "mean", "95 % at most", "longest"]
        return markdown_table(headings, rows, numeric={2, 3, 4})

    def _overlaps(self) -> str:
        near = self.near_duplicates
        rows = []
        for overlap in self.overlaps:
            within = overlap.split == overlap.held_out
            counts = [
                f"{overlap.duplicates:,}",
                f"{overlap.near_duplicates:,}" if near is not None else "not looked for",
                f"{overlap.shared_groups:,}" if overlap.shared_groups is not None else NOTHING,
            ]
            other = "itself" if within else overlap.held_out
            rows.append([markdown_inline(overlap.split), markdown_inline(other), *counts])
        nearly = "nearly equal" if near is None else f"nearly equal (similarity ≥ {near:g})"
        headings = ["rows of", "in", "equal", nearly, "share a group"]
        return markdown_table(headings, rows, numeric={2, 3, 4})

    def _balance(self) -> str:
        labels = list(dict.fromkeys(label for split in self.splits for label in split.labels))
        rows = [
            [markdown_inline(split.name)]
            + [_share(split.labels.get(label, 0), split.rows) for label in labels]
            for split in self.splits
        ]
        headings = ["split", *map(markdown_inline, labels)]
        return markdown_table(headings, rows, numeric=set(range(1, len(headings))))


def _share(count: int, rows: int) -> str:
    return f"{count:,} ({count / rows:.1%})" if rows else "0"


def _escaped(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    return [[markdown_inline(text) for text in pair] for pair in pairs]


def _example(example: Example) -> str:
    lines = [f"- item {markdown_inline(example.id)}"]
    for name, text in example.fields.items():
        shown = markdown_inline(shorten(text, _EXAMPLE_LENGTH))
        lines.append(f"    - {markdown_inline(name)}: {shown}")
    if example.gold:
        gold = " / ".join(dict.fromkeys(example.gold))
        lines.append(f"    - **answer**: {markdown_inline(shorten(gold, _EXAMPLE_LENGTH))}")
    return "\n".join(lines)
