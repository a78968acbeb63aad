from __future__ import annotations

import pytest
import torch

from tarazu.models.soft_prompt import SoftPrompt


@pytest.mark.parametrize("kind", ["MLP", "LSTM"])
def test_vectors_come_from_the_encoder_and_its_gradients_reach_it(kind: str) -> None:
    prompt = SoftPrompt(5, 16, 12, kind)
    assert prompt().shape == (5, 16)
    prompt().sum().backward()
    assert all(p.grad is not None for p in prompt.parameters())


def test_frozen_vectors_stay_when_the_encoder_changes_until_thawed() -> None:
    prompt = SoftPrompt(5, 16, 12, "MLP")
    vectors = prompt.freeze()
    assert not vectors.requires_grad
    with torch.no_grad():
        next(prompt.parameters()).add_(1.0)
    assert torch.equal(prompt(), vectors)
    prompt.thaw()
    assert not torch.equal(prompt(), vectors)


def test_restored_vectors_need_no_encoder() -> None:
    vectors = SoftPrompt(5, 16, 12, "MLP").freeze()
    deployed = SoftPrompt(5, 16, 12, "MLP")
    deployed.restore(vectors)
    assert torch.equal(deployed(), vectors)
    assert list(deployed.parameters()) == []
