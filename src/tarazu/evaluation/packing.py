"""Prompts with their continuations side by side in one row: no padding, and one forward pass.

A token sees the shared prefix, and of its own item what leads to it. The continuations of an item
branch off its prompt, as in a tree; what two of them begin with stands there once::

    prefix │ prompt A … ─┬─ con ── tra      │ prompt B … ─┬─ con ── tra
                         └─ en ── tail      │             └─ en ── tail

A continuation's last token is not there: nothing is read from its state.

Shapes: n tokens of the row, p tokens of the prefix, r states that are read, e scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

Tokens = Sequence[int]


class Branch(NamedTuple):
    """A token of a continuation, and the index among the branches of the one before it."""

    token: int
    parent: int


@dataclass
class Tree:
    """A prompt and the continuations that are asked of it.

    Attributes:
        prompt: Its tokens behind the prefix; not empty.
        branches: Tokens of continuations, each after its parent; -1 is the prompt's last token.
        targets: For each continuation, for each of its tokens, the branch whose state predicts it
            (-1: the prompt's last token) and the token.
    """

    prompt: Tokens
    branches: list[Branch] = field(default_factory=list)
    targets: list[list[tuple[int, int]]] = field(default_factory=list)

    def __len__(self) -> int:
        """Return how many tokens go through the model."""
        return len(self.prompt) + len(self.branches)


def tree(prompt: Tokens, continuations: Sequence[Tokens]) -> Tree:
    """Put the continuations of a prompt together."""
    made = Tree(prompt)
    known: dict[Branch, int] = {}
    for tokens in continuations:
        at = -1
        targets = []
        for token in tokens:
            targets.append((at, token))
            if len(targets) < len(tokens):
                branch = Branch(token, at)
                at = known.setdefault(branch, len(made.branches))
                if at == len(made.branches):
                    made.branches.append(branch)
        made.targets.append(targets)
    return made


@dataclass(frozen=True)
class Row:
    """Trees as the model reads them.

    Attributes:
        ids: Tokens, [1, n].
        positions: Of each token in its own sequence, virtual tokens and prefix counted, [1, n].
        mask: What each token sees, true or false, [1, 1, n, p + n].
        states: The positions in the row that are read, [r].
        read: For each score, which of `states` predicts it, [e].
        targets: For each score, the token, [e].
        owners: For each score, the number of its continuation, counted through all trees, [e].
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    states: Tensor
    read: Tensor
    targets: Tensor
    owners: Tensor


def row(trees: Sequence[Tree], prefix: int) -> Row:
    """Lay trees side by side.

    Args:
        trees: Trees.
        prefix: p, virtual tokens included.
    """
    total = sum(map(len, trees))
    ids: list[int] = []
    positions: list[int] = []
    mask = torch.zeros(total, prefix + total, dtype=torch.bool)
    mask[:, :prefix] = True
    states: dict[int, int] = {}
    read, targets, owners = [], [], []
    owner = 0
    for one in trees:
        start, end = len(ids), len(ids) + len(one.prompt)
        own = mask[start:, prefix + start :]
        own[: len(one.prompt), : len(one.prompt)] = torch.ones(
            len(one.prompt), len(one.prompt), dtype=torch.bool
        ).tril()
        ids += one.prompt
        positions += range(prefix, prefix + len(one.prompt))
        for branch in one.branches:
            here, before = len(ids), end + branch.parent if branch.parent >= 0 else end - 1
            mask[here] = mask[before]
            mask[here, prefix + here] = True
            ids.append(branch.token)
            positions.append(positions[before] + 1)
        for scores in one.targets:
            for at, token in scores:
                read.append(states.setdefault(end + at, len(states)))
                targets.append(token)
                owners.append(owner)
            owner += 1
    return Row(
        torch.tensor([ids]),
        torch.tensor([positions]),
        mask[None, None],
        torch.tensor(list(states)),
        torch.tensor(read),
        torch.tensor(targets),
        torch.tensor(owners),
    )


def batches(sizes: Sequence[int], budget: int, most: int) -> Iterator[list[int]]:
    """Yield indices of what goes together: long ones first, so that memory runs out at once.

    What goes with what follows from the sizes and the limits alone (trap T35).

    Args:
        sizes: Tokens of each.
        budget: Tokens of a batch; one that is larger goes alone.
        most: How many may go together.
    """
    batch: list[int] = []
    filled = 0
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        if batch and (filled + sizes[index] > budget or len(batch) == most):
            yield batch
            batch, filled = [], 0
        batch.append(index)
        filled += sizes[index]
    if batch:
        yield batch
