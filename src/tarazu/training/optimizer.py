"""The optimiser: AdamW in fp32, no weight decay on biases and norms, the head at its own rate."""

from __future__ import annotations

from typing import Any

import torch

from tarazu.models.fast import switches
from tarazu.models.learner import Learner


def make_optimizer(
    learner: Learner, *, learning_rate: float, head_learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """Group trained parameters by learning rate and weight decay (Loshchilov and Hutter 2019).

    Args:
        learner: After a method's `attach`.
        learning_rate: Peak rate of the method's own parameters.
        head_learning_rate: Peak rate of the head.
        weight_decay: Decoupled decay of matrices; vectors (biases, norms) have none.
    """
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in learner.named_trained():
        groups.setdefault((name.startswith("head."), parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": head_learning_rate if in_head else learning_rate,
                "weight_decay": weight_decay if matrix else 0.0,
            }
            for (in_head, matrix), parameters in groups.items()
        ],
        # One pass over the weights instead of ten, on CPU and CUDA; None is the library's choice.
        fused=True if switches().fused_optimizer else None,
    )


def warmup_updates(share: float, steps: int) -> int:
    """Return over how many of all updates the learning rate rises.

    Args:
        share: Of all updates.
        steps: Number of updates.
    """
    return round(share * steps)


def make_schedule(optimizer: torch.optim.Optimizer, *, name: str, warmup: float, steps: int) -> Any:
    """Return the learning-rate schedule.

    Args:
        optimizer: Whose rates it sets.
        name: ``linear``, ``cosine`` or ``constant``.
        warmup: Share of all updates over which the rate rises from 0.
        steps: Number of updates.
    """
    from transformers import get_scheduler

    kind = "constant_with_warmup" if name == "constant" else name
    return get_scheduler(
        kind,
        optimizer,
        num_warmup_steps=warmup_updates(warmup, steps),
        num_training_steps=steps,
    )
