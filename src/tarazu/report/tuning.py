"""The tuning of a study as Markdown: budget, trials, what each knob did, what more would bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tarazu.comparison.sensitivity import EntryTuning, KnobEffect, TrialResult, tunings
from tarazu.comparison.spread import Spread
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name
from tarazu.report.numbers import NOTHING
from tarazu.report.plain import markdown_inline, markdown_sentence, markdown_table, shorten
from tarazu.report.recorded import recorded
from tarazu.text import Language, Text

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord

_REASON_LENGTH = 120


def tuning_parts(records: Sequence[RunRecord], language: Language = "en") -> list[str]:
    """Return the parts of the section; nothing when the study does not tune.

    Args:
        records: All records of the study.
        language: Of words and numbers.
    """
    write = Writer(language)
    found = tunings(records)
    if not found:
        return []
    parts = [write.text(_overview(found))]
    for entry in found:
        title = write.text(Text("Trials of", "آزمون‌های"))
        parts += [f"### {title} {_name(entry, write)}", *_entry(entry, write)]
    return parts


def _name(entry: EntryTuning, write: Writer) -> str:
    known = entry.model is None or entry.entry.endswith(f"@{entry.model}")
    return write.inline(entry.entry if known else f"{entry.entry} ({entry.model})")


def _overview(found: Sequence[EntryTuning]) -> Text:
    budget, seed = found[0].budget, found[0].seed
    return Text(
        f"Every entry had {budget:,} trials; trial 0 is its default settings. Trials were trained "
        f"with seed {seed} and compared on the validation items alone.",
        f"هر روش {budget:,} آزمون داشت؛ آزمون 0 تنظیم‌های پیش‌فرض آن است. آزمون‌ها با بذر {seed} "
        "آموزش دیدند و تنها روی نمونه‌های اعتبارسنجی با هم سنجیده شدند.",
    )


def _entry(entry: EntryTuning, write: Writer) -> list[str]:
    if entry.nothing:
        why = Text(entry.nothing.get("en", ""), entry.nothing.get("fa", ""))
        nothing = write.text(Text("Nothing to tune.", "چیزی برای تنظیم نیست."))
        return [f"{nothing} {write.literal(why)}"]
    parts = []
    if entry.fixed:
        said = Text(
            "Not searched, because the study fixes it", "جست‌وجو نشد، چون مطالعه آن را ثابت کرده است"
        )
        names = write.listed(map(write.inline, entry.fixed))
        parts.append(f"{write.text(said)}: {names}.")
    parts += [_trials(entry, write), _knobs(entry, write), _expected(entry, write)]
    return parts


def _trials(entry: EntryTuning, write: Writer) -> str:
    names = list(dict.fromkeys(name for trial in entry.trials for name in trial.values))
    body = [_row(trial, names, entry, write) for trial in entry.trials]
    metric = Text(
        f"validation {markdown_inline(entry.metric)} %",
        f"{metric_name(entry.metric).fa} اعتبارسنجی (٪)",
    )
    headings = [
        write.text(Text("trial", "آزمون")),
        *map(write.inline, names),
        write.text(Text("trained", "آموزش‌دیده")),
        write.text(metric),
        write.text(Text("validation loss", "زیان اعتبارسنجی")),
        write.text(Text("time", "زمان")),
    ]
    return markdown_table(headings, body, numeric=set(range(len(headings))))


def _row(trial: TrialResult, names: Sequence[str], entry: EntryTuning, write: Writer) -> list[str]:
    number = write.digits(f"{trial.number}")
    if trial.number == entry.winner:
        number += write.text(Text(" (used)", " (به‌کاررفته)"))
    score = write.spread(Spread(trial.score, None)) if trial.score is not None else NOTHING
    if trial.failure is not None:
        why = shorten(trial.failure, _REASON_LENGTH)
        told = recorded(trial.failure)
        score = write.literal(Text(f"failed: {why}", f"ناکام: {told.fa}"))
    values = [write.inline(_value(trial.values.get(name), write)) for name in names]
    share = write.prose(f"{trial.share:.0%}")
    return [number, *values, share, score, write.loss(trial.loss), write.duration(trial.seconds)]


def _value(value: Any, write: Writer) -> str:
    return write.text(Text("none", "هیچ")) if value is None else trial_value(value)


def trial_value(value: Any) -> str:
    """Return the value of a setting that was searched, with three digits at most."""
    return "none" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _knobs(entry: EntryTuning, write: Writer) -> str:
    body = [_effect(knob, write) for knob in entry.knobs]
    headings = [
        Text("knob", "تنظیم"),
        Text("trials", "آزمون‌ها"),
        Text("rank correlation", "همبستگی رتبه‌ای"),
        Text("p", "p"),
        Text("spread of means", "پراکندگی میانگین‌ها"),
        Text("mean score by value", "میانگین نمره به تفکیک مقدار"),
    ]
    where, where_fa = "whole", "پایان آموزش"
    if entry.compared_at != 1:
        share = f"{entry.compared_at:.0%}"
        where, where_fa = f"first {share} of the", f"{share} نخست آموزش"
    note = Text(
        f"Scores after the {where} training, which all trials reached. The knobs changed together "
        "and the trials are few: a hint where to look, not a test.",
        f"نمره‌ها پس از {where_fa}، که همهٔ آزمون‌ها به آن رسیدند. تنظیم‌ها با هم تغییر کرده‌اند و "
        "آزمون‌ها کم‌اند: این نشانه‌ای است که کجا را بنگریم، نه آزمون آماری.",
    )
    table = markdown_table([write.text(one) for one in headings], body, numeric={1, 2, 3, 4})
    return f"{table}\n\n{write.text(note)}"


def _effect(knob: KnobEffect, write: Writer) -> list[str]:
    means = write.text(Text("; ", "؛ ")).join(
        f"{write.name(part.label)}: {write.spread(Spread(part.mean, None))} "
        f"({write.number(part.trials)})"
        for part in knob.parts
        if part.mean is not None
    )
    return [
        write.inline(knob.name),
        write.number(knob.trials),
        NOTHING if knob.correlation is None else write.decimal(knob.correlation, 2, signed=True),
        NOTHING if knob.p_value is None else write.decimal(knob.p_value, 2),
        NOTHING if knob.spread is None else write.percent(knob.spread),
        markdown_sentence(means) or NOTHING,
    ]


def _expected(entry: EntryTuning, write: Writer) -> str:
    shown = write.listed(
        f"{write.digits(str(n))}: {write.percent(best)}"
        for n, best in enumerate(entry.expected_best, 1)
    )
    said = Text(
        f"Expected best validation {markdown_inline(entry.metric)} (%) of n trials at this point "
        "(Dodge et al. 2019)",
        f"بهترین {metric_name(entry.metric).fa} اعتبارسنجی (٪) که از n آزمون تا اینجا چشم می‌رود "
        "(\u2068Dodge et al. 2019\u2069)",
    )
    return f"{write.text(said)}: {shown}."
