"""Counting what a method trains on a model, from the model's configuration alone."""

from __future__ import annotations

from typing import Any

from tarazu.methods._method import Method
from tarazu.models.info import ModelInfo
from tarazu.record.record import Parameters
from tarazu.tasks._task import Task


def count(method: Method, info: ModelInfo, task: Task, knobs: Any) -> Parameters:
    """Count the parameters of a method on a model, from its configuration alone.

    Args:
        method: The method.
        info: The model.
        task: Decides the number of classes of a head.
        knobs: The method's knobs.
    """
    from tarazu.models.count import count_parameters
    from tarazu.models.load import empty_learner

    learner = empty_learner(info, method.reading(info, task, knobs), len(task.labels))
    method.attach(learner, knobs)
    return count_parameters(learner, method.deployed(learner))
