"""What is wrong with extracted answers: one kind for every answer.

Answers, gold answers and the context are compared as the SQuAD metrics compare them: after
normalisation, as sequences of tokens (`tarazu.evaluation.squad`). The kinds are tried in their
order, and the first that fits is taken, over all gold answers of an item; so every answer has
exactly one kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tarazu.comparison.correctness import Indices
from tarazu.comparison.outcomes import Answers, Outcomes
from tarazu.comparison.spread import Spread
from tarazu.evaluation.squad import normalize_answer
from tarazu.text import Text

Kind = Literal[
    "exact", "over-long", "too-short", "overlapping", "wrong-place", "not-in-text", "elsewhere",
    "empty", "unparsable",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

KIND_NAMES: Mapping[Kind, Text] = {
    "exact": Text("exact", "دقیق"),
    "over-long": Text("over-long", "بلندتر از پاسخ"),
    "too-short": Text("too short", "ناقص"),
    "overlapping": Text("overlapping", "هم‌پوشان"),
    "wrong-place": Text("wrong place in the text", "جای نادرست متن"),
    "not-in-text": Text("not in the text", "بیرون از متن"),
    "elsewhere": Text("nothing in common", "بی‌اشتراک"),
    "empty": Text("empty", "تهی"),
    "unparsable": Text("unparsable", "ناخوانا"),
}
KIND_MEANINGS: Mapping[Kind, Text] = {
    "exact": Text("matches a gold answer", "با یکی از پاسخ‌های درست یکی است"),
    "over-long": Text("contains a gold answer and more", "یک پاسخ درست و چیزی بیش از آن"),
    "too-short": Text("a part of a gold answer", "بخشی از یک پاسخ درست"),
    "overlapping": Text(
        "shares words with a gold answer, but neither contains the other",
        "با یک پاسخ درست واژهٔ مشترک دارد، ولی هیچ‌یک دیگری را در بر ندارد",
    ),
    "wrong-place": Text(
        "stands in the context and shares no word with a gold answer",
        "در متن هست و با هیچ پاسخ درستی واژهٔ مشترک ندارد",
    ),
    "not-in-text": Text(
        "shares no word with a gold answer and does not stand in the context",
        "با هیچ پاسخ درستی واژهٔ مشترک ندارد و در متن هم نیست",
    ),
    "elsewhere": Text("shares no word with a gold answer", "با هیچ پاسخ درستی واژهٔ مشترک ندارد"),
    "empty": Text(
        "nothing was answered, or nothing but articles and punctuation",
        "پاسخی نیست، یا تنها حرف تعریف و نشانه است",
    ),
    "unparsable": Text(
        "a text that could not be read as an answer", "نوشته‌ای که به‌عنوان پاسخ خوانده نشد"
    ),
}

NO_CONTEXT = Text(
    "This study does not keep the context: an answer from the wrong place of the text cannot be "
    "told from one that is not in the text.",
    "این مطالعه متن را نگه نداشته است: پاسخِ جای نادرست متن را نمی‌توان از پاسخِ بیرون از متن "
    "بازشناخت.",
)


@dataclass(frozen=True)
class SpanErrors:
    """What is wrong with one entry's answers.

    Attributes:
        entry: Id of the entry.
        kinds: Kind of every answer, as a place in `KINDS`, seeds × items.
    """

    entry: str
    kinds: NDArray[np.int8]

    def counts(self, kind: Kind) -> Indices:
        """Return the number of answers of a kind, by seed."""
        found: Indices = (self.kinds == KINDS.index(kind)).sum(axis=1)
        return found

    def spread(self, kind: Kind) -> Spread:
        """Return the share of answers of a kind over seeds."""
        return Spread.of([float(count) / self.kinds.shape[1] for count in self.counts(kind)])

    def examples(self, kind: Kind, limit: int = 3) -> list[tuple[int, int]]:
        """Return items that show a kind, as pairs of the item's and the seed's place.

        Items where most seeds answer so come first, then those that stand first.

        Args:
            kind: The kind.
            limit: The most examples.
        """
        shown = self.kinds == KINDS.index(kind)
        seeds = shown.sum(axis=0)
        order = np.argsort(-seeds, kind="stable")[:limit]
        return [(int(item), int(shown[:, item].argmax())) for item in order if seeds[item]]


def span_errors(outcomes: Outcomes, language: str = "en") -> list[SpanErrors]:
    """Say of every answer of every entry what is wrong with it.

    Args:
        outcomes: A split of a task whose answers are spans. The context is the text ``context``;
            where a redacted study has left it out, the kind ``elsewhere`` stands for
            ``wrong-place`` and ``not-in-text``.
        language: ISO code of the data's language.
    """
    contexts = outcomes.texts.get("context")
    items = [
        _Item(golds, contexts[number] if contexts else None, language)
        for number, golds in enumerate(outcomes.gold)
    ]
    return [SpanErrors(answers.id, _kinds(answers, items)) for answers in outcomes.entries]


def _kinds(answers: Answers, items: Sequence[_Item]) -> NDArray[np.int8]:
    found = np.empty(answers.predicted.shape, dtype=np.int8)
    for row, (said, raw) in enumerate(
        zip(answers.predicted.tolist(), answers.raw.tolist(), strict=True)
    ):
        found[row] = [
            item.place(answer, text) for item, answer, text in zip(items, said, raw, strict=True)
        ]
    return found


def span_kind(
    answer: str | None,
    raw: str | None,
    golds: Sequence[str],
    context: str | None,
    language: str = "en",
) -> Kind:
    """Return what is wrong with an answer.

    Args:
        answer: The answer; None where the text could not be read as one.
        raw: The text as generated.
        golds: All accepted answers.
        context: The text that the answer is taken from; None where it is not kept.
        language: ISO code of the data's language.
    """
    return KINDS[_Item(golds, context, language).place(answer, raw)]


class _Item:
    """One item, normalised when it is first needed; answers of many entries are often the same."""

    def __init__(self, golds: Sequence[str], context: str | None, language: str) -> None:
        self._golds = golds
        self._context = context
        self._language = language
        self._known: dict[str, int] = {}
        self._padded: list[str] | None = None
        self._text: str | None = None

    def place(self, answer: str | None, raw: str | None) -> int:
        """Return the kind of an answer as a place in `KINDS`."""
        if answer is None:
            blank = raw is not None and not raw.strip()
            return _EMPTY if blank else _UNPARSABLE
        known = self._known.get(answer)
        if known is None:
            known = self._known[answer] = KINDS.index(self._kind(answer))
        return known

    def _kind(self, answer: str) -> Kind:
        said = self._pad(answer)
        if self._padded is None:
            self._padded = [self._pad(gold) for gold in self._golds]
        if said in self._padded:
            return "exact"
        tokens = said.split()
        if not tokens:
            return "empty"
        # A gold answer of which nothing is left stands in everything and says nothing.
        golds = [gold for gold in self._padded if gold.split()]
        if any(gold in said for gold in golds):
            return "over-long"
        if any(said in gold for gold in golds):
            return "too-short"
        if any(not set(tokens).isdisjoint(gold.split()) for gold in golds):
            return "overlapping"
        if self._context is None:
            return "elsewhere"
        if self._text is None:
            self._text = self._pad(self._context)
        return "wrong-place" if said in self._text else "not-in-text"

    def _pad(self, text: str) -> str:
        """Return normalised tokens between spaces: substrings are then runs of whole tokens."""
        return f" {normalize_answer(text, self._language)} "


_EMPTY = KINDS.index("empty")
_UNPARSABLE = KINDS.index("unparsable")
