"""A function that stands for the `forward` of one layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Bound:
    """Calls a function with its layer first; a class, so that a copied layer calls with itself.

    Args:
        compute: Takes the layer, then what `forward` takes.
        layer: The layer.
    """

    def __init__(self, compute: Callable[..., Any], layer: Any) -> None:
        self.compute = compute
        self.layer = layer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the layer's `forward` is asked for."""
        return self.compute(self.layer, *args, **kwargs)
