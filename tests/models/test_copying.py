"""Copies to a card leave pinned memory, so that nobody waits for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tarazu.models.copying import to_device


def test_what_goes_to_a_card_is_pinned_first(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    tensor = torch.arange(3)

    def pin(self: Tensor) -> Tensor:
        told.append("pin")
        return self

    def to(self: Tensor, *where: Any, **how: Any) -> Tensor:
        told.append((where, how))
        return self

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", to)
    card = torch.device("cuda")
    to_device(tensor, card)
    assert told == ["pin", ((card,), {"non_blocking": True})]


def test_elsewhere_nothing_is_pinned_or_copied() -> None:
    tensor = torch.arange(3)
    assert to_device(tensor, torch.device("cpu")) is tensor
    assert to_device(tensor, torch.device("meta")).device.type == "meta"
