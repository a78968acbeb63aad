"""Rows of results, the JSON file that keeps them, and the Markdown table made from it."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from scipy.stats import t as student

from side_by_side.pairs import Pair, per_example, ratio_of
from side_by_side.works import ROOT, WORKS, Side, Work
from tarazu.record.disk import write_synced

Row = dict[str, Any]


def machine(device: str = "cpu") -> str:
    """Describe processor, memory and the card that is used, without names of the machine."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    memory = psutil.virtual_memory().total / 2**30
    threads = len(os.sched_getaffinity(0))
    card = ""
    if device == "cuda":
        import torch

        found = torch.cuda.get_device_properties(0)
        card = f"{found.name}, {found.total_memory / 2**30:.0f} GiB; "
    return f"{card}{processor}, {threads} cores used, {memory:.0f} GiB, {platform.system()}"


def commit(tree: Path = ROOT) -> str:
    """Return the commit of a checkout, marked if files differ from it; empty without git."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def stamp() -> Row:
    """Return what every row says of where, when and on which code it was measured."""
    return {"machine": machine(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit()}


def row_of(
    work: Work, peer: str, pairs: Sequence[Pair], tried: Mapping[str, float], machine: str
) -> Row:
    """Return the row of a work and a peer.

    Args:
        work: The work.
        peer: The peer's name.
        pairs: All pairs.
        tried: Seconds per example of all settings of the peer that were tried.
        machine: Where.
    """
    ratio = ratio_of(pairs)
    theirs = _summary([pair.theirs for pair in pairs])
    return {
        "work": work.name,
        "peer": peer,
        "pairs": len(pairs),
        "ratio_median": round(ratio.median, 3),
        "ratio_min": round(ratio.smallest, 3),
        "ratio_max": round(ratio.largest, 3),
        "aim": work.peers.get(peer),
        "examples": work.examples,
        "ours": _summary([pair.ours for pair in pairs]),
        "theirs": theirs | {"tried": {name: round(value, 5) for name, value in tried.items()}},
        "machine": machine,
        "versions": {
            "ours": dict(pairs[0].ours.versions),
            "theirs": dict(pairs[0].theirs.versions),
        },
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
    }


def missing_row(work: Work, peer: str, reason: str, machine: str) -> Row:
    """Return the row of a peer that could not do the work, with the reason."""
    return {
        "work": work.name,
        "peer": peer,
        "pairs": 0,
        "aim": work.peers.get(peer),
        "reason": reason,
        "machine": machine,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _summary(sides: Sequence[Side]) -> dict[str, Any]:
    losses = [side.loss for side in sides]
    return {
        "seconds_per_example": [round(per_example(side), 5) for side in sides],
        "cpu_seconds_per_example": [round(s.cpu_seconds / s.examples, 5) for s in sides],
        "process_seconds": [round(side.process_seconds, 2) for side in sides],
        "updates": sides[0].updates,
        "loss": losses,
        "score": {
            entry: [side.score[entry] for side in sides if entry in side.score]
            for entry in sides[0].score
        },
        "peak_bytes": max(side.peak_bytes for side in sides),
        "accelerator_bytes": max(side.accelerator_bytes for side in sides),
        "settings": sides[0].settings,
    }


def merge(file: Path, rows: Sequence[Row]) -> list[Row]:
    """Put rows into the file, in the place of older ones of the same machine, work, peer, settings.

    Returns:
        All rows, the newest machine's first, then in the order of the works and their peers.
    """
    every = together(file, rows, ("work", "peer", "asked"))
    order = [(work.name, peer) for work in WORKS.values() for peer in work.peers]
    machines = _machines(every)
    merged = sorted(
        every,
        key=lambda row: (
            machines.index(row["machine"]),
            _place(order, row["work"], row["peer"]),
        ),
    )
    write_rows(merged, file)
    return merged


def together(file: Path, rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Return the rows of a file, with new ones in the place of what they measured anew.

    Args:
        file: What `write_rows` wrote; it need not be there.
        rows: New rows.
        names: What tells rows of one machine apart. Other machines' rows always stay.
    """
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    by_name = {(row["machine"], *(row.get(name) for name in names)): row for row in [*kept, *rows]}
    return list(by_name.values())


def keep_rows(rows: Sequence[Row], file: Path, *names: str) -> None:
    """Write rows into a file beside what it holds, see `together`."""
    write_rows(together(file, rows, names), file)


def write_rows(rows: Sequence[Row], file: Path) -> None:
    """Write rows as JSON, the folder too; what was there is replaced whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_synced(file.with_suffix(".tmp"), json.dumps(rows, indent=2) + "\n", file)


def _machines(rows: Sequence[Row]) -> list[str]:
    """Return the machines of rows, the one of the newest row first."""
    newest: dict[str, str] = {}
    for row in rows:
        newest[row["machine"]] = max(row["date"], newest.get(row["machine"], ""))
    return sorted(newest, key=lambda one: newest[one], reverse=True)


def _place(order: Sequence[tuple[str, str]], work: str, peer: str) -> int:
    return order.index((work, peer)) if (work, peer) in order else len(order)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| work | peer (settings) | pairs | examples | ratio [range] | aim | tarazu ex/s "
        "| peer ex/s | processes, s | loss | difference of losses | score |",
        "|---" * 12 + "|",
    ]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    aim = f"{row['aim']:g} ×" if row.get("aim") else "–"
    if not row["pairs"]:
        return [
            row["work"],
            row["peer"],
            "0",
            "–",
            f"not run: {_one_line(row['reason'])}",
            aim,
            *"–" * 6,
        ]
    ours, theirs = row["ours"], row["theirs"]
    settings = f" ({theirs['settings']})" if theirs["settings"] else ""
    if len(theirs["tried"]) > 1:
        settings = f" (its fastest of {len(theirs['tried'])} settings: {theirs['settings']})"
    scores = (
        ", ".join(f"{_mean(v):.3f}" for v in side["score"].values()) for side in (ours, theirs)
    )
    return [
        row["work"],
        row["peer"] + settings,
        str(row["pairs"]),
        f"{row['examples']:,}",
        f"**{row['ratio_median']:.2f} ×** [{row['ratio_min']:.2f}, {row['ratio_max']:.2f}]",
        aim,
        _rate(ours) + (f" ({ours['settings']})" if ours["settings"] else ""),
        _rate(theirs),
        " / ".join(f"{statistics.median(side['process_seconds']):.0f}" for side in (ours, theirs)),
        " / ".join(_loss(side["loss"]) for side in (ours, theirs)),
        _difference(ours["loss"], theirs["loss"]),
        " / ".join(scores),
    ]


def _rate(side: Mapping[str, Any]) -> str:
    return f"{1 / statistics.median(side['seconds_per_example']):.2f}"


def _difference(ours: Sequence[float | None], theirs: Sequence[float | None]) -> str:
    """Return the mean difference of the pairs' losses with its 95 % interval (Student's t)."""
    pairs = zip(ours, theirs, strict=True)
    found = [one - other for one, other in pairs if one is not None and other is not None]
    if len(found) < 2:
        return "–"
    error = statistics.stdev(found) / math.sqrt(len(found))
    half = float(student.ppf(0.975, len(found) - 1)) * error
    return f"{_mean(found):+.3f} ± {half:.3f}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")[-160:]


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def _loss(values: Sequence[float | None]) -> str:
    given = [value for value in values if value is not None]
    return f"{_mean(given):.3f}" if given else "–"


NOTES = """
Ratio: how many times as long the peer takes for an example, median over pairs and range; above 1
tarazu is faster. Both sides of a pair read the same items in the same tokens, make the same number
of updates and have the same threads; the order is turned round with every pair. ex/s: median, on
the clock of the work (`benchmarks/README.md` says what it covers; warm-up and start-up are treated
alike on both sides), and in brackets what tarazu computed in (its own choice; see
`docs/design/fast-training.md`). How much is gained depends on the processor: a ratio holds for its
machine. Processes: median seconds from start to exit, tarazu / peer, loading, warm-up
and answering included. Loss and score (accuracy, F1 for SQuAD) are those of the held-out items
after training, tarazu / peer, means over pairs; their difference has its 95 % interval over the
seeds of the pairs, and sides whose interval holds 0 are equal within the noise of seeds (on
encoders the heads differ, see `benchmarks/README.md`). A peer with several documented settings is
taken at the fastest one on this machine (all that were tried are in `speed.json`), or at the one
in brackets where only that was asked for (`--settings`): such a ratio is of that setting alone, and
the peer may have a faster one.
"""


def write_table(rows: Sequence[Row], file: Path, command: str) -> None:
    """Write a table for every machine, with what its rows were computed on."""
    parts = [
        _of_machine(name, [row for row in rows if row["machine"] == name])
        for name in _machines(rows)
    ]
    text = (
        f"# tarazu and its peers on the same work\n{''.join(parts)}{NOTES}\n"
        f"Last command: `{command}`\n"
    )
    write_synced(file.with_suffix(".tmp"), text, file)


def _of_machine(name: str, rows: Sequence[Row]) -> str:
    ran = [row for row in rows if row["pairs"]]
    versions: dict[str, set[str]] = {}
    for row in ran:
        for side in row["versions"].values():
            for package, version in side.items():
                versions.setdefault(package, set()).add(version)
    said = ", ".join(f"{one} {'/'.join(sorted(found))}" for one, found in versions.items())
    return (
        f"\n## {name}\n\n{table(rows)}\n"
        f"- dates: {', '.join(sorted({row['date'] for row in rows}))}\n"
        f"- commits: {', '.join(sorted({row['commit'] for row in ran if row.get('commit')}))}\n"
        f"- versions: {said}\n"
    )
