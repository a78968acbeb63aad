"""Pairs: tarazu and a peer one after the other, the order turned round with every pair."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from side_by_side.works import Side
from tarazu.record.disk import write_synced

Run = Callable[[int], Side]


@dataclass(frozen=True)
class Pair:
    """Both sides of one comparison.

    Attributes:
        ours: tarazu.
        theirs: The peer.
        first: Who ran first.
    """

    ours: Side
    theirs: Side
    first: str

    @property
    def ratio(self) -> float:
        """How many times as long the peer took for an example."""
        return per_example(self.theirs) / per_example(self.ours)


@dataclass(frozen=True)
class Ratio:
    """How many times as long a peer took, over all pairs."""

    median: float
    smallest: float
    largest: float


def per_example(side: Side) -> float:
    """Return the seconds that a side took for an example."""
    return side.seconds / side.examples


def ratio_of(pairs: Sequence[Pair]) -> Ratio:
    """Return the median ratio and its range."""
    ratios = [pair.ratio for pair in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def run_pairs(
    count: int,
    ours: Run,
    theirs: Run,
    folder: Path,
    key: str,
    said: Callable[[int, Pair], None] = lambda index, pair: None,
) -> list[Pair]:
    """Run pairs, or return those that are kept from before.

    tarazu goes first in the even pairs and the peer in the odd ones, so that a machine that grows
    slower or faster favours nobody.

    Args:
        count: How many.
        ours: Runs tarazu for the pair of that number.
        theirs: Runs the peer.
        folder: Where finished pairs are kept.
        key: What tells these pairs from others: anything that could change them.
        said: Called with every new pair.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for index in range(count):
        file = folder / f"{key}-{index}.json"
        if file.exists():
            pairs.append(_read(file))
            continue
        if index % 2 == 0:
            mine = ours(index)
            pair = Pair(mine, theirs(index), "ours")
        else:
            other = theirs(index)
            pair = Pair(ours(index), other, "theirs")
        write_synced(file.with_suffix(".tmp"), json.dumps(asdict(pair)), file)
        pairs.append(pair)
        said(index, pair)
    return pairs


def _read(file: Path) -> Pair:
    kept = json.loads(file.read_text(encoding="utf-8"))
    return Pair(Side(**kept["ours"]), Side(**kept["theirs"]), kept["first"])
