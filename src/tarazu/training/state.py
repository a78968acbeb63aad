"""Parts of a training's state as tensors and JSON: optimiser, schedule, random states, numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

_OPTIMIZER, _RANDOM, _DEVICE = "optimizer", "random", "device"
CPU = torch.device("cpu")


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
    """Put back what `optimizer_state` returned, into an optimiser of the same parameters.

    Raises:
        ValueError: It was an optimiser of other parameters; this one is as it was.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        kind, _, rest = path.partition("/")
        if kind == _OPTIMIZER:
            number, _, name = rest.partition("/")
            if int(number) >= len(parameters) or tensor.shape not in (
                parameters[int(number)].shape,
                torch.Size(),
            ):
                raise ValueError("its optimiser has other parameters")
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


def random_states(device: torch.device = CPU) -> dict[str, Tensor]:
    """Return the states of all random number generators that computing on a device draws from.

    Those of other devices do not matter, and may not be there where training goes on.

    Args:
        device: Where the model is. Its generator's state has no number of the device in its name:
            a machine may give the same card another one.
    """
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
    if (generator := _own_generator(device)) is not None:
        states[_DEVICE] = generator.get_rng_state(device)
    return {f"{_RANDOM}/{name}": state for name, state in states.items()}


def restore_random_states(tensors: Mapping[str, Tensor], device: torch.device = CPU) -> None:
    """Put back what `random_states` returned.

    Args:
        tensors: As returned; those of other names are ignored.
        device: Where the model is now.

    Raises:
        ValueError: The states are of a model on another kind of device.
    """
    states = {
        path.removeprefix(f"{_RANDOM}/"): tensor
        for path, tensor in tensors.items()
        if path.startswith(f"{_RANDOM}/")
    }
    if (generator := _own_generator(device)) is not None:
        if _DEVICE not in states:
            raise ValueError(f"it has no random state of a {device.type} device")
        generator.set_rng_state(states[_DEVICE], device)
    torch.set_rng_state(states["torch"])
    position, has_gauss, cached = states["numpy-rest"].tolist()
    keys = states["numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), cached))
    gauss = states["python-gauss"].item()
    random.setstate((3, tuple(states["python"].tolist()), None if math.isnan(gauss) else gauss))


@contextmanager
def preserved_random_states(device: torch.device) -> Iterator[None]:
    """Leave all generators as they are, whatever is drawn or seeded within the block.

    Args:
        device: Where the model is.
    """
    states = random_states(device)
    try:
        yield
    finally:
        restore_random_states(states, device)


def _own_generator(device: torch.device) -> Any | None:
    """Return the module of PyTorch that has the state of a device's generator.

    None for the CPU, and for an accelerator whose numbers come from the CPU's generator.
    """
    if device.type == "cpu":
        return None
    module = torch.get_device_module(device)
    return module if hasattr(module, "get_rng_state") else None


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
