from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from tarazu.evaluation.packing import batches, row, tree

TOKENS = st.lists(st.integers(1, 3), min_size=1, max_size=4)
ITEMS = st.lists(
    st.tuples(TOKENS, st.lists(TOKENS, min_size=1, max_size=4)), min_size=1, max_size=4
)


@given(ITEMS, st.integers(0, 3))
def test_every_score_is_read_where_the_model_saw_exactly_what_leads_to_it(
    items: list[tuple[list[int], list[list[int]]]], prefix: int
) -> None:
    packed = row([tree(prompt, many) for prompt, many in items], prefix)
    ids, positions = packed.ids[0], packed.positions[0]
    assert packed.mask[0, 0, :, :prefix].all()
    own = packed.mask[0, 0, :, prefix:]
    scored = []
    for read, target, owner in zip(
        packed.read.tolist(), packed.targets.tolist(), packed.owners.tolist(), strict=True
    ):
        seen = own[packed.states[read]].nonzero()[:, 0]
        assert positions[seen].tolist() == list(range(prefix, prefix + len(seen)))
        # Whoever is seen has itself seen what stands before it, and nothing else.
        for place, token in enumerate(seen.tolist()):
            assert own[token].nonzero()[:, 0].tolist() == seen[: place + 1].tolist()
        scored.append((owner, ids[seen].tolist(), target))
    wanted, owner = [], 0
    for prompt, many in items:
        for tokens in many:
            wanted += [(owner, prompt + tokens[:k], token) for k, token in enumerate(tokens)]
            owner += 1
    assert scored == wanted


def test_what_continuations_begin_with_stands_there_once_and_last_tokens_do_not() -> None:
    one = tree([9], [[1, 2, 3], [1, 2, 4, 5], [1], [6]])
    assert [branch.token for branch in one.branches] == [1, 2, 4]
    assert len(one) == 4
    packed = row([one], 0)
    assert packed.ids.tolist() == [[9, 1, 2, 4]]
    assert len(packed.states) == 4
    assert torch.equal(packed.mask[0, 0], torch.ones(4, 4, dtype=torch.bool).tril())


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 40), st.integers(1, 8))
def test_t35_batches_keep_the_limits_and_follow_from_the_sizes(
    sizes: list[int], budget: int, most: int
) -> None:
    found = list(batches(sizes, budget, most))
    assert sorted(index for batch in found for index in batch) == list(range(len(sizes)))
    lengths = [sizes[index] for batch in found for index in batch]
    assert lengths == sorted(lengths, reverse=True)
    for batch in found:
        assert len(batch) <= most
        assert len(batch) == 1 or sum(sizes[index] for index in batch) <= budget
    # Nothing waits for which there was room.
    for batch, following in pairwise(found):
        filled = sum(sizes[index] for index in batch)
        assert len(batch) == most or filled + sizes[following[0]] > budget
