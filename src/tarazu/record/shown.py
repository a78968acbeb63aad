"""A run as a notebook shows it. Reports stand above records, so this needs nothing of them."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tarazu.record.record import RunRecord


def run_html(record: RunRecord) -> str:
    """Return what a run was and what came out, as a table of names and values.

    Args:
        record: The run.
    """
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in _facts(record)
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    yield "entry", record.entry
    yield "method", record.method
    yield "model", record.model or "–"
    yield "task", record.task
    yield "seed", str(record.seed)
    yield "status", f"failed: {record.error}" if record.status == "failed" else record.status
    for result in record.variants:
        scores = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        yield f"{result.split} ({result.variant}, {result.n:,} items)", scores
    if record.parameters is not None:
        counts = record.parameters
        yield "trained + head", f"{counts.trained:,} + {counts.head:,} of {counts.total:,}"
        yield "deployed", f"{counts.deployed_bytes:,} bytes"
    if record.measured:
        phases = record.measured.items()
        yield "seconds", ", ".join(f"{name} {phase.seconds:.1f}" for name, phase in phases)
        peak = max(phase.rss for phase in record.measured.values())
        yield "peak memory", f"{peak:,} bytes"
    yield "key", record.key
