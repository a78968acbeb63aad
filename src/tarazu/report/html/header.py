"""The head of the page: what was asked, what won, and what it was measured on."""

from __future__ import annotations

from dataclasses import dataclass

from tarazu.report.html.hardware import device_of
from tarazu.report.html.slice_names import split_name
from tarazu.report.html.source import Source
from tarazu.report.html.standing import ranked, shared
from tarazu.report.html.writer import Writer
from tarazu.report.metric_names import metric_name

# More names than this make no sentence.
_NAMED = 4


@dataclass(frozen=True)
class Header:
    """The head of the page.

    Attributes:
        study: Name of the study.
        task: Name of the task.
        answer: What won, and what cannot be separated from it.
        facts: Pairs of a label and a value: machine, date, counts.
        redacted: Whether the text of the data set is left out.
    """

    study: str
    task: str
    answer: str
    facts: tuple[tuple[str, str], ...]
    redacted: bool


def header(source: Source, write: Writer) -> Header:
    """Build the head of the page."""
    first = source.records[0]
    return Header(
        first.spec.study,
        first.task,
        answer(source, write),
        _facts(source, write),
        source.redacted,
    )


def answer(source: Source, write: Writer) -> str:
    """Return the outcome in a sentence or two, for the first test split.

    A highest mean alone is never called a winner: what cannot be separated from it is named.
    """
    splits = source.splits()
    rows = ranked(source, splits[0]) if splits else []
    if not rows:
        return write.say("answer_none")
    metric = source.metric(splits[0]) or ""
    best = rows[0].metrics[metric]
    tied = [row.id for row in rows if row.metrics[metric].mean >= best.mean - 1e-12]
    said = {
        "best": write.listed(map(write.name, tied)),
        "metric": _in_sentence(write.text(metric_name(metric))),
        "value": write.share(best.mean),
    }
    if len(rows) == 1:
        return write.say("answer_alone", **said)
    known = source.comparison(splits[0])
    if known is None or known.detectable is None:
        return write.say("answer_unknown", **said)
    top = shared(known.letters.get(rows[0].id, ""))
    others = [
        row.id for row in rows if row.id not in tied and top & shared(known.letters.get(row.id, ""))
    ]
    if not others and len(tied) == 1:
        return write.say("answer_clear", **said)
    if len(others) + len(tied) == len(rows):
        return write.say("answer_nothing", **said)
    if len(others) > _NAMED:
        names = write.listed(map(write.name, others[:_NAMED]))
        more = write.number(len(others) - _NAMED)
        return write.say("answer_many", others=names, more=more, **said)
    return write.say("answer_tied", others=write.listed(map(write.name, others)), **said)


def _in_sentence(metric: str) -> str:
    """Return a metric's name within a sentence: names such as F1 keep their capitals."""
    return metric if metric[:2].isupper() else metric[:1].lower() + metric[1:]


def _facts(source: Source, write: Writer) -> tuple[tuple[str, str], ...]:
    used = source.used
    days = sorted({(record.finished or "")[:10] for record in used if record.finished})
    facts = []
    if days:
        ends = list(dict.fromkeys((days[0], days[-1])))
        facts.append((write.say("fact_date"), " – ".join(map(write.date, ends))))
    machines = dict.fromkeys(
        write.say(
            "fact_machine_value",
            device=device_of(record.environment, write, write.name),
            dtype=write.name(record.environment.dtype),
            threads=write.number(record.environment.threads),
        )
        for record in used
    )
    facts.append((write.say("fact_machine"), write.say("and_also").join(machines)))
    entries = len({row.entry + (row.model or "") for row in source.rows})
    failed = sum(record.status == "failed" for record in used)
    counts = write.say(
        "fact_counts_value", entries=write.number(entries), runs=write.number(len(used))
    )
    if failed:
        counts += write.say("fact_failed", failed=write.number(failed))
    facts.append((write.say("fact_counts"), counts))
    seeds = sorted({record.seed for record in used})
    facts.append((write.say("fact_seeds"), write.listed(write.digits(str(s)) for s in seeds)))
    sizes = _sizes(source, write)
    if sizes:
        facts.append((write.say("fact_items"), sizes))
    return tuple(facts)


def _sizes(source: Source, write: Writer) -> str:
    tests = set(source.splits())
    inputs = {name: given.rows for record in source.used for name, given in record.inputs.items()}
    order = [*(n for n in inputs if n not in tests), *(n for n in inputs if n in tests)]
    return " · ".join(f"{write.number(inputs[name])} {split_name(name, write)}" for name in order)
