"""Parts of a training's state as tensors and JSON: optimiser, schedule, random states, numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

_OPTIMIZER, _RANDOM = "optimizer", "random"


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[Any]]:
    """Return the tensors of an optimiser by parameter and name, and its groups' settings."""
    whole = optimizer.state_dict()
    tensors = {
        f"{_OPTIMIZER}/{number}/{name}": value.detach().cpu()
        for number, values in whole["state"].items()
        for name, value in values.items()
    }
    groups = [{k: v for k, v in g.items() if k != "params"} for g in whole["param_groups"]]
    return tensors, groups


def load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[Any]
) -> None:
    """Put back what `optimizer_state` returned, into an optimiser of the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        kind, _, rest = path.partition("/")
        if kind == _OPTIMIZER:
            number, _, name = rest.partition("/")
            state.setdefault(int(number), {})[name] = tensor
    present = optimizer.state_dict()["param_groups"]
    merged = [{**now, **then} for now, then in zip(present, groups, strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": merged})


def schedule_state(schedule: Any) -> dict[str, Any]:
    """Return the place of a learning-rate schedule; its function follows from the plan."""
    state = schedule.state_dict()
    return {name: state[name] for name in ("base_lrs", "last_epoch", "_step_count", "_last_lr")}


def load_schedule(schedule: Any, state: Mapping[str, Any]) -> None:
    """Put back what `schedule_state` returned."""
    schedule.load_state_dict({**state, "lr_lambdas": [None] * len(schedule.lr_lambdas)})


def random_states() -> dict[str, Tensor]:
    """Return the states of all random number generators as tensors."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    assert kind == "MT19937"
    assert not isinstance(keys, str)
    _, python, gauss = random.getstate()
    states = {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(keys.astype(np.int64)),
        "numpy-rest": torch.tensor([position, has_gauss, cached], dtype=torch.float64),
        "python": torch.tensor(python, dtype=torch.int64),
        "python-gauss": torch.tensor([math.nan if gauss is None else gauss], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        states |= {f"cuda-{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return {f"{_RANDOM}/{name}": state for name, state in states.items()}


def restore_random_states(tensors: Mapping[str, Tensor]) -> None:
    """Put back what `random_states` returned."""
    states = {
        path.removeprefix(f"{_RANDOM}/"): tensor
        for path, tensor in tensors.items()
        if path.startswith(f"{_RANDOM}/")
    }
    torch.set_rng_state(states["torch"])
    position, has_gauss, cached = states["numpy-rest"].tolist()
    keys = states["numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), cached))
    gauss = states["python-gauss"].item()
    random.setstate((3, tuple(states["python"].tolist()), None if math.isnan(gauss) else gauss))
    for name, state in states.items():
        if name.startswith("cuda-") and torch.cuda.is_available():
            torch.cuda.set_rng_state(state, int(name.removeprefix("cuda-")))


def encoded(value: Any) -> Any:
    """Return numbers so that JSON holds them: those that are not finite as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, dict):
        return {name: encoded(part) for name, part in value.items()}
    return value


def decoded(value: Any) -> Any:
    """Undo `encoded`."""
    if isinstance(value, dict):
        if set(value) == {"float"}:
            return float(value["float"])
        return {name: decoded(part) for name, part in value.items()}
    return value
