"""What must hold of the runs of `smoke.py`: every check is a function of records and answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tarazu.catalog import find_method
from tarazu.record.record import RunRecord

Verdict = Literal["ok", "failed", "not reached", "does not fit"]
Answer = Mapping[str, Any]
"""A row of ``predictions.parquet``."""

# What a random model may rightly be told of: it may give one answer to everything.
EXPECTED_EVENTS = frozenset({"collapsed"})


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    Attributes:
        name: What was checked, such as ``answers``.
        of: Of what: side, study and entry.
        verdict: How it came out.
        detail: Why it did not hold, or what was seen.
        figures: Measured numbers.
    """

    name: str
    of: str
    verdict: Verdict
    detail: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class Bounds:
    """How far two sides may be apart.

    Attributes:
        scores: Largest difference of a label's log-probability or of a span's logits.
        same: Smallest share of equal answers, chosen by scores.
        texts: Smallest share of equal texts, generated word by word: after one word that is
            another, all that follow are.
        loss: Largest relative difference of an epoch's losses.
    """

    scores: float
    same: float
    texts: float
    loss: float


# No model, no device: the same code on the same processor.
EXACT = Bounds(scores=1e-6, same=1.0, texts=1.0, loss=0.0)
# In fp32 (TF32 is off in torch for matrix products unless it is asked for) devices add the same
# numbers in another order: some 1e-6 of logits of about 10 through up to 24 layers. A score may be
# apart by a hundred times that, and an answer may only turn where two were as good as equal: one
# in twenty.
PROMPTED = Bounds(scores=1e-3, same=0.95, texts=0.95, loss=0.0)
# Adam divides by the size of a gradient, rounding error included, so that small differences grow
# within the few updates, and what scores differ by is what weights do.
TRAINED = Bounds(scores=2e-2, same=0.9, texts=0.8, loss=2e-3)
# Rounding to 4 bits may turn at a threshold, a whole step of a weight at once.
FOUR_BIT = Bounds(scores=1e-1, same=0.85, texts=0.7, loss=1e-2)
# bf16 has 8 bits of mantissa. On a CPU it was 0.14 apart in scores and 63 % the same in texts
# (random weights nearly always have a second word that is nearly as good). Dropout is drawn
# otherwise: up to 0.18 in losses. This finds what is wrong, not what is a little off.
OWN_PROMPTED = Bounds(scores=0.5, same=0.8, texts=0.3, loss=0.0)
OWN_TRAINED = Bounds(scores=math.inf, same=0.0, texts=0.0, loss=0.4)


def bounds_for(record: RunRecord, *, own_precision: bool) -> Bounds:
    """Return how far a run may be from the reference.

    Args:
        record: The run.
        own_precision: Whether it had the precision that the device chooses, and dropout.
    """
    method = find_method(record.method)
    if record.model is None:
        return EXACT
    if own_precision:
        return OWN_TRAINED if method.trains else OWN_PROMPTED
    if not method.trains:
        return PROMPTED
    return FOUR_BIT if method.four_bit else TRAINED


def check(name: str, of: str, problems: Sequence[str], seen: str = "", **figures: Any) -> Check:
    """Return a check that holds unless there are problems.

    Args:
        name: What was checked.
        of: Of what.
        problems: Why it does not hold.
        seen: What is told when it does.
        figures: Measured numbers.
    """
    verdict: Verdict = "failed" if problems else "ok"
    return Check(name, of, verdict, "; ".join(problems) or seen, figures)


def check_entries(of: str, entries: Iterable[str], records: Iterable[RunRecord]) -> Check:
    """Check that every entry of the study has one record, done, and that there are no others."""
    wanted, found = list(entries), [record.entry for record in records]
    problems = [
        f"{entry}: {found.count(entry)} records" for entry in wanted if found.count(entry) != 1
    ]
    problems += [f"{entry}: not in the study" for entry in found if entry not in wanted]
    return check("entries", of, problems, f"{len(found)} of {len(wanted)}", entries=len(found))


def check_done(of: str, record: RunRecord) -> Check:
    """Check that a run is done."""
    problems = [] if record.status == "done" else [f"{record.status}: {record.error}"]
    return check("done", of, problems)


def check_device(of: str, record: RunRecord, device: str, dtype: str) -> Check:
    """Check that a run says that it was on a device, and that memory there shows it.

    Args:
        of: Of what.
        record: The run.
        device: ``cpu`` or ``cuda``.
        dtype: Precision that was asked for; ``auto`` for any.
    """
    there = record.environment
    problems = []
    if there.device != device:
        problems.append(f"device {there.device} instead of {device}")
    if dtype not in ("auto", there.dtype):
        problems.append(f"precision {there.dtype} instead of {dtype}")
    uses = record.model is not None and record.status == "done"
    on_card = any(phase.allocated for phase in record.measured.values())
    if uses and on_card != (device == "cuda"):
        problems.append("no phase" if device == "cuda" else "a phase")
        problems[-1] += " has memory on a card"
    return check("device", of, problems, f"{there.device}, {there.dtype}")


def check_memory(of: str, record: RunRecord, device: str) -> Check:
    """Check that every phase has its memory: resident, and of a card allocated and reserved."""
    problems = [] if record.measured else ["no phases"]
    figures = {}
    for name, phase in record.measured.items():
        if phase.rss <= 0:
            problems.append(f"{name}: no resident memory")
        if device == "cuda" and record.model is not None:
            if phase.allocated <= 0:
                problems.append(f"{name}: no allocated memory")
            if phase.reserved < max(phase.allocated, 1):
                problems.append(f"{name}: less reserved than allocated memory")
        figures[name] = {
            "resident": phase.rss,
            "allocated": phase.allocated,
            "reserved": phase.reserved,
            "seconds": round(phase.seconds, 3),
        }
    return check("memory", of, problems, phases=figures)


def check_events(of: str, record: RunRecord, reference: RunRecord) -> Check:
    """Check that nothing happened but what happens to the reference, too."""
    known = {event.kind for event in reference.events} - {"memory"} | EXPECTED_EVENTS
    problems = [f"{one.kind}: {one.message}" for one in record.events if one.kind not in known]
    return check("events", of, problems, ", ".join(one.kind for one in record.events))


def check_answers(
    of: str, answers: Iterable[Answer], reference: Iterable[Answer], bounds: Bounds
) -> Check:
    """Check that two sides give nearly the same answers to the same items.

    Args:
        of: Of what.
        answers: Of one side, all splits and variants.
        reference: Of the other side.
        bounds: How far apart they may be.
    """
    ours, theirs = _by_place(answers), _by_place(reference)
    problems = []
    if ours.keys() != theirs.keys():
        problems.append(f"{len(ours.keys() ^ theirs.keys())} answers stand on one side only")
    common = [(ours[place], theirs[place]) for place in ours if place in theirs]
    if not common:
        return check("answers", of, [*problems, "nothing to compare"])
    same = _share_of_equal(common)
    kinds = {
        "answers": (bounds.same, [pair for pair in common if len(pair[1]["scores"])]),
        "texts": (bounds.texts, [pair for pair in common if not len(pair[1]["scores"])]),
    }
    for name, (least, pairs) in kinds.items():
        if pairs and (share := _share_of_equal(pairs)) < least:
            problems.append(f"{share:.1%} of {name} are equal, not {least:.0%}")
    apart = max(_apart(a["scores"], b["scores"]) for a, b in common)
    if not apart <= bounds.scores:  # NaN is never within
        problems.append(f"scores are {apart:.3g} apart, more than {bounds.scores:g}")
    if any(a["prompt_tokens"] != b["prompt_tokens"] for a, b in common):
        problems.append("prompts have other lengths")
    figures = {"items": len(common), "same": round(same, 4), "scores_apart": apart}
    return check("answers", of, problems, f"{same:.0%} equal, {apart:.1e} apart", **figures)


def _share_of_equal(pairs: Sequence[tuple[Answer, Answer]]) -> float:
    return sum(_said(a) == _said(b) for a, b in pairs) / len(pairs)


def _said(row: Answer) -> tuple[Any, Any]:
    """Return an answer and the text it was read from: much of a random model's has no answer."""
    return row["predicted"], row["raw"]


def _by_place(answers: Iterable[Answer]) -> dict[tuple[str, str, str], Answer]:
    return {(row["split"], row["variant"], row["item_id"]): row for row in answers}


def _apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the largest difference; infinite where one side has a number that is none."""
    if len(ours) != len(theirs):
        return math.inf
    pairs = list(zip(ours, theirs, strict=True))
    if not all(math.isfinite(a) and math.isfinite(b) for a, b in pairs):
        return math.inf
    return max((abs(a - b) for a, b in pairs), default=0.0)


def check_losses(of: str, record: RunRecord, reference: RunRecord, bounds: Bounds) -> Check:
    """Check that two sides have nearly the same losses in every epoch, and that training moves.

    A training whose losses do not move by more than they may differ shows nothing.

    Args:
        of: Of what.
        record: The run.
        reference: The same run on the other side.
        bounds: How far apart they may be.
    """
    ours, theirs = _losses(record), _losses(reference)
    problems = []
    if len(ours) != len(theirs) or not theirs:
        return check("losses", of, [f"{len(ours)} losses instead of {len(theirs)}"])
    apart = max(_relative(a, b) for a, b in zip(ours, theirs, strict=True))
    if not apart <= bounds.loss:
        problems.append(f"losses are {apart:.2g} apart (relative), more than {bounds.loss:g}")
    train = [epoch.train_loss for epoch in reference.epochs]
    moved = _relative(train[-1], train[0])
    if bounds is not OWN_TRAINED and not moved > bounds.loss:
        problems.append(f"training moves the loss by {moved:.2g} only: that compares nothing")
    figures = {"losses": ours, "reference": theirs, "apart": apart, "moved": moved}
    return check("losses", of, problems, f"{apart:.1e} apart, moved by {moved:.1e}", **figures)


def _losses(record: RunRecord) -> list[float]:
    losses = []
    for epoch in record.epochs:
        losses.append(epoch.train_loss)
        losses += [] if epoch.validation_loss is None else [epoch.validation_loss]
    return losses


def _relative(one: float, other: float) -> float:
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(other), 1e-12)


def check_resumed(of: str, record: RunRecord) -> Check:
    """Check that a run went on from a checkpoint of a process that was killed."""
    train = record.measured.get("train")
    problems = [] if record.status == "done" else [f"{record.status}: {record.error}"]
    if train is None or not train.before > 0:
        problems.append("its training began anew")
    seconds = train.before if train is not None else 0.0
    return check("resumed", of, problems, f"{seconds:.2f} s of training were there", before=seconds)
