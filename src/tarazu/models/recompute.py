"""Computing activations again in the backward pass, where there is no memory to keep them.

Of every layer only the input is kept (Chen et al. 2016, Training Deep Nets with Sublinear Memory
Cost); dropout draws again what it drew, so the gradients are the same. The last layer is left as it
is: the backward pass begins with it, and would need all of it at once anyway.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tarazu.models.learner import Learner


class Recomputed:
    """Stands for the `forward` of a layer; its activations are not kept for the backward pass.

    A class, so that a copied layer computes with its own weights. Training passes no cache of keys
    and values, which a second computation would fill twice.

    Args:
        layer: The layer.
    """

    def __init__(self, layer: nn.Module) -> None:
        self.compute = layer.forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the layer's `forward` is asked for."""
        if not torch.is_grad_enabled():
            return self.compute(*args, **kwargs)
        return checkpoint(self.compute, *args, use_reentrant=False, **kwargs)


def recompute_activations(learner: Learner) -> None:
    """Let all layers but the last compute their activations again in the backward pass.

    Args:
        learner: After a method's `attach`.
    """
    for layer in list(learner.blocks())[:-1]:
        layer.forward = Recomputed(layer)
