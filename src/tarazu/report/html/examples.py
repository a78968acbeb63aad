"""Failures for paper: of all items that the page's browser holds, the few that tell most."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarazu.report.html.parts import Cell, Row, Table, headings
from tarazu.report.html.writer import Writer
from tarazu.report.plain import shorten

MOST = 12
"""Items of each split."""
_TEXT, _ANSWER = 700, 160
# As in the browser's data.
_UNPARSABLE = -1


@dataclass(frozen=True)
class Example:
    """An item that not all entries answer right.

    Attributes:
        item: Its id.
        facts: Pairs of a label and a value in the language of the page: right answers, slices.
        texts: Pairs of a field and its text; none where the data's text is left out.
        answers: What was answered, and by whom.
    """

    item: str
    facts: tuple[tuple[str, str], ...]
    texts: tuple[tuple[str, str], ...]
    answers: Table


@dataclass(frozen=True)
class Examples:
    """The examples of one split.

    Attributes:
        split: The split.
        about: By which rule they were chosen, and of how many.
        items: The examples.
    """

    split: str
    about: str
    items: tuple[Example, ...]


def examples(data: Mapping[str, Any], write: Writer) -> list[Examples]:
    """Choose the items that divide the entries most, the earlier ones first.

    Args:
        data: What `tarazu.report.html.browser.browser_data` returns; it is redacted where the page
            is.
        write: Writes in the language of the page.
    """
    found = [_Split(split, data["texts"], write).examples() for split in data["splits"]]
    return [one for one in found if one.items]


class _Split:
    """One split of the browser's data."""

    def __init__(self, split: Mapping[str, Any], texts: Sequence[str], write: Writer) -> None:
        self._split, self._texts, self._write = split, texts, write
        self._entries: Sequence[Mapping[str, Any]] = split["entries"]

    def examples(self) -> Examples:
        split, write = self._split, self._write
        places = range(len(split["ids"]))
        wrong = {place: self._wrong(place) for place in places}
        failed = [place for place in places if wrong[place]]
        half = len(self._entries) / 2
        chosen = sorted(failed, key=lambda place: abs(wrong[place] - half))[:MOST]
        about = write.say(
            "examples_about",
            shown=write.number(len(chosen)),
            failed=write.number(len(failed)),
            items=write.number(len(places)),
        )
        rule = write.say("right_rule", metric=split["metric"])
        return Examples(split["name"], f"{about} {rule}", tuple(map(self._example, chosen)))

    def _wrong(self, place: int) -> int:
        return sum(not _right(entry, place) for entry in self._entries)

    def _example(self, place: int) -> Example:
        split, write = self._split, self._write
        golds = [self._text(gold) for gold in split["gold"][place]]
        facts = [(write.say("gold"), write.listed(map(self._shown, golds)))] if golds else []
        facts += [
            (one["name"], self._text(one["values"][place]))
            for one in split["slices"]
            if one["values"][place] >= 0
        ]
        texts = [
            (one["name"], shorten(self._text(one["values"][place]), _TEXT))
            for one in split["fields"]
        ]
        return Example(split["ids"][place], tuple(facts), tuple(texts), self._answers(place))

    def _answers(self, place: int) -> Table:
        """Gather the entries that answer alike: the right ones first, then the most common."""
        write = self._write
        alike: dict[tuple[bool, str], list[str]] = defaultdict(list)
        for entry in self._entries:
            alike[_right(entry, place), self._answer(entry, place)].append(entry["name"])
        ordered = sorted(alike.items(), key=lambda found: (not found[0][0], -len(found[1])))
        rows = [
            Row(
                (
                    Cell(answer, kind="foreign", strong=right),
                    Cell(write.say("state_right" if right else "state_wrong")),
                    Cell(write.listed(map(write.name, names))),
                )
            )
            for (right, answer), names in ordered
        ]
        keys = ("answer", "pair_verdict", "examples_entries")
        return Table(headings(*map(write.say, keys)), tuple(rows), write.say("answers"))

    def _answer(self, entry: Mapping[str, Any], place: int) -> str:
        """Return what an entry answered, with how many seeds did where they differ."""
        write = self._write
        said = Counter(
            self._said(answers[place], entry["raw"][seed][place] if "raw" in entry else _UNPARSABLE)
            for seed, answers in enumerate(entry["answers"])
        )
        if len(said) == 1:
            return next(iter(said))
        return write.listed(f"{text} ({write.number(count)})" for text, count in said.most_common())

    def _said(self, answer: int, raw: int) -> str:
        if answer == _UNPARSABLE and raw >= 0:
            return f"{self._text(answer)}: {self._shown(self._text(raw))}"
        return self._shown(self._text(answer))

    def _shown(self, text: str) -> str:
        return shorten(text, _ANSWER)

    def _text(self, place: int) -> str:
        if place >= 0:
            return self._texts[place]
        return self._write.say("unparsable" if place == _UNPARSABLE else "left_out")


def _right(entry: Mapping[str, Any], place: int) -> bool:
    score = entry["scores"][place]
    return score is not None and score >= 50
