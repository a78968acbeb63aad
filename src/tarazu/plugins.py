"""Plug-ins: methods and tasks of a user's own, in a Python file or an importable module.

One loads when it is named on the command line (``--plugin``) or given as `plugins`, and by nothing
else: a study, a record and a model are data. The catalog holds what is in use; a run's process is
sent the plug-ins that the run needs.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import linecache
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from tarazu.errors import BadInput, bad
from tarazu.methods._method import Method
from tarazu.record.key import sha256_file, sha256_rows
from tarazu.scrub import scrub
from tarazu.tasks._task import Task

PluginName = str | os.PathLike[str]
"""A Python file, or the dotted name of an importable module."""

Value = TypeVar("Value", Method, Task)
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST = 300
_imported: dict[str, str] = {}  # modules that were imported as plug-ins here, with their hashes


@dataclass(frozen=True)
class Plugin:
    """A plug-in as it is named and as it was found; it can be sent to another process.

    Attributes:
        name: What records call it: the file's name without its folder, or the module's.
        named: What names it on the command line.
        place: The file.
        sha256: Of the file; for a module inside a package, of all Python files of that package.
        source: The file's bytes, so that every process runs the same code even when the file is
            edited meanwhile; None for a module, which is imported by its name.
    """

    name: str
    named: str
    place: Path
    sha256: str
    source: bytes | None = None

    @property
    def option(self) -> str:
        """How a command names it, for messages."""
        return f"--plugin {self.named}"


@dataclass(frozen=True)
class Loaded:
    """What a plug-in holds."""

    plugin: Plugin
    method: Method | None
    task: Task | None


def find_plugin(named: PluginName) -> Plugin:
    """Find a plug-in and take its hash. Of a module inside a package, the package is imported.

    Args:
        named: A path, which ends in ``.py`` or holds a slash, or the dotted name of a module. A
            module is looked for where Python looks: the working folder is not made part of that.

    Raises:
        BadInput: There is no such file or module, or it cannot be read.
    """
    text = os.fspath(named)
    if isinstance(named, os.PathLike) or text.endswith(".py") or "/" in text or os.sep in text:
        return _find_file(text)
    return _find_module(text)


def load_plugin(plugin: Plugin) -> Loaded:
    """Run a plug-in's code and take what it defines.

    Raises:
        BadInput: It does not load, defines neither ``METHOD`` nor ``TASK``, or is not what it was.
    """
    module = _module(plugin) if plugin.source is None else _executed(plugin, plugin.source)
    method = _constant(plugin, module, "METHOD", Method)
    task = _constant(plugin, module, "TASK", Task)
    if method is None and task is None:
        rule = "a plug-in must define METHOD, a Method, or TASK, a Task, or both"
        raise bad(plugin.option, rule, "neither", "docs/guide/adding.md shows a whole one.")
    return Loaded(plugin, method, task)


def _find_file(text: str) -> Plugin:
    place, option = Path(text).expanduser(), f"--plugin {text}"
    if place.suffix != ".py":
        raise bad(option, "must be a Python file, which ends in .py, or a module's name", text)
    if not place.is_file():
        found = "a folder" if place.is_dir() else "no such file"
        raise bad(option, "must be a Python file that exists", found, "Check the path.")
    try:
        source = place.read_bytes()
    except OSError as error:
        raise bad(option, "must be a file that can be read", error.strerror or "") from None
    sha = hashlib.sha256(source).hexdigest()
    return Plugin(place.name, text, place.resolve(), sha, source)


def _find_module(name: str) -> Plugin:
    option = f"--plugin {name}"
    if not all(part.isidentifier() for part in name.split(".")):
        raise bad(option, "must be a Python file, which ends in .py, or a module's name", name)
    try:
        spec = importlib.util.find_spec(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError:
        spec = None
    except BaseException as error:
        raise _failed(option, error) from None
    if spec is None:
        file = Path(*name.split(".")).with_suffix(".py")
        remedy = f"A file is named with its ending: --plugin {file}." if file.is_file() else ""
        remedy = remedy or "Install what holds it, or name a file."
        raise bad(option, "must be a module that Python can import", "no such module", remedy)
    if spec.origin is None or not spec.origin.endswith(".py") or not Path(spec.origin).is_file():
        raise bad(option, "must be a module that is a Python file", spec.origin or "no file")
    place = Path(spec.origin).resolve()
    return Plugin(name, name, place, _module_hash(place))


def _module_hash(file: Path) -> str:
    """Return the hash of a module: with all of its package, which it may import from."""
    package, folder = None, file.parent
    while (folder / "__init__.py").is_file():
        package, folder = folder, folder.parent
    if package is None:
        return sha256_file(file)
    return sha256_rows(
        [one.relative_to(folder).as_posix(), sha256_file(one)]
        for one in sorted(package.rglob("*.py"))
        if one.is_file()
    )


def _executed(plugin: Plugin, source: bytes) -> ModuleType:
    """Run the bytes that were hashed, whatever the file holds by now; its folder stays closed."""
    stem = re.sub(r"\W", "_", plugin.place.stem)
    name = f"tarazu_plugin_{stem}_{plugin.sha256[:16]}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(plugin.place):
        return known
    module = ModuleType(name)
    module.__file__ = str(plugin.place)
    try:
        text = importlib.util.decode_source(source)
        code = compile(source, str(plugin.place), "exec", dont_inherit=True)
        # Documentation of knobs and tracebacks come from here and not from an edited file.
        lines = text.splitlines(keepends=True)
        linecache.cache[str(plugin.place)] = (len(text), None, lines, str(plugin.place))
        sys.modules[name] = module  # where pydantic and dataclasses look for annotations
        exec(code, module.__dict__)
    except KeyboardInterrupt:
        sys.modules.pop(name, None)
        raise
    except BaseException as error:
        sys.modules.pop(name, None)
        raise _failed(plugin.option, error, plugin.place) from None
    return module


def _module(plugin: Plugin) -> ModuleType:
    name = plugin.named
    if _module_hash(plugin.place) != plugin.sha256:
        rule = "the code must stay what it was when the study began"
        raise bad(plugin.option, rule, "changed files", "Give the command again.")
    if _imported.get(name, plugin.sha256) != plugin.sha256:
        rule = "the code must be what Python has imported"
        raise bad(plugin.option, rule, "files that changed since", "Start Python again.")
    try:
        module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failed(plugin.option, error, plugin.place) from None
    _imported[name] = plugin.sha256
    return module


def _failed(option: str, error: BaseException, place: Path | None = None) -> BadInput:
    """Say in one line why a plug-in does not load: SystemExit in it ends the plug-in, not us."""
    said = " ".join(str(error).split())
    line = error.lineno if isinstance(error, SyntaxError) else _line(error.__traceback__, place)
    told = scrub(f"{type(error).__name__}: {said}" if said else type(error).__name__)
    told = told if len(told) <= _LONGEST else told[: _LONGEST - 1] + "…"
    remedy = "Mend it; `python FILE` shows the whole traceback."
    if isinstance(error, ModuleNotFoundError):
        remedy = "Install what it imports: its own folder is not searched for modules."
    return bad(
        option, "must load without an error", told + (f" (line {line})" * bool(line)), remedy
    )


def _line(trace: TracebackType | None, place: Path | None) -> int | None:
    """Return the line of a file at which an error went through it, the innermost."""
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(place):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _constant(plugin: Plugin, module: ModuleType, name: str, kind: type[Value]) -> Value | None:
    value: Any = getattr(module, name, None)
    if value is None:
        return None
    if not isinstance(value, kind):
        rule = f"{name} must be a {kind.__name__} of {kind.__module__}"
        raise bad(plugin.option, rule, type(value).__name__)
    if not isinstance(value.name, str) or not _NAME.fullmatch(value.name):
        rule = f"the name of {name} must be small letters, digits and single hyphens"
        raise bad(plugin.option, rule, repr(value.name))
    return value
