"""What the runs took, phase by phase, and whether that is within the limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tarazu.catalog import find_method
from tarazu.record.record import RunRecord

LIMIT = 20 * 2**30
"""Bytes of resident memory that no phase may exceed."""
ANSWERS = 8
UPDATES = 1
FORMS = ("merged-dequantised", "merged-16bit")
_GIB = 2**30

Row = dict[str, Any]


def expected_variants(method: str) -> list[str]:
    """Return the forms of a method's result that are answered with."""
    merges = find_method(method).variants is not None
    return ["adapter", *FORMS] if merges else ["main"]


def entry_row(record: RunRecord, seen: Mapping[str, Any], limit: int = LIMIT) -> Row:
    """Return what one run took.

    Args:
        record: The run.
        seen: What `Watched.to_json` says of it; empty where it was not watched.
        limit: Bytes that no phase may exceed.
    """
    forms = [one.variant for one in record.variants if one.variant in FORMS] or list(FORMS)
    sampled = {
        _with_form(name, forms): peaks
        for name, peaks in seen.get("phases", {}).items()
        if name != "start"  # the process is not there yet
    }
    phases = []
    for name in dict.fromkeys([*record.measured, *sampled]):
        measured, peaks = record.measured.get(name), sampled.get(name, {})
        measures = measured is not None and measured.rss > 0
        resident = measured.rss if measured and measures else peaks.get("resident", 0)
        phases.append(
            {
                "phase": name,
                "seconds": round(measured.seconds, 2) if measured else None,
                "tokens": measured.tokens if measured else None,
                "peak_bytes": resident or None,
                "anonymous_bytes": peaks.get("anonymous") or None,
                "tree_bytes": peaks.get("tree_resident") or None,
                "tree_anonymous_bytes": peaks.get("tree_anonymous") or None,
                "within_limit": resident <= limit if resident else None,
            }
        )
    parameters = record.parameters
    return {
        "entry": record.entry,
        "method": record.method,
        "model": record.model,
        "status": record.status,
        "error": record.error,
        "trained": parameters.trained + parameters.head if parameters else 0,
        "parameters": parameters.total if parameters else 0,
        "trains": _trains(record),
        "updates": seen.get("updates"),
        "variants": {f"{one.variant}/{one.split}": one.n for one in record.variants},
        "phases": phases,
        "events": [f"{event.kind}: {event.message}" for event in record.events],
        "dtype": record.environment.dtype,
        "threads": record.environment.threads,
        "finished": record.finished,
        "commit": seen.get("commit"),
    }


def _trains(record: RunRecord) -> bool:
    method = find_method(record.method)
    return bool(method.trains and record.model)


def _with_form(name: str, forms: Sequence[str]) -> str:
    """Return the record's name for a phase of a merged form: ``load 1`` has a number only."""
    phase, _, number = name.partition(" ")
    if not number or int(number) > len(forms):
        return name
    return f"{phase} {forms[int(number) - 1]}"


def problems(rows: Iterable[Row], entries: Iterable[str], split: str = "matched") -> list[str]:
    """Return everything that is not as it must be, in words.

    Args:
        rows: As of `entry_row`.
        entries: Those that must be there.
        split: The test split that all answer.
    """
    by_entry = {row["entry"]: row for row in rows}
    found = []
    for entry in entries:
        if entry not in by_entry:
            found.append(f"{entry}: it was not run")
        else:
            found += [f"{entry}: {one}" for one in _problems_of(by_entry[entry], split)]
    return found


def _problems_of(row: Row, split: str) -> Iterable[str]:
    if row["status"] != "done":
        yield f"{row['status']}: {row['error']}"
    for form in expected_variants(row["method"]) if row["status"] == "done" else ():
        answered = row["variants"].get(f"{form}/{split}", 0)
        if answered != ANSWERS:
            yield f"variant '{form}' must have answered {ANSWERS} items, not {answered}"
    if row["status"] == "done" and row["trains"] and row["updates"] != UPDATES:
        yield f"it must have made {UPDATES} update, not {row['updates']}"
    for phase in _missing_phases(row) if row["status"] == "done" else ():
        yield f"phase '{phase}' was not measured"
    for phase in row["phases"]:
        if phase["within_limit"] is False:
            peak = phase["peak_bytes"] / _GIB
            yield f"phase '{phase['phase']}' had {peak:.2f} GiB of resident memory"


def _missing_phases(row: Row) -> list[str]:
    """Return the phases whose peak must be known and is not."""
    expected = ["evaluate"]
    if row["model"]:
        expected += ["load", *(["train", "validate"] if row["trains"] else [])]
    forms = [form for form in expected_variants(row["method"]) if form in FORMS]
    expected += ["merge"] if forms else []
    expected += [f"{phase} {form}" for form in forms for phase in ("load", "evaluate")]
    known = {phase["phase"] for phase in row["phases"] if phase["peak_bytes"]}
    return [phase for phase in expected if phase not in known]


def whole_row(rows: Sequence[Row], found: Sequence[str], stamp: Row, limit: int = LIMIT) -> Row:
    """Return the result of a machine.

    Args:
        rows: Of all entries.
        found: As of `problems`.
        stamp: Machine, date, commit, versions, sizes.
        limit: Bytes that no phase may exceed.
    """
    peaks = [phase for row in rows for phase in row["phases"]]

    def largest(name: str) -> int:
        return max((phase[name] or 0 for phase in peaks), default=0)

    return {
        **stamp,
        "limit_bytes": limit,
        "within_limit": all(phase["within_limit"] is not False for phase in peaks),
        "complete": not found,
        "problems": list(found),
        "peak_bytes": largest("peak_bytes"),
        "anonymous_bytes": largest("anonymous_bytes"),
        "tree_bytes": largest("tree_bytes"),
        "tree_anonymous_bytes": largest("tree_anonymous_bytes"),
        "entries": list(rows),
    }


def table(row: Row) -> str:
    """Return the result of a machine as Markdown."""
    lines = [
        f"## {row['machine']}",
        "",
        f"- {row['date']}, commits of the runs: {', '.join(_commits(row)) or 'unknown'}; "
        + ", ".join(f"{name} {version}" for name, version in row["versions"].items()),
        f"- models: {'; '.join(f'{name} {told}' for name, told in row['models'].items())}",
        f"- limit {row['limit_bytes'] / _GIB:g} GiB: "
        + ("no phase is above it" if row["within_limit"] else "**exceeded**")
        + f"; largest {_gib(row['peak_bytes'])} resident, {_gib(row['anonymous_bytes'])} "
        f"anonymous, {_gib(row['tree_bytes'])} over the whole process tree",
        *(f"- **{one}**" for one in row["problems"]),
        "",
        "Memory in GiB.",
        "",
        "| entry | trained | phase | seconds | tokens | peak | anonymous | tree | limit |",
        "|---|--:|---|--:|--:|--:|--:|--:|---|",
    ]
    for entry in row["entries"]:
        for number, phase in enumerate(entry["phases"]):
            lines.append(_line(entry, phase, first=number == 0))
    lines.append("")
    for entry in row["entries"]:
        variants = ", ".join(f"{name} {n}" for name, n in entry["variants"].items()) or "–"
        lines.append(f"- `{entry['entry']}`: answered {variants}")
        lines += [f"  - {_one_line(event)}" for event in entry["events"]]
    return "\n".join(lines) + "\n"


def _commits(row: Row) -> list[str]:
    return sorted({entry["commit"] for entry in row["entries"] if entry["commit"]})


def _line(entry: Row, phase: Row, *, first: bool) -> str:
    within = {True: "within", False: "**above**", None: "–"}[phase["within_limit"]]
    cells = [
        f"`{entry['entry']}`" if first else "",
        f"{entry['trained']:,}" if first else "",
        phase["phase"],
        "–" if phase["seconds"] is None else f"{phase['seconds']:.1f}",
        f"{phase['tokens']:,}" if phase["tokens"] else "–",
        *(_number(phase[name]) for name in ("peak_bytes", "anonymous_bytes", "tree_bytes")),
        within,
    ]
    return f"| {' | '.join(cells)} |"


def _number(size: int | None) -> str:
    return "–" if size is None else f"{size / _GIB:.2f}"


def _gib(size: int) -> str:
    return f"{size / _GIB:.2f} GiB"


def _one_line(text: str) -> str:
    return " ".join(text.split())
