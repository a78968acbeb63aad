"""How much of training is padding, and what could packing or a token budget save of it?

    python benchmarks/padding.py                       # each work's own size, and 4096 examples
    python benchmarks/padding.py --works lora-squad --examples 2000

Nothing is timed: batches are formed as training forms them, for several seeds, and their positions
counted. A batch of n examples, the longest of which has L tokens, computes n·L positions and, in
its attention, n·L² scores; with perfect packing and exact masks the numbers are Σl and Σl². No
packing computes less than that, so the padded share is the most that can be won. A token budget
leaves an update its examples and cuts them into micro-batches; its best cut into two is counted
too, and that into single examples is perfect packing again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from side_by_side.prepare import prepare, write_tokens
from side_by_side.results import machine, write_rows
from side_by_side.works import ROOT, WORKS, Work
from tarazu.models.fast import Fast, switched
from tarazu.training.batches import epoch_batches

DEFAULT = ("lora-squad", "full-squad", "lora-nli-encoder", "full-nli-encoder", "last-k-decoder")
LARGE = 4096  # examples: many groups of batches that are sorted together
SEEDS = (0, 1, 2)
Rows = Sequence[int]
"""Tokens of each example of a batch."""


@dataclass(frozen=True)
class Computed:
    """What batches compute, and what of it is needed.

    Attributes:
        positions: Tokens and padding.
        tokens: Tokens alone.
        cut: Positions when each batch is cut into two micro-batches where that saves most.
        scores: Of attention, with padding: each position against each of its row.
        exact: Of attention, each token against each of its own text.
    """

    positions: int
    tokens: int
    cut: int
    scores: int
    exact: int

    @property
    def padded(self) -> float:
        """Share of positions that are padding: what perfect packing would save."""
        return 1 - self.tokens / self.positions

    @property
    def saved_by_cut(self) -> float:
        """Share of positions that the best cut into two would save."""
        return 1 - self.cut / self.positions

    @property
    def padded_scores(self) -> float:
        """Share of attention's scores that are not needed."""
        return 1 - self.exact / self.scores


def counted(batches: Sequence[Rows]) -> Computed:
    """Count what batches compute.

    Args:
        batches: None of them empty.
    """
    return Computed(
        positions=sum(len(rows) * max(rows) for rows in batches),
        tokens=sum(map(sum, batches)),
        cut=sum(map(best_cut, batches)),
        scores=sum(len(rows) * max(rows) ** 2 for rows in batches),
        exact=sum(length**2 for rows in batches for length in rows),
    )


def best_cut(rows: Rows) -> int:
    """Return the fewest positions of a batch in at most two micro-batches."""
    longest_first = sorted(rows, reverse=True)
    whole = len(rows) * longest_first[0]
    return min(
        (
            first * longest_first[0] + (len(rows) - first) * longest_first[first]
            for first in range(1, len(rows))
        ),
        default=whole,
    )


def batches_of(lengths: Rows, size: int, seeds: Sequence[int], *, buckets: bool) -> list[Rows]:
    """Return the first epoch's batches of all seeds, as training forms them.

    Args:
        lengths: Tokens of each example.
        size: Examples per batch.
        seeds: Seeds.
        buckets: Whether examples of like length share a batch.
    """
    with switched(replace(Fast(), length_buckets=buckets)):
        return [
            [lengths[index] for index in batch]
            for seed in seeds
            for batch in epoch_batches(lengths, size, seed=seed, epoch=1)
        ]


def lengths_of(work: Work) -> list[int]:
    """Return the tokens of a work's training examples, by tarazu's own readings and cuts."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(replace(work, held_out=1), [0], 1, Path(folder))
        job = write_tokens(prepared, prepared.specs[0])
        file = Path(job["folder"]) / "train.jsonl"
        return [len(json.loads(line)["input_ids"]) for line in file.open(encoding="utf-8")]


def measure(work: Work, seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    """Return the row of a work.

    Args:
        work: One that trains.
        seeds: Whose batches are counted.
    """
    lengths = lengths_of(work)
    now, random = (
        counted(batches_of(lengths, work.batch_size, seeds, buckets=buckets))
        for buckets in (True, False)
    )
    return {
        "work": work.name,
        "examples": len(lengths),
        "batch_size": work.batch_size,
        "seeds": list(seeds),
        "tokens_median": statistics.median(lengths),
        "tokens_max": max(lengths),
        "padded": round(now.padded, 4),
        "padded_random": round(random.padded, 4),
        "saved_by_cut_in_two": round(now.saved_by_cut, 4),
        "padded_scores": round(now.padded_scores, 4),
        "padded_scores_random": round(random.padded_scores, 4),
        "machine": machine(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "work": lambda row: f"`{row['work']}`",
    "examples": lambda row: f"{row['examples']:,}",
    "batch": lambda row: str(row["batch_size"]),
    "tokens, median and most": lambda row: f"{row['tokens_median']:g}, {row['tokens_max']}",
    "padded, random batches": lambda row: f"{row['padded_random']:.1%}",
    "padded, as now": lambda row: f"{row['padded']:.1%}",
    "best cut in two saves": lambda row: f"{row['saved_by_cut_in_two']:.1%}",
    "padded of attention's scores": lambda row: f"{row['padded_scores']:.1%}",
}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    cells = [list(COLUMNS), ["---"] * len(COLUMNS)]
    cells += [[cell(row) for cell in COLUMNS.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def main() -> None:
    """Count, print and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    trained = [name for name, work in WORKS.items() if work.kind in ("train", "seeds")]
    parser.add_argument(
        "--works", nargs="+", choices=trained, default=list(DEFAULT), metavar="WORK"
    )
    parser.add_argument("--examples", type=int, nargs="+", help="of all works; default: two sizes")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    rows = [
        measure(replace(WORKS[name], examples=count))
        for name in args.works
        for count in args.examples or (WORKS[name].examples, LARGE)
    ]
    print(table(rows))
    write_rows(rows, args.out / "padding.json")


if __name__ == "__main__":
    main()
