"""Counting parameters, by the same code on meta tensors and on real weights."""

from __future__ import annotations

from tarazu.models.learner import Learner
from tarazu.record.record import Parameters

BYTES_AS_SAVED = 4  # trained tensors are saved in fp32


def count_parameters(learner: Learner, deployed: int | None = None) -> Parameters:
    """Count what is trained and what must be shipped.

    Use a learner on meta tensors for `total`: quantised weights are packed two to a byte.

    Args:
        learner: After a method's `attach`.
        deployed: Parameters that must be stored for the task beside a shared base, when they are
            not simply the trained ones.
    """
    head = set(map(id, learner.head.parameters())) if learner.head is not None else set()
    trained = sum(p.numel() for _, p in learner.named_trained() if id(p) not in head)
    in_head = sum(p.numel() for _, p in learner.named_trained() if id(p) in head)
    shipped = trained + in_head if deployed is None else deployed + in_head
    return Parameters(
        total=sum(p.numel() for p in learner.parameters()),
        trained=trained,
        head=in_head,
        deployed=shipped,
        deployed_bytes=shipped * BYTES_AS_SAVED,
    )
