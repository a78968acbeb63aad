"""How settings were chosen: trials, what each setting did, what more trials would bring (Q9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tarazu.comparison.sensitivity import EntryTuning, KnobEffect, Part, TrialResult, tunings
from tarazu.comparison.spread import Spread
from tarazu.report.html.line_chart import Line, LinePoint, line_chart
from tarazu.report.html.parts import Cell, Figure, Heading, Passage, Row, Table, name, number
from tarazu.report.html.source import Source, entry_name
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.numbers import NOTHING
from tarazu.report.plain import shorten
from tarazu.report.tuning import trial_value

_REASON_LENGTH = 300
# What a further trial must bring to be worth a word: half a point.
_GAIN = 0.005


@dataclass(frozen=True)
class TuningPart:
    """The section.

    Attributes:
        facts: Pairs of a label and a value: the budget and how it was spent.
        overview: What each entry uses; None where nothing was tuned.
        expected: Expected best score against the number of trials, one chart for entries whose
            trials are compared at the same share of their training, each with its reading.
        lines: Sentences.
        entries: The trials of each entry, and what each setting did.
    """

    facts: tuple[tuple[str, str], ...]
    overview: Table | None
    expected: tuple[tuple[Figure, str], ...]
    lines: tuple[str, ...]
    entries: tuple[Passage, ...]


def tuning_part(source: Source, write: Writer) -> TuningPart:
    """Build the section; an untuned study says so."""
    found = tunings(source.records)
    if not found:
        asked = bool(source.study.get("tuning"))
        said = write.say("tuning_unfinished" if asked else "tuning_none")
        return TuningPart((), None, (), (said,), ())
    tried = [entry for entry in found if entry.trials]
    failed = any(trial.failure is not None for entry in tried for trial in entry.trials)
    return TuningPart(
        _facts(source.study.get("tuning") or {}, found[0], write),
        _overview(source, found, write),
        tuple(
            (_expected(alike, place, write), _reading(alike, write))
            for place, alike in enumerate(_by_share(tried))
        ),
        (write.say("tuning_failed_zero"),) if failed else (),
        tuple(_passage(entry, write) for entry in tried),
    )


def _facts(asked: dict[str, Any], first: EntryTuning, write: Writer) -> tuple[tuple[str, str], ...]:
    budget = write.number(first.budget)
    if asked.get("seconds"):
        time = write.duration(float(asked["seconds"]))
        budget = write.say("tuning_from_seconds", trials=budget, time=time)
    facts = [(write.say("tuning_budget"), budget)]
    if asked.get("sampler") == "qmc":
        facts.append((write.say("tuning_sampler"), write.say("tuning_sobol")))
    if "pruning" in asked:
        key = "tuning_halving" if asked["pruning"] else "tuning_whole"
        facts.append((write.say("tuning_pruning"), write.say(key)))
    facts.append((write.say("tuning_seed"), write.digits(str(first.seed))))
    return tuple(facts)


def _overview(source: Source, found: Sequence[EntryTuning], write: Writer) -> Table:
    known = {entry_name(entry): entry for entry in found}
    keys = ("trials", "tuning_winner", "tuning_values", "tuning_score", "tuning_time")
    heads = [write.say("entry"), *map(write.say, keys)]
    rows = tuple(
        _untuned(entry, write) if entry not in known else _chosen(known[entry], write)
        for entry in source.named()
    )
    return Table(
        tuple(Heading(text, numeric=place in (1, 2, 4, 5)) for place, text in enumerate(heads)),
        rows,
        write.say("tuning_overview"),
        sortable=True,
    )


def _untuned(entry: str, write: Writer) -> Row:
    rest = [Cell(NOTHING, kind="number")] * 2
    return Row(
        (name(entry), number(write.number(0), 0), rest[0], Cell(write.say("untuned")), *rest)
    )


def _chosen(entry: EntryTuning, write: Writer) -> Row:
    used = next((trial for trial in entry.trials if trial.number == entry.winner), None)
    settings = Cell(_settings(used), kind="code") if used and used.values else Cell(NOTHING)
    if entry.nothing:
        why = entry.nothing.get(write.language) or entry.nothing.get("en", "")
        settings = Cell(f"{write.say('tuning_nothing')} {why}".strip())
    seconds = sum(trial.seconds for trial in entry.trials)
    return Row(
        (
            name(entry_name(entry)),
            number(write.number(len(entry.trials)), len(entry.trials)),
            number(NOTHING if entry.winner is None else write.number(entry.winner), entry.winner),
            settings,
            number(write.percent(entry.score), entry.score),
            number(write.duration(seconds) if entry.trials else NOTHING, seconds or None),
        )
    )


def _settings(trial: TrialResult) -> str:
    return ", ".join(f"{name}={trial_value(value)}" for name, value in trial.values.items())


# ---- what more trials would bring


def _at(entry: EntryTuning, trials: int) -> float:
    """Return the expected best of so many trials: when all settings are tried, none are left."""
    return entry.expected_best[min(trials, len(entry.expected_best)) - 1]


def _by_share(tried: Sequence[EntryTuning]) -> list[tuple[EntryTuning, ...]]:
    """Part entries by where their trials are compared.

    Scores after a quarter of the training say nothing against those after all of it.
    """
    several = [entry for entry in tried if len(entry.expected_best) > 1]
    shares = sorted({entry.compared_at for entry in several})
    return [tuple(e for e in several if e.compared_at == share) for share in shares]


def _expected(alike: Sequence[EntryTuning], place: int, write: Writer) -> Figure:
    most = max(len(entry.expected_best) for entry in alike)
    lines = [
        Line(
            entry_name(entry),
            tuple(LinePoint(n, best) for n, best in enumerate(entry.expected_best, start=1)),
        )
        for entry in alike
    ]
    every = -(-most // 12)
    svg = line_chart(
        lines,
        list(dict.fromkeys((1, *range(every, most, every), most))),
        write.say("tuning_number"),
        write.say("validation_metric", metric=write.text(metric_name(alike[0].metric))),
        write.language,
        f"expected-{place}",
    )
    early = alike[0].compared_at < 1
    share = write.share(alike[0].compared_at, 0)
    title = write.say("tuning_expected_early" if early else "tuning_expected", share=share)
    return Figure(svg, title, write.say("tuning_expected_about"))


def _reading(alike: Sequence[EntryTuning], write: Writer) -> str:
    most = max(len(entry.expected_best) for entry in alike)
    said = [_leads(alike, most, write)] if len(alike) > 1 else []
    return " ".join([*said, _gains(alike, write)])


def _leads(alike: Sequence[EntryTuning], most: int, write: Writer) -> str:
    leaders = [max(alike, key=lambda entry: _at(entry, n)) for n in range(1, most + 1)]
    first, last = leaders[0], leaders[-1]
    same = all(one is first for one in leaders)
    return write.say(
        "tuning_same_lead" if same else "tuning_other_lead",
        first=write.name(entry_name(first)),
        last=write.name(entry_name(last)),
        one=write.share(_at(first, 1)),
        all=write.share(_at(last, most)),
        trials=write.number(most),
    )


def _gains(alike: Sequence[EntryTuning], write: Writer) -> str:
    rising = [e for e in alike if e.expected_best[-1] - e.expected_best[-2] >= _GAIN]
    if not rising:
        return write.say("tuning_level")
    names = write.listed(write.name(entry_name(entry)) for entry in rising)
    return write.say("tuning_rising", entries=names)


# ---- one entry


def _passage(entry: EntryTuning, write: Writer) -> Passage:
    lines = []
    if entry.fixed:
        lines.append(write.say("tuning_fixed", names=write.listed(map(write.name, entry.fixed))))
    about = write.say("tuning_trials_of", trials=write.number(len(entry.trials)))
    tables = [_trials(entry, write)]
    if entry.knobs:
        tables.append(_knobs(entry, write))
    return Passage(entry_name(entry), about, lines=tuple(lines), tables=tuple(tables))


def _trials(entry: EntryTuning, write: Writer) -> Table:
    names = list(dict.fromkeys(name for trial in entry.trials for name in trial.values))
    metric = write.text(metric_name(entry.metric))
    heads = [
        Heading(write.say("trial"), numeric=True),
        *(Heading(write.name(name)) for name in names),
        Heading(write.say("tuning_rung"), numeric=True),
        Heading(write.say("tuning_share"), numeric=True),
        Heading(write.say("validation_metric", metric=metric), numeric=True),
        Heading(write.say("validation_loss"), numeric=True),
        Heading(write.say("tuning_seconds"), numeric=True),
        Heading(write.say("tuning_outcome")),
    ]
    rows = tuple(_trial(trial, names, entry, write) for trial in entry.trials)
    title = write.say("tuning_trials_title", entry=write.name(entry_name(entry)))
    return Table(tuple(heads), rows, title, sortable=True)


def _trial(trial: TrialResult, names: Sequence[str], entry: EntryTuning, write: Writer) -> Row:
    used = trial.number == entry.winner
    values = [Cell(trial_value(trial.values.get(name)), kind="code") for name in names]
    return Row(
        (
            Cell(write.number(trial.number), trial.number, "number", strong=used),
            *values,
            number(write.number(trial.rung), trial.rung),
            number(write.share(trial.share, 0), trial.share),
            number(write.percent(trial.score), trial.score),
            number(write.loss(trial.loss), trial.loss),
            number(write.duration(trial.seconds), trial.seconds),
            _outcome(trial, write, used=used),
        ),
        "failed" if trial.failure is not None else "",
    )


def _outcome(trial: TrialResult, write: Writer, *, used: bool) -> Cell:
    if trial.failure is not None:
        reason = shorten(trial.failure, _REASON_LENGTH)
        return Cell(write.say("tuning_failed", reason=write.name(reason)), "failed")
    early = "tuning_stopped" if trial.share < 1 else "tuning_ended"
    key = "tuning_used" if used else early
    return Cell(write.say(key), key, strong=used)


def _knobs(entry: EntryTuning, write: Writer) -> Table:
    keys = ("name", "trials", "tuning_correlation", "pair_p", "tuning_spread", "tuning_means")
    share = write.share(entry.compared_at, 0)
    where = "tuning_scores_early" if entry.compared_at < 1 else "tuning_scores_whole"
    note = f"{write.say(where, share=share)} {write.say('tuning_knobs_note')}"
    return Table(
        tuple(
            Heading(write.say(key), numeric=0 < place < 5, about=_explained(key, write))
            for place, key in enumerate(keys)
        ),
        tuple(_knob(knob, write) for knob in entry.knobs),
        write.say("tuning_knobs_title", entry=write.name(entry_name(entry))),
        notes=(note,),
    )


def _explained(key: str, write: Writer) -> str:
    return write.say("tuning_correlation_about") if key == "tuning_correlation" else ""


def _knob(knob: KnobEffect, write: Writer) -> Row:
    means = [_part(part, write) for part in knob.parts if part.mean is not None]
    return Row(
        (
            Cell(knob.name, kind="code"),
            number(write.number(knob.trials), knob.trials),
            number(write.signed(knob.correlation), knob.correlation),
            number(write.p_value(knob.p_value), knob.p_value),
            number(write.percent(knob.spread), knob.spread),
            Cell(write.say("and_also").join(means) or NOTHING),
        )
    )


def _part(part: Part, write: Writer) -> str:
    ends = part.ends
    label = write.name(part.label)
    if ends is not None:
        label = write.say("tuning_ends", low=write.name(ends[0]), high=write.name(ends[1]))
    mean = write.spread(Spread(part.mean or 0.0, None))
    return write.say("tuning_part", label=label, mean=mean, trials=write.number(part.trials))
