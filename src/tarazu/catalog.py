"""Discovery: every module in ``methods/`` and ``tasks/`` is found, none is listed.

A module without a leading underscore defines ``METHOD`` or ``TASK``, whose name is the file's name
with hyphens. Nothing here imports torch, so that listing is instant.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, TypeVar

from tarazu.errors import bad, did_you_mean
from tarazu.methods._method import Method
from tarazu.tasks._task import Task

Found = TypeVar("Found", Method, Task)


@functools.cache
def methods() -> dict[str, Method]:
    """Return all methods by name, sorted."""
    return discover("tarazu.methods", "METHOD", Method)


@functools.cache
def tasks() -> dict[str, Task]:
    """Return all tasks by name, sorted."""
    return discover("tarazu.tasks", "TASK", Task)


def discover(package: str, constant: str, kind: type[Found]) -> dict[str, Found]:
    """Import every public module of a package and collect the value that each defines.

    Args:
        package: Dotted name of the package.
        constant: Name that every module defines.
        kind: Type of that value.

    Returns:
        The values by their names, sorted.

    Raises:
        BadInput: A module defines no such value, or one whose name is not the file's.
    """
    found: dict[str, Found] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name.startswith("_"):
            continue
        where = f"{package}.{module.name}"
        value = getattr(importlib.import_module(where), constant, None)
        if not isinstance(value, kind):
            raise bad(
                where,
                f"a module of {package} must define {constant}, a {kind.__name__}",
                type(value).__name__ if value is not None else "nothing of that name",
                "A helper module takes a leading underscore in its name.",
            )
        name = module.name.replace("_", "-")
        if value.name != name:
            raise bad(
                where,
                f"the name of {constant} must be the file's name with hyphens, '{name}'",
                repr(value.name),
            )
        found[name] = value
    return dict(sorted(found.items()))


def find_method(name: str) -> Method:
    """Return a method by name.

    Raises:
        BadInput: There is no such method.
    """
    if name not in methods():
        raise bad("method", "must be a known method", repr(name), did_you_mean(name, methods()))
    return methods()[name]


def find_task(name: str) -> Task:
    """Return a task by name.

    Raises:
        BadInput: There is no such task.
    """
    if name not in tasks():
        raise bad("task", "must be a known task", repr(name), did_you_mean(name, tasks()))
    return tasks()[name]


def resolve_task(task: str | Mapping[str, Any]) -> Task:
    """Return the task that a study asks for: by name, or declared with its own columns.

    Args:
        task: A name, or ``{family: nli, columns: {…}, labels: […], language: en}``.

    Raises:
        BadInput: There is no such task, or the declaration is wrong.
    """
    if isinstance(task, str):
        return find_task(task)
    from tarazu.tasks._declared import declare_task

    return declare_task(dict(task))
