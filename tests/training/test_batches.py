from __future__ import annotations

import random

import torch

from tarazu.models.fast import Fast, switched
from tarazu.training.batches import epoch_batches

LENGTHS = [(i * 37) % 50 + 1 for i in range(203)]


def padding(batches: list[list[int]]) -> int:
    """Return how many tokens of padding some batches hold."""
    return sum(
        max(LENGTHS[i] for i in one) * len(one) - sum(LENGTHS[i] for i in one) for one in batches
    )


def test_every_example_stands_in_one_batch() -> None:
    batches = epoch_batches(LENGTHS, 8, seed=0, epoch=1)
    assert sorted(i for batch in batches for i in batch) == list(range(203))
    assert len(batches) == 26
    assert sorted(map(len, batches))[:2] == [3, 8]


def test_t35_order_depends_on_seed_and_epoch_alone() -> None:
    first = epoch_batches(LENGTHS, 8, seed=0, epoch=1)
    random.random()
    torch.rand(1)
    assert epoch_batches(LENGTHS, 8, seed=0, epoch=1) == first
    assert epoch_batches(LENGTHS, 8, seed=0, epoch=2) != first
    assert epoch_batches(LENGTHS, 8, seed=1, epoch=1) != first


def test_examples_of_like_length_share_a_batch() -> None:
    assert padding(epoch_batches(LENGTHS, 8, seed=0, epoch=1)) < 0.1 * sum(LENGTHS)


def test_without_buckets_batches_are_the_shuffled_order_cut_into_parts() -> None:
    alike = epoch_batches(LENGTHS, 8, seed=0, epoch=1)
    with switched(Fast(length_buckets=False)):
        plain = epoch_batches(LENGTHS, 8, seed=0, epoch=1)
        assert epoch_batches(LENGTHS, 8, seed=0, epoch=1) == plain
        assert epoch_batches(LENGTHS, 8, seed=0, epoch=2) != plain
        other = epoch_batches(LENGTHS[::-1], 8, seed=0, epoch=1)
    assert sorted(i for batch in plain for i in batch) == list(range(203))
    assert list(map(len, plain)) == [8] * 25 + [3]
    assert other == plain  # lengths play no part
    assert padding(plain) > 5 * padding(alike)
