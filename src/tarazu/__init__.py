"""tarazu weighs ways of adapting a language model to a task, under one protocol, in one table.

The verbs of the command line are functions here: `run`, `report`, `methods`, `tasks`, `explain`,
`data`, `verify`, `bundle`, `status`, `clean`, `doctor`.

>>> import tarazu
>>> result = tarazu.run("studies/demo.yaml")  # doctest: +SKIP

Everything is imported when it is used, so that ``import tarazu`` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarazu import data, methods, report, tasks
    from tarazu.archive import bundle
    from tarazu.cleaning import clean
    from tarazu.commands.doctor import doctor
    from tarazu.overview import status
    from tarazu.sentinel import verify
    from tarazu.study import explain_method as explain
    from tarazu.study import run_study as run

__all__ = [
    "bundle",
    "clean",
    "data",
    "doctor",
    "explain",
    "methods",
    "report",
    "run",
    "status",
    "tasks",
    "verify",
]

_FUNCTIONS = {
    "bundle": ("tarazu.archive", "bundle"),
    "clean": ("tarazu.cleaning", "clean"),
    "doctor": ("tarazu.commands.doctor", "doctor"),
    "status": ("tarazu.overview", "status"),
    "run": ("tarazu.study", "run_study"),
    "explain": ("tarazu.study", "explain_method"),
    "verify": ("tarazu.sentinel", "verify"),
}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        module, function = _FUNCTIONS[name]
        return getattr(import_module(module), function)
    if name in __all__:
        return import_module(f"tarazu.{name}")
    raise AttributeError(f"module 'tarazu' has no attribute {name!r}")
