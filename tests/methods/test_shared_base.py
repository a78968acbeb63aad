"""One frozen base serves several tasks (N7), shown with adapters on the same encoder.

Inference, sentiment and question answering share one set of base weights in memory: each task
trains its own adapter and head, and neither training nor answering changes a base weight.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tarazu.catalog import find_method
from tarazu.models.learner import Batch, Learner
from tarazu.models.load import load_learner, make_head
from tarazu.models.precision import Precision
from tarazu.testing.tiny import TinyKind, tiny_info

BATCH: Batch = {
    "input_ids": torch.tensor([[2, 9, 14, 21, 3, 11, 8, 3]]),
    "attention_mask": torch.ones(1, 8, dtype=torch.long),
}
TASKS = {"inference": ("classes", 3), "sentiment": ("classes", 2), "questions": ("spans", 0)}


def _base(learner: Learner) -> dict[str, torch.Tensor]:
    return {
        name.replace(".base_layer", ""): tensor.clone()
        for name, tensor in learner.body.state_dict().items()
        if "lora_" not in name
    }


@pytest.mark.parametrize("method", ["lora", "p-tuning"])
def test_three_tasks_on_one_frozen_encoder(tiny: Callable[[TinyKind], Path], method: str) -> None:
    folder = tiny("bert")
    chosen, info = find_method(method), tiny_info(folder)
    learners: dict[str, Learner] = {}
    before: dict[str, torch.Tensor] = {}
    for task, (reading, classes) in TASKS.items():
        torch.manual_seed(len(task))
        learner = load_learner(
            folder,
            info,
            reading,
            classes,
            Precision("cpu", "float32", 1),  # type: ignore[arg-type]
        )
        chosen.attach(learner, chosen.knobs())
        learners[task] = learner
        before = before or _base(learner)
    _share(learners)

    alone = {task: _train(learner) for task, learner in learners.items()}

    # Every task answers as it did when it had just been trained, although others came after it.
    for task, learner in learners.items():
        assert torch.equal(_answer(learner), alone[task]), task
        after = _base(learner)
        assert all(torch.equal(after[name], before[name]) for name in before), task
    assert not torch.equal(alone["inference"][:, :2], alone["sentiment"])


def test_full_fine_tuning_cannot_share(tiny: Callable[[TinyKind], Path]) -> None:
    folder = tiny("bert")
    info = tiny_info(folder)
    learner = load_learner(folder, info, "classes", 3, Precision("cpu", "float32", 1))
    find_method("full").attach(learner, find_method("full").knobs())
    before = _base(learner)
    _train(learner)
    after = _base(learner)
    assert any(not torch.equal(after[name], before[name]) for name in before)


def _share(learners: dict[str, Learner]) -> None:
    """Let all learners hold the very same base tensors, once in memory."""
    first, *others = learners.values()
    base = {n.replace(".base_layer", ""): p for n, p in first.body.named_parameters()}
    for learner in others:
        for name, parameter in learner.body.named_parameters():
            if not parameter.requires_grad:
                parameter.data = base[name.replace(".base_layer", "")].data
                assert parameter.data_ptr() == base[name.replace(".base_layer", "")].data_ptr()


def _train(learner: Learner) -> torch.Tensor:
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW([p for _, p in learner.named_trained()], lr=1e-2)
    for _ in range(3):
        _logits(learner).float().pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return _answer(learner)


def _logits(learner: Learner) -> torch.Tensor:
    states = learner.hidden(BATCH["input_ids"], BATCH["attention_mask"])
    assert learner.head is not None
    is_classes = type(learner.head) is type(make_head(learner.info, "classes", 2))
    logits: torch.Tensor = (
        learner.head(states, BATCH["attention_mask"]) if is_classes else learner.head(states)
    )
    return logits


def _answer(learner: Learner) -> torch.Tensor:
    learner.eval()
    with torch.no_grad():
        return _logits(learner)
