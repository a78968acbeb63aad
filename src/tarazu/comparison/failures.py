"""All that the answers of a split say about failures, across entries."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tarazu.comparison.calibration import Calibration, calibration
from tarazu.comparison.collapse import OneClass, one_class
from tarazu.comparison.confusion import Confusion, confusion
from tarazu.comparison.flips import Flips, flips
from tarazu.comparison.item_view import ItemView, item_view
from tarazu.comparison.outcomes import Outcomes
from tarazu.comparison.overlap import Overlap, overlaps
from tarazu.comparison.slices import SliceScore, slice_scores
from tarazu.comparison.span_errors import SpanErrors, span_errors


@dataclass(frozen=True)
class Failures:
    """Failures of all entries on one split.

    Attributes:
        outcomes: The answers that it was made from.
        items: Who is right and wrong, item by item; primary forms only, as in the next two.
        overlaps: Errors of every two entries.
        slices: Every entry in every slice.
        flips: Every other form of a model against the form as trained.
        confusions: Gold against answered classes, for every form; empty for spans.
        calibrations: Confidence against accuracy, for every form with scores; empty for spans.
        one_class: Runs held against always giving one class; empty for spans.
        spans: What is wrong with every answer, for every form; empty for classes.
    """

    outcomes: Outcomes
    items: ItemView
    overlaps: tuple[Overlap, ...]
    slices: tuple[SliceScore, ...]
    flips: tuple[Flips, ...]
    confusions: tuple[Confusion, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    one_class: tuple[OneClass, ...] = ()
    spans: tuple[SpanErrors, ...] = ()


def analyse(
    outcomes: Outcomes, *, language: str = "en", by_design: Collection[str] = ("majority",)
) -> Failures:
    """Analyse the failures of all entries on one split.

    Args:
        outcomes: Their answers.
        language: ISO code of the data's language; the comparison of spans depends on it.
        by_design: Entries that give one class to everything on purpose.
    """
    view = item_view(outcomes)
    labelled = bool(outcomes.labels)
    # Records of an early version do not state their labels: what is not matched is no span.
    spans = not labelled and any("exact_match" in one.metrics for one in outcomes.entries)
    calibrations = (
        [calibration(answers, outcomes) for answers in outcomes.entries] if labelled else []
    )
    return Failures(
        outcomes=outcomes,
        items=view,
        overlaps=tuple(overlaps(view)),
        slices=tuple(slice_scores(outcomes)),
        flips=tuple(flips(outcomes)),
        confusions=tuple(confusion(one, outcomes) for one in outcomes.entries) if labelled else (),
        calibrations=tuple(one for one in calibrations if one is not None),
        one_class=tuple(one_class(outcomes, by_design)) if labelled else (),
        spans=tuple(span_errors(outcomes, language)) if spans else (),
    )
