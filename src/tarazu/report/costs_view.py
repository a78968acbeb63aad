"""What entries cost, and who stands on the front of quality against each cost, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tarazu.comparison.costs import Costs, costs, fronts
from tarazu.report.html.writer import Writer
from tarazu.report.numbers import NOTHING
from tarazu.report.plain import markdown_table
from tarazu.text import Language, Text

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord

_STEPS = {
    "load": Text("load", "بارگذاری"),
    "tune": Text("tune", "تنظیم"),
    "train": Text("train", "آموزش"),
    "evaluate": Text("evaluate", "ارزیابی"),
    "merge": Text("merge", "ادغام"),
}
_ENTRY = Text("entry", "روش")
_RATE = Text("tokens/s in training", "توکن بر ثانیه در آموزش")
_THOUSAND = Text("time per 1,000 items", "زمان برای ۱٬۰۰۰ نمونه")
_MEMORY = Text("peak memory: {step}", "بیشینهٔ حافظه: {step}")
_FRONT = Text(
    "On the front of quality against {cost} on {split} (no other entry is better without costing "
    "more): {names}.",
    "روی جبههٔ پارتوی کیفیت در برابر {cost} در {split} (هیچ روش دیگری بی هزینهٔ بیشتر بهتر نیست): "
    "{names}.",
)
_COSTS = {
    "seconds": Text("time of a whole run", "زمان کل اجرا"),
    "memory": Text("memory", "حافظه"),
    "deployed": Text("size of what is deployed", "اندازهٔ آنچه مستقر می‌شود"),
}


def costs_view(records: Sequence[RunRecord], language: Language = "en") -> list[str]:
    """Return a table of costs and sentences on the fronts; nothing where no run is done.

    Args:
        records: All records of a study, trials included.
        language: Of headings and sentences.
    """
    write = Writer(language)
    found = costs(records)
    if not found:
        return []
    steps = [name for name in _STEPS if any(name in one.seconds for one in found)]
    peaks = [name for name in _STEPS if any(name in one.memory for one in found)]
    headings = [
        _ENTRY.in_(language),
        *(_STEPS[name].in_(language) for name in steps),
        _RATE.in_(language),
        _THOUSAND.in_(language),
        *(_MEMORY.in_(language).format(step=_STEPS[name].in_(language)) for name in peaks),
    ]
    rows = [_row(one, steps, peaks, write) for one in found]
    table = markdown_table(headings, rows, set(range(1, len(headings))))
    lines = [
        f"- {_front(split, cost, names, write)}"
        for split, by_cost in fronts(records).items()
        for cost, names in by_cost.items()
    ]
    return [table, "\n".join(lines)] if lines else [table]


def _row(one: Costs, steps: Sequence[str], peaks: Sequence[str], write: Writer) -> list[str]:
    rate = one.train_tokens_per_second
    return [
        write.inline(one.name),
        *(write.duration(one.seconds.get(name)) for name in steps),
        NOTHING if rate is None else write.number(rate),
        write.duration(one.seconds_per_thousand),
        *(write.size(one.memory.get(name)) for name in peaks),
    ]


def _front(split: str, cost: str, names: Sequence[str], write: Writer) -> str:
    values: Mapping[str, str] = {
        "cost": write.text(_COSTS[cost]),
        "split": write.inline(split),
        "names": write.listed(map(write.inline, names)),
    }
    return write.text(_FRONT).format(**values)
