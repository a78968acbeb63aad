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
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

import psutil

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
_GONE = "gone"
_imported: dict[str, str] = {}
"""Modules of plug-ins' packages that Python holds, with the hashes of the files they came from."""


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
        files: The files that the hash is of, with the hash of each.
    """

    name: str
    named: str
    place: Path
    sha256: str
    source: bytes | None = None
    files: tuple[tuple[Path, str], ...] = ()

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
    option = f"--plugin {text}"
    with _readable(option):
        place = Path(text).expanduser()
        if place.suffix != ".py":
            raise bad(option, "must be a Python file, which ends in .py, or a module's name", text)
        if not place.is_file():
            found = "a folder" if place.is_dir() else "no such file"
            raise bad(option, "must be a Python file that exists", found, "Check the path.")
        source, file = place.read_bytes(), place.resolve()
    sha = hashlib.sha256(source).hexdigest()
    return Plugin(place.name, text, file, sha, source, ((file, sha),))


@contextmanager
def _readable(option: str) -> Iterator[None]:
    """Tell what keeps a file from being read; `expanduser` knows no home of an unknown user."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        said = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise bad(option, "must be a file that can be read", said, "Check the path.") from None


def _find_module(name: str) -> Plugin:
    option = f"--plugin {name}"
    if not all(part.isidentifier() for part in name.split(".")):
        raise bad(option, "must be a Python file, which ends in .py, or a module's name", name)
    before = set(sys.modules)
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
    with _readable(option):
        if (
            spec.origin is None
            or not spec.origin.endswith(".py")
            or not Path(spec.origin).is_file()
        ):
            raise bad(option, "must be a module that is a Python file", spec.origin or "no file")
        place = Path(spec.origin).resolve()
        folder, files = _module_files(name, place)
        plugin = Plugin(name, name, place, _module_hash(folder, files), files=files)
        _note_imported(plugin, before)
        _check_imported(plugin)
    return plugin


def _module_files(name: str, file: Path) -> tuple[Path, tuple[tuple[Path, str], ...]]:
    """Return the files of a module, with all of its package, which it may import from.

    Returns:
        The folder that the names of the files begin at, and the files with their hashes.

    Raises:
        BadInput: Not all of its name's packages have an ``__init__.py``: which files belong to a
            package without one cannot be told, since it may lie in many folders.
    """
    package, folder, depth = None, file.parent, 0
    while (folder / "__init__.py").is_file():
        package, folder, depth = folder, folder.parent, depth + 1
    if depth < name.count(".") + (file.name == "__init__.py"):
        where, remedy = folder / "__init__.py", "Put an empty one there, or name the file."
        rule = "a module with a dot in its name must be in a package with __init__.py"
        raise bad(f"--plugin {name}", rule, f"no {where}", remedy)
    found = [file] if package is None else sorted(package.rglob("*.py"))
    return folder, tuple((one, sha256_file(one)) for one in found if one.is_file())


def _module_hash(folder: Path, files: Sequence[tuple[Path, str]]) -> str:
    if len(files) == 1 and files[0][0].parent == folder:
        return files[0][1]
    return sha256_rows([one.relative_to(folder).as_posix(), sha] for one, sha in files)


def _imported_files(plugin: Plugin) -> Iterator[tuple[str, Path, str]]:
    """Yield the modules of a plug-in's package that Python holds: name, file and its hash now."""
    files, root = dict(plugin.files), plugin.named.partition(".")[0]
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if name.partition(".")[0] == root and origin and origin.endswith(".py"):
            file = Path(origin).resolve()
            yield name, file, files.get(file, _GONE)


def _note_imported(plugin: Plugin, before: Collection[str]) -> None:
    """Note which code the modules came from that Python did not hold before."""
    for name, _, sha in _imported_files(plugin):
        if name not in before:
            _imported[name] = sha


def _check_imported(plugin: Plugin) -> None:
    """Refuse a plug-in if Python holds other code of its package than its files.

    Nothing tells which code a module came from that something else imported; but a file that is
    older than this process has not changed since.
    """
    for name, file, sha in _imported_files(plugin):
        if name not in _imported and sha != _GONE and file.stat().st_mtime < _began():
            _imported[name] = sha
        if _imported.get(name) != sha:
            rule = "the code must be what Python has imported"
            value = f"{file.name}, which may have changed since"
            raise bad(plugin.option, rule, value, "Start Python again.")


def _began() -> float:
    """Return when this process began, in seconds since 1970."""
    began: float = psutil.Process().create_time()
    return began


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
    name, before = plugin.named, set(sys.modules)
    with _readable(plugin.option):
        _check_unchanged(plugin)
        _check_imported(plugin)
        try:
            module = importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise _failed(plugin.option, error, plugin.place) from None
        finally:
            # What it imported stays, even where it fails itself and is mended and named again.
            _note_imported(plugin, before)
        _check_unchanged(plugin)  # it may have been edited just before it was imported
    return module


def _check_unchanged(plugin: Plugin) -> None:
    if _module_hash(*_module_files(plugin.named, plugin.place)) != plugin.sha256:
        rule = "the code must stay what it was when the study began"
        raise bad(plugin.option, rule, "changed files", "Give the command again.")


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
