"""Which examples make which batch, in which order: seeded, and grouped by length.

Examples of like length share a batch, so that little is padded; the order of batches and the
composition of groups are shuffled anew each epoch by the run's seed. With `length_buckets` switched
off, batches are the shuffled order cut into parts, as plain loops take them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tarazu.models.fast import switches

GROUP = 32  # batches that are sorted together: large enough to save padding, small enough to mix


def epoch_batches(
    lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int
) -> list[list[int]]:
    """Return the batches of one epoch as indices of examples.

    Args:
        lengths: Tokens of each example.
        batch_size: Examples per batch.
        seed: Seed of the run.
        epoch: Number of the epoch.
    """
    generator = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    generator.shuffle(order)
    if not switches().length_buckets:
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    batches = []
    for start in range(0, len(order), batch_size * GROUP):
        group = sorted(order[start : start + batch_size * GROUP], key=lambda i: -lengths[i])
        batches += [group[i : i + batch_size] for i in range(0, len(group), batch_size)]
    generator.shuffle(batches)
    return batches
