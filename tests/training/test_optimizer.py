from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tarazu.catalog import find_method
from tarazu.models.fast import Fast, switched
from tarazu.models.learner import Learner
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, tiny_info
from tarazu.training.optimizer import make_optimizer, make_schedule

Load = Callable[..., Learner]


def test_groups_hold_every_trained_parameter_once(load: Load) -> None:
    learner = load("bert", "classes", method="last-k", k=1)
    optimizer = make_optimizer(
        learner, learning_rate=1e-3, head_learning_rate=1e-2, weight_decay=0.1
    )
    found = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == sum(len(group["params"]) for group in optimizer.param_groups)
    assert set(found) == {id(p) for _, p in learner.named_trained()}
    for name, parameter in learner.named_trained():
        group = found[id(parameter)]
        assert group["lr"] == (1e-2 if name.startswith("head.") else 1e-3), name
        decays = not (name.endswith("bias") or "LayerNorm" in name)
        assert group["weight_decay"] == (0.1 if decays else 0.0), name


def test_one_pass_over_the_weights_unless_it_is_switched_off(load: Load) -> None:
    learner = load("bert", "classes", method="last-k", k=1)
    rates = {"learning_rate": 1e-3, "head_learning_rate": 1e-2, "weight_decay": 0.1}
    assert make_optimizer(learner, **rates).defaults["fused"] is True
    with switched(Fast(fused_optimizer=False)):
        assert not make_optimizer(learner, **rates).defaults["fused"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]),
        ("constant", [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        ("cosine", [0.0, 0.5, 1.0, 0.853553, 0.5, 0.146447]),
    ],
)
def test_rate_rises_and_then_follows_the_schedule(
    load: Load, name: str, expected: list[float]
) -> None:
    learner = load("bert", "classes", method="last-k", k=1)
    optimizer = make_optimizer(learner, learning_rate=1.0, head_learning_rate=1.0, weight_decay=0)
    schedule = make_schedule(optimizer, name=name, warmup=1 / 3, steps=6)
    rates = []
    for _ in range(6):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_t33_soft_prompts_start_from_rates_of_their_own(
    tiny: Callable[[TinyKind], Path], nli: Task, kind: TinyKind
) -> None:
    info = tiny_info(tiny(kind))
    rates = {
        name: find_method(name).defaults(info, nli)["learning_rate"].value
        for name in ("full", "lora", "p-tuning")
    }
    assert 1e-3 <= rates["p-tuning"] <= 3e-1
    assert rates["p-tuning"] > 2 * rates["lora"] - 1e-9
    assert rates["full"] < rates["lora"]
