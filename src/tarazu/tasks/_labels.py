"""What tasks whose answer is one of several labels share: reading an answer and scoring it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from tarazu.data.item import Item
from tarazu.evaluation.metrics import macro_f1
from tarazu.tasks._words import without_lead_in, word_set, words
from tarazu.text import Text

ACCURACY = {"accuracy": Text("Accuracy", "دقت")}

_NEGATORS = word_set("not isnt arent wasnt cannot no never neither nor non without غیر نه")
_DENIED_AFTER = word_set("نیست نبود")
_JOINERS = word_set("or and vs یا و")


class _Mention(NamedTuple):
    label: str
    start: int
    end: int


def accuracy(answer: str | None, item: Item) -> dict[str, float]:
    """Return 1 for the right label; an answer that could not be read is wrong."""
    return {"accuracy": float(answer == item.gold[0])}


def macro_f1_over(
    labels: tuple[str, ...],
) -> Callable[[Sequence[str | None], Sequence[Item]], dict[str, float]]:
    """Return the `aggregate` of a task with these labels."""

    def aggregate(answers: Sequence[str | None], items: Sequence[Item]) -> dict[str, float]:
        return {"macro_f1": macro_f1([item.gold[0] for item in items], answers, labels)}

    return aggregate


def label_reader(
    labels: Sequence[str], label_words: Mapping[str, str]
) -> Callable[[str, Item], str | None]:
    """Return the `parse` of a task: the label that a generated text says, or None.

    A label is said when its word stands at the start of the answer, or is the only label word in
    it. Case, punctuation, quotes and half-spaces do not matter. A text that names several labels
    side by side, denies its label or names none says no label: it is never mapped to one.

    Args:
        labels: The labels.
        label_words: The word of a label, where it is another than the label.
    """
    # The longest first: "not entailment" is found before the "entailment" in it.
    patterns = sorted(
        ((tuple(words(label_words.get(label, label))), label) for label in labels),
        key=lambda pattern: -len(pattern[0]),
    )

    def read(text: str, item: Item) -> str | None:
        answer = without_lead_in(text)
        at_start = _label_at_start(answer, patterns)
        if at_start is not None:
            return at_start
        tokens = words(answer)
        mentions = _mentions(tokens, patterns)
        if len({mention.label for mention in mentions}) != 1:
            return None
        denied = any(_is_denied(tokens, mention) for mention in mentions)
        return None if denied else mentions[0].label

    return read


Patterns = Sequence[tuple[tuple[str, ...], str]]


def _label_at_start(answer: str, patterns: Patterns) -> str | None:
    """Return the label that the first line begins with, unless it goes on listing labels."""
    line = next((line for line in answer.splitlines() if words(line)), "")
    tokens = words(line)
    mentions = _mentions(tokens, patterns)
    if not mentions or mentions[0].start > 0 or _is_denied(tokens, mentions[0]):
        return None
    for one, other in pairwise(mentions):
        gap = tokens[one.end : other.start]
        if len(gap) > 1 or not _JOINERS.issuperset(gap):
            break
        if other.label != mentions[0].label:
            return None
    return mentions[0].label


def _mentions(tokens: Sequence[str], patterns: Patterns) -> list[_Mention]:
    """Return the label words in a text, in order and not overlapping."""
    found, start = [], 0
    while start < len(tokens):
        end = start + 1
        for pattern, label in patterns:
            if pattern and tuple(tokens[start : start + len(pattern)]) == pattern:
                end = start + len(pattern)
                found.append(_Mention(label, start, end))
                break
        start = end
    return found


def _is_denied(tokens: Sequence[str], mention: _Mention) -> bool:
    """Tell whether a label word is negated: "not a contradiction"."""
    before = tokens[max(0, mention.start - 2) : mention.start]
    after = tokens[mention.end : mention.end + 1]
    return not (_NEGATORS.isdisjoint(before) and _DENIED_AFTER.isdisjoint(after))
