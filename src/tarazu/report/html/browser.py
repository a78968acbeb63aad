"""The failure browser: every item, and who answers it right. The page's script shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tarazu.comparison.entries import metric_order
from tarazu.report.html.method_part import rendered
from tarazu.report.html.slice_names import field_name, slice_name, slice_value
from tarazu.report.html.source import Source
from tarazu.report.html.words import BROWSER_WORDS
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.plain import plain

if TYPE_CHECKING:
    from tarazu.comparison.outcomes import Answers, Outcomes

_LEFT_OUT = -2
_UNPARSABLE = -1


@dataclass(frozen=True)
class Analysis:
    """What the analyses of one split say, as HTML.

    Attributes:
        split: The split.
        first: What a reader should see first.
        tables: All tables.
    """

    split: str
    first: str
    tables: str


@dataclass(frozen=True)
class FailuresPart:
    """The section.

    Attributes:
        analyses: What the analyses of each split say.
        data: What the browser shows, as JSON that can stand in a page; empty without answers.
    """

    analyses: tuple[Analysis, ...]
    data: str


def failures_part(source: Source, write: Writer) -> FailuresPart | None:
    """Build the section; None when there is nothing to show."""
    data = browser_data(source, write)
    analyses = tuple(
        _analysis(split, parts, source, write) for split, parts in source.analyses.items() if parts
    )
    if data is None and not analyses:
        return None
    return FailuresPart(analyses, as_script(data) if data is not None else "")


def _analysis(split: str, parts: Sequence[str], source: Source, write: Writer) -> Analysis:
    headings = [place for place, part in enumerate(parts) if part.startswith("#")]
    cut = headings[0] if headings else len(parts)
    persian = write.language == "fa"
    first, tables = (
        rendered(write.prose("\n\n".join(some)), own=persian) for some in (parts[:cut], parts[cut:])
    )
    return Analysis(split, first, tables)


def browser_data(source: Source, write: Writer) -> dict[str, Any] | None:
    """Return what the browser shows; None when there are no answers to show.

    Texts stand once in a table and are referred to by their number: answers repeat.

    Returns:
        ``words``, ``digits``, ``texts`` (the table), and ``splits``, each with ``items`` column by
        column and ``entries`` with scores (0 … 100, mean over seeds) and answers by seed.
    """
    if not source.outcomes:
        return None
    texts = _Texts()
    splits = [_split(outcomes, source.redacted, texts, write) for outcomes in source.outcomes]
    return {
        "words": {key: write.say(key) for key in BROWSER_WORDS},
        "persian": write.language == "fa",
        "splits": splits,
        "texts": texts.known,
    }


def as_script(data: dict[str, Any]) -> str:
    """Return data as JSON that no text in it can end: no ``<``, ``>``, ``&`` or line separator."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


class _Texts:
    """Texts by number, each kept once."""

    def __init__(self) -> None:
        self.known: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Return the number of a text."""
        text = plain(text)
        if text not in self._places:
            self._places[text] = len(self.known)
            self.known.append(text)
        return self._places[text]


def _split(outcomes: Outcomes, redacted: bool, texts: _Texts, write: Writer) -> dict[str, Any]:
    metric = _metric(outcomes)
    labelled = bool(outcomes.labels)
    # A span is a piece of the data set's text, a label is not.
    hide = redacted and not labelled
    return {
        "name": outcomes.split,
        "metric": write.text(metric_name(metric)),
        "graded": _graded(outcomes, metric),
        "redacted": redacted,
        "ids": [plain(identifier) for identifier in outcomes.item_ids],
        "gold": [
            [] if hide else [texts.place(gold) for gold in dict.fromkeys(golds)]
            for golds in outcomes.gold
        ],
        "slices": [_slice(name, values, texts, write) for name, values in outcomes.slices.items()],
        "fields": []
        if redacted
        else [
            {
                "name": plain(field_name(name, write)),
                "values": [texts.place(text or "") for text in values],
            }
            for name, values in outcomes.texts.items()
        ],
        "entries": [
            _entry(answers, outcomes, metric, redacted, texts) for answers in outcomes.entries
        ],
    }


def _metric(outcomes: Outcomes) -> str:
    """Return the primary metric; records from before it was written down have another one."""
    known = {name for answers in outcomes.entries for name in answers.metrics}
    return outcomes.primary_metric if outcomes.primary_metric in known else metric_order(known)[0]


def _graded(outcomes: Outcomes, metric: str) -> bool:
    """Return whether an answer can be partly right."""
    return not all(
        np.isin(answers.metrics[metric], (0.0, 1.0)).all() for answers in outcomes.entries
    )


def _slice(name: str, values: Sequence[str | None], texts: _Texts, write: Writer) -> dict[str, Any]:
    shown = {value: slice_value(value, write) for value in values if value is not None}
    return {
        "name": slice_name(name, write),
        "values": [_UNPARSABLE if value is None else texts.place(shown[value]) for value in values],
    }


def _entry(
    answers: Answers, outcomes: Outcomes, metric: str, redacted: bool, texts: _Texts
) -> dict[str, Any]:
    scores = 100 * np.nanmean(answers.metrics[metric], axis=0)
    entry: dict[str, Any] = {
        "name": plain(answers.id),
        "seeds": list(answers.seeds),
        "scores": [round(float(score)) if np.isfinite(score) else None for score in scores],
        "answers": [
            [_answer(answer, outcomes, redacted, texts) for answer in row]
            for row in answers.predicted
        ],
    }
    if not redacted:
        entry["raw"] = [
            [
                texts.place(raw) if raw and raw != answer else _UNPARSABLE
                for raw, answer in zip(raws, row, strict=True)
            ]
            for raws, row in zip(answers.raw, answers.predicted, strict=True)
        ]
    return entry


def _answer(answer: str | None, outcomes: Outcomes, redacted: bool, texts: _Texts) -> int:
    """Return the number of an answer; in a redacted page only labels are shown."""
    if answer is None:
        return _UNPARSABLE
    if redacted and answer not in outcomes.labels:
        return _LEFT_OUT
    return texts.place(answer)
