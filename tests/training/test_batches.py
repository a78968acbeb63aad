from __future__ import annotations

import random

import torch

from tarazu.training.batches import epoch_batches

LENGTHS = [(i * 37) % 50 + 1 for i in range(203)]


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
    padding = 0
    for batch in epoch_batches(LENGTHS, 8, seed=0, epoch=1):
        longest = max(LENGTHS[i] for i in batch)
        padding += sum(longest - LENGTHS[i] for i in batch)
    assert padding < 0.1 * sum(LENGTHS)
