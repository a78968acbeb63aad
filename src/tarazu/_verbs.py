"""Lets a package be called like the verb that it is named after.

``tarazu.methods`` is both the folder of methods and, called, the list of them, so that the Python
interface has the same verbs as the command line.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        module, _, function = self.__dict__["__verb__"].partition(":")
        return getattr(import_module(module), function)(*arguments, **named)


def callable_as(name: str, target: str) -> None:
    """Make a module callable.

    Args:
        name: The module's name.
        target: ``module:function`` that a call goes to; imported only then.
    """
    module = sys.modules[name]
    module.__class__ = _Verb
    module.__dict__["__verb__"] = target
