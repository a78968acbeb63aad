"""Names of the parts that computed, in the language of the report."""

from __future__ import annotations

from collections.abc import Callable

from tarazu.record.record import Environment
from tarazu.report.html.writer import Writer

_DEVICES = {"cpu": "CPU", "cuda": "CUDA"}


def device_of(environment: Environment, write: Writer, show: Callable[[object], str]) -> str:
    """Return a run's device with its parts, such as ``CUDA (Tesla T4, 15.8 GB, driver 535.1)``.

    Args:
        environment: Of the run; records from before parts were noted name the device only.
        write: Writes in the language of the report.
        show: Makes a foreign text harmless for the form of the report.
    """
    device = show(_DEVICES.get(environment.device, environment.device))
    parts = environment.hardware
    if parts is None:
        return device
    if environment.device == "cpu":
        told = [show(parts.processor)] if parts.processor else []
    else:
        told = [show(parts.card)] if parts.card else []
        if parts.card_memory:
            told.append(write.size(parts.card_memory))
        if parts.capability:
            told.append(write.say("hardware_capability", value=show(parts.capability)))
        if parts.driver:
            told.append(write.say("hardware_driver", version=show(parts.driver)))
        if parts.processor:
            told.append(show(parts.processor))
    return f"{device} ({write.listed(told)})" if told else device
