"""Bringing tensors of the host to where a model is."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, without waiting for the copy where that can be.

    CUDA copies alongside other work only out of pinned memory; out of any other it makes the host
    wait. PyTorch keeps pinned memory for the next batch, and gives it out again only when the copy
    is done.

    Args:
        tensor: Of any shape, anywhere.
        device: Where it is wanted.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
