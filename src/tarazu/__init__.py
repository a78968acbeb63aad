"""tarazu weighs ways of adapting a language model to a task, under one protocol, in one table.

The verbs of the command line are functions here: `run`, `report`, `methods`, `tasks`, `explain`,
`data`.

>>> import tarazu
>>> result = tarazu.run("studies/demo.yaml")  # doctest: +SKIP

Everything is imported when it is used, so that ``import tarazu`` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarazu import data, methods, report, tasks
    from tarazu.study import explain_method as explain
    from tarazu.study import run_study as run

__all__ = ["data", "explain", "methods", "report", "run", "tasks"]

_FUNCTIONS = {"run": "run_study", "explain": "explain_method"}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(import_module("tarazu.study"), _FUNCTIONS[name])
    if name in __all__:
        return import_module(f"tarazu.{name}")
    raise AttributeError(f"module 'tarazu' has no attribute {name!r}")
