"""The tuning of a study as Markdown: budget, trials, what each knob did, what more would bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tarazu.comparison.sensitivity import EntryTuning, KnobEffect, TrialResult, tunings
from tarazu.comparison.spread import Spread
from tarazu.report.numbers import NOTHING, duration, loss, percent
from tarazu.report.plain import markdown_inline, markdown_table, shorten
from tarazu.text import Language

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord

_REASON_LENGTH = 120


def tuning_parts(records: Sequence[RunRecord], language: Language = "en") -> list[str]:
    """Return the parts of the section; nothing when the study does not tune.

    Args:
        records: All records of the study.
        language: Of what methods say of themselves.
    """
    found = tunings(records)
    if not found:
        return []
    parts = [_overview(found)]
    for entry in found:
        parts += [f"### Trials of {_name(entry)}", *_entry(entry, language)]
    return parts


def _name(entry: EntryTuning) -> str:
    known = entry.model is None or entry.entry.endswith(f"@{entry.model}")
    return markdown_inline(entry.entry if known else f"{entry.entry} ({entry.model})")


def _overview(found: Sequence[EntryTuning]) -> str:
    budget, seed = found[0].budget, found[0].seed
    return (
        f"Every entry had {budget:,} trials; trial 0 is its default settings. Trials were trained "
        f"with seed {seed} and compared on the validation items alone."
    )


def _entry(entry: EntryTuning, language: Language) -> list[str]:
    if entry.nothing:
        return [f"Nothing to tune. {markdown_inline(entry.nothing.get(language, ''))}"]
    parts = []
    if entry.fixed:
        parts.append(f"Not searched, because the study fixes it: {_listed(entry.fixed)}.")
    parts += [_trials(entry), _knobs(entry), _expected(entry)]
    return parts


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(markdown_inline, names))


def _trials(entry: EntryTuning) -> str:
    names = list(dict.fromkeys(name for trial in entry.trials for name in trial.values))
    body = [_row(trial, names, entry) for trial in entry.trials]
    metric = markdown_inline(entry.metric)
    headings = ["trial", *map(markdown_inline, names), "trained", f"validation {metric} %"]
    headings += ["validation loss", "time"]
    return markdown_table(headings, body, numeric=set(range(len(headings))))


def _row(trial: TrialResult, names: Sequence[str], entry: EntryTuning) -> list[str]:
    number = f"{trial.number} (used)" if trial.number == entry.winner else f"{trial.number}"
    score = percent(Spread(trial.score, None)) if trial.score is not None else NOTHING
    if trial.failure is not None:
        score = f"failed: {markdown_inline(shorten(trial.failure, _REASON_LENGTH))}"
    values = [markdown_inline(trial_value(trial.values.get(name))) for name in names]
    return [number, *values, f"{trial.share:.0%}", score, loss(trial.loss), duration(trial.seconds)]


def trial_value(value: Any) -> str:
    """Return the value of a setting that was searched, with three digits at most."""
    return "none" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _knobs(entry: EntryTuning) -> str:
    body = [_effect(knob) for knob in entry.knobs]
    headings = ["knob", "trials", "rank correlation", "p", "spread of means", "mean score by value"]
    where = "whole" if entry.compared_at == 1 else f"first {entry.compared_at:.0%} of the"
    note = (
        f"Scores after the {where} training, which all trials reached. The knobs changed together "
        "and the trials are few: a hint where to look, not a test."
    )
    return f"{markdown_table(headings, body, numeric={1, 2, 3, 4})}\n\n{note}"


def _effect(knob: KnobEffect) -> list[str]:
    means = "; ".join(
        f"{part.label}: {percent(Spread(part.mean, None))} ({part.trials})"
        for part in knob.parts
        if part.mean is not None
    )
    return [
        markdown_inline(knob.name),
        f"{knob.trials}",
        NOTHING if knob.correlation is None else f"{knob.correlation:+.2f}",
        NOTHING if knob.p_value is None else f"{knob.p_value:.2f}",
        NOTHING if knob.spread is None else f"{100 * knob.spread:.1f}",
        markdown_inline(means) or NOTHING,
    ]


def _expected(entry: EntryTuning) -> str:
    shown = ", ".join(f"{n}: {100 * best:.1f}" for n, best in enumerate(entry.expected_best, 1))
    return (
        f"Expected best validation {markdown_inline(entry.metric)} (%) of n trials at this point "
        f"(Dodge et al. 2019): {shown}."
    )
