"""Discovery: every module in ``methods/`` and ``tasks/`` is found, none is listed.

A module without a leading underscore defines ``METHOD`` or ``TASK``, whose name is the file's name
with hyphens. Plug-ins that the user named stand beside them while they are in use. Nothing here
imports torch, so that listing is instant.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from tarazu.errors import BadInput, Problem, bad, did_you_mean
from tarazu.methods._method import Method
from tarazu.plugins import Loaded, Plugin, PluginName, find_plugin, load_plugin
from tarazu.tasks._task import Task

Found = TypeVar("Found", Method, Task)
OWN = "One of your own is named on the command line: --plugin FILE."

_in_use: ContextVar[tuple[Loaded, ...]] = ContextVar("_in_use", default=())


def methods(plugins: Sequence[PluginName] = ()) -> dict[str, Method]:
    """Return all methods by name, sorted.

    Args:
        plugins: Files or modules with methods or tasks of your own; their code is run.

    Raises:
        BadInput: A plug-in does not load, or takes a name that is taken.
    """
    if plugins:
        with using(plugins):
            return methods()
    own = {one.method.name: one.method for one in _in_use.get() if one.method is not None}
    return dict(sorted({**_methods(), **own}.items()))


def tasks(plugins: Sequence[PluginName] = ()) -> dict[str, Task]:
    """Return all tasks by name, sorted.

    Args:
        plugins: Files or modules with methods or tasks of your own; their code is run.

    Raises:
        BadInput: A plug-in does not load, or takes a name that is taken.
    """
    if plugins:
        with using(plugins):
            return tasks()
    own = {one.task.name: one.task for one in _in_use.get() if one.task is not None}
    return dict(sorted({**_tasks(), **own}.items()))


@functools.cache
def _methods() -> dict[str, Method]:
    return discover("tarazu.methods", "METHOD", Method)


@functools.cache
def _tasks() -> dict[str, Task]:
    return discover("tarazu.tasks", "TASK", Task)


@contextmanager
def using(plugins: Sequence[PluginName]) -> Iterator[None]:
    """Let the catalog hold what some plug-ins define, and no other plug-in, inside the block.

    Args:
        plugins: Files or modules that the user named.

    Raises:
        BadInput: One does not load, or takes a name that is taken.
    """
    if isinstance(plugins, str):
        raise bad("plugins", "must be a list of files or modules", repr(plugins))
    found: list[Plugin] = []
    problems: list[Problem] = []
    for named in plugins:
        try:
            plugin = find_plugin(named)
        except BadInput as error:
            problems += error.problems
            continue
        same = [(one.name, one.place, one.sha256) for one in found]
        if (plugin.name, plugin.place, plugin.sha256) not in same:  # else it is named twice
            found.append(plugin)
    if problems:
        raise BadInput(*problems)
    with using_found(found):
        yield


@contextmanager
def using_found(plugins: Iterable[Plugin]) -> Iterator[None]:
    """Do as `using` with plug-ins that were found before, perhaps by another process."""
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for plugin in plugins:
        try:
            loaded.append(load_plugin(plugin))
        except BadInput as error:
            problems += error.problems
    if problems or (problems := list(_clashes(loaded))):
        raise BadInput(*problems)
    before = _in_use.set(tuple(loaded))
    try:
        yield
    finally:
        _in_use.reset(before)


def _clashes(loaded: Sequence[Loaded]) -> Iterator[Problem]:
    """Yield every name that is taken: a plug-in replaces nothing."""
    remedy = "Give it another name."
    taken: dict[tuple[str, str], str] = {}
    taken |= {("method", name): "tarazu itself" for name in _methods()}
    taken |= {("task", name): "tarazu itself" for name in _tasks()}
    for one in loaded:
        own = [("plug-in", one.plugin.name)]
        own += [("method", one.method.name)] if one.method is not None else []
        own += [("task", one.task.name)] if one.task is not None else []
        for what in own:
            if what in taken:
                rule = f"the name of a {what[0]} must not be taken"
                value = f"'{what[1]}', which is of {taken[what]}"
                yield Problem(one.plugin.option, rule, value, remedy)
            taken[what] = one.plugin.option


def plugins_in_use() -> tuple[Plugin, ...]:
    """Return the plug-ins whose methods and tasks the catalog holds now."""
    return tuple(one.plugin for one in _in_use.get())


def plugins_of(method: str, task: str) -> tuple[Plugin, ...]:
    """Return the plug-ins in use that a method and a task come from, by name.

    Args:
        method: Name of the method.
        task: Name of the task; empty for one that a study declares.
    """
    found = [
        one.plugin
        for one in _in_use.get()
        if (one.method is not None and one.method.name == method)
        or (one.task is not None and one.task.name == task)
    ]
    return tuple(sorted(found, key=lambda plugin: plugin.name))


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


def unknown(name: str, known: Iterable[str]) -> str:
    """Return what to do about a name of a method or task that is not known."""
    return f"{did_you_mean(name, known)} {OWN}"


def find_method(name: str) -> Method:
    """Return a method by name.

    Raises:
        BadInput: There is no such method.
    """
    if name not in methods():
        raise bad("method", "must be a known method", repr(name), unknown(name, methods()))
    return methods()[name]


def find_task(name: str) -> Task:
    """Return a task by name.

    Raises:
        BadInput: There is no such task.
    """
    if name not in tasks():
        raise bad("task", "must be a known task", repr(name), unknown(name, tasks()))
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
