"""What must be said beside a number: notes per entry, and the foot of the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tarazu.comparison.entries import EntryResult, current, entries, every_size, train_rows
from tarazu.comparison.exposure import Exposure
from tarazu.report.plain import one_line, shorten

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord

_REASON_LENGTH = 160
# Events that change how a result is to be read; the others stand in the Markdown report.
_TELLING = {
    "collapsed": "collapsed to one class",
    "diverged": "diverged",
    "tuning": "no trial came to its end: default settings",
}


def notes(entry: EntryResult) -> list[str]:
    """Return what must be known to read an entry's numbers.

    Args:
        entry: The entry.
    """
    found = _of_the_run(entry) if entry.primary else []
    if any(entry.unparsable):
        found.append(f"unparsable {_per_seed(entry.unparsable)} of {entry.n:,}")
    if any(entry.cut):
        found.append(f"cut {_per_seed(entry.cut)} of {entry.n:,}")
    if entry.flips:
        against = one_line(entry.flips_against or "main")
        counts = _per_seed(entry.flips)
        found.append(f"{counts} of {entry.n:,} answers differ from {against}")
    return found + failures(entry) if entry.primary else found


def _of_the_run(entry: EntryResult) -> list[str]:
    """Return what holds for all forms of a trained model: it is said once, beside the entry."""
    kinds = dict.fromkeys(kind for kind, _ in entry.events)
    telling = [_TELLING[kind] for kind in kinds if kind in _TELLING]
    return ["contaminated *", *telling] if entry.contamination else telling


def failures(entry: EntryResult) -> list[str]:
    """Return the reasons why runs of an entry failed, each with its seeds."""
    seeds: dict[str, list[int]] = defaultdict(list)
    for failure in entry.failures:
        seeds[failure.reason].append(failure.seed)
    return [
        f"failed (seed {_listed(which)}): {shorten(reason, _REASON_LENGTH)}"
        for reason, which in seeds.items()
    ]


def footnotes(records: Sequence[RunRecord]) -> list[str]:
    """Return the foot of the table: protocol, doubts, origins and licences.

    Args:
        records: All records of a study.
    """
    shown = entries(records)
    used = current(records)
    return [
        *_protocol(shown),
        *_sizes(used),
        *_older(records),
        *_unequal_items(used),
        *_contamination(used),
        *_attribution(used),
    ]


def caption(rows: Iterable[EntryResult]) -> str:
    """Return what a table of one split was measured on.

    Args:
        rows: The entries of the table.
    """
    done = [row for row in rows if row.seeds]
    if not done:
        return "No run is done."
    sizes = sorted({row.n for row in done})
    seeds = sorted({seed for row in done for seed in row.seeds})
    several = len(seeds) > 1
    over = "mean ± standard deviation over seeds" if several else "one seed: no spread is known"
    items = " or ".join(f"{size:,}" for size in sizes)
    return f"{items} items of '{one_line(done[0].split)}' · seed {_listed(seeds)} ({over})"


def _protocol(rows: list[EntryResult]) -> list[str]:
    found = ["Bold: the highest mean, which does not say that the difference is significant."]
    done = [row for row in rows if row.seeds]
    nothing = dict.fromkeys(one_line(row.entry) for row in done if row.nothing_to_tune)
    untuned = [row.entry for row in done if not row.tuned and not row.nothing_to_tune]
    if any(row.tuned for row in done):
        counts = sorted({row.trials for row in done if row.tuned})
        fewer = " (fewer where there were fewer settings to try)" if len(counts) > 1 else ""
        found.append(f"Tuned on validation: {counts[-1]:,} trials of every entry{fewer}.")
    if nothing:
        found.append(f"Nothing to tune: {', '.join(nothing)}.")
    if untuned and len(untuned) == len(done):
        found.append("Untuned: no hyperparameter was searched.")
    elif untuned:
        found.append(f"Untuned: {', '.join(map(one_line, dict.fromkeys(untuned)))}.")
    if any(row.cut and any(row.cut) for row in rows):
        found.append("cut: items whose context was shortened to fit the model.")
    if any(any(row.unparsable) for row in rows):
        found.append("unparsable: answers that could not be read; they count as wrong.")
    return found


def data_notes(notes: Iterable[str]) -> list[str]:
    """Return what is known of the data as lines below a table, each once.

    Args:
        notes: As they were written when the data were split.
    """
    return [f"Data: {one_line(note).rstrip('.')}." for note in dict.fromkeys(notes)]


def exposure_notes(exposures: Iterable[Exposure]) -> list[str]:
    """Say how often test sets had been scored before the runs of a study.

    Args:
        exposures: From `tarazu.comparison.exposure.exposures`.
    """
    found = []
    for one in exposures:
        who = [f"{one.studies} other {'study' if one.studies == 1 else 'studies'}"]
        who = who if one.studies else []
        who += ["other runs of this study"] if one.own else []
        times = "once" if one.times == 1 else f"{one.times:,} times"
        found.append(
            f"Test set '{one_line(one.split)}' was scored {times} before, by {' and '.join(who)}: "
            "choices made after looking at it make its figures optimistic."
        )
    return found


def _sizes(used: list[RunRecord]) -> list[str]:
    several = [record for record in used if record.spec.train_sizes]
    if not several:
        return []
    sizes = sorted({rows for record in several for rows in record.spec.train_sizes})
    largest = _listed(sorted({train_rows(record) for record in several}))
    return [f"Trained on {largest} rows, the largest of the sizes {_listed(sizes)}."]


def _older(records: Sequence[RunRecord]) -> list[str]:
    left_out = sum(record.stage == "final" for record in records) - len(every_size(records))
    if not left_out:
        return []
    return [f"Left out: {left_out} runs with older settings of the same entries."]


def _unequal_items(used: list[RunRecord]) -> list[str]:
    hashes: dict[str, set[str]] = defaultdict(set)
    for record in used:
        for split in {result.split for result in record.variants}:
            if split in record.inputs:
                hashes[split].add(record.inputs[split].sha256)
    return [
        f"Not comparable: the entries were scored on different items of '{one_line(split)}'."
        for split, found in hashes.items()
        if len(found) > 1
    ]


def _contamination(used: list[RunRecord]) -> list[str]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for record in used:
        for why in record.attribution.contamination:
            reasons[why].append(record.model or record.entry)
    return [
        f"* {', '.join(map(one_line, dict.fromkeys(who)))}: {one_line(why)}"
        for why, who in reasons.items()
    ]


def _attribution(used: list[RunRecord]) -> list[str]:
    found: dict[str, None] = {}
    for record in used:
        known = record.attribution
        model = one_line(record.model or record.entry)
        if known.weights_origin:
            found[f"Weights of {model}: {one_line(known.weights_origin)}."] = None
        if known.model_licence:
            source = f" ({one_line(known.model_source)})" if known.model_source else ""
            found[f"Licence of {model}: {one_line(known.model_licence)}{source}."] = None
        if known.model_notice:
            found[f"{model}: {one_line(known.model_notice)}."] = None
        if known.data_licence or known.data_source:
            licence = f"licence: {known.data_licence}" if known.data_licence else ""
            parts = [one_line(text) for text in (known.data_source, licence) if text]
            found[f"Data: {' · '.join(parts)}."] = None
    return [f"{line.rstrip('.')}." for line in found]


def _per_seed(counts: Sequence[int]) -> str:
    return _listed(counts) if len(set(counts)) > 1 else f"{counts[0]:,}"


def _listed(values: Iterable[int]) -> str:
    return ", ".join(f"{value:,}" for value in values)
