"""YAML with places: what a study file says, and on which line it says it.

YAML 1.2, so that ``2e-4`` is a number and ``no`` a word. The text is read twice: once as nodes, for
lines and duplicate keys, and once as values. Files are limited in size, aliases and depth.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from tarazu.errors import BadInput, Problem, bad, did_you_mean

MAX_BYTES = 500_000
MAX_ALIASES = 100
MAX_DEPTH = 40
MAX_NODES = 20_000
LAST = MAX_BYTES  # the "line" of an override, after all lines of the file
_MERGE = "tag:yaml.org,2002:merge"

Keys = tuple[str | int, ...]


@dataclass
class Document:
    """Values of a study file with the place of each.

    Attributes:
        name: Name of the file, for messages.
        values: The values, as plain Python.
        lines: Line of every key path.
        overridden: The override that set a key path, as it was given.
        problems: Mistakes found so far, with their lines.
    """

    name: str
    values: Any
    lines: dict[Keys, int] = field(default_factory=dict)
    overridden: dict[Keys, str] = field(default_factory=dict)
    problems: list[tuple[int, Problem]] = field(default_factory=list)

    def place(self, keys: Keys) -> str:
        """Return where a key path, or the nearest one above it, was given, with its dotted name."""
        dotted = ".".join(map(str, keys))
        for end in range(len(keys), -1, -1):
            if keys[:end] in self.overridden:
                return self.overridden[keys[:end]]
            if keys[:end] in self.lines:
                return f"{self.name}:{self.lines[keys[:end]]} {dotted}".rstrip()
        return f"{self.name}:1 {dotted}".rstrip()

    def line(self, keys: Keys) -> int:
        """Return the line by which problems are put in order; overrides come last."""
        for end in range(len(keys), -1, -1):
            if keys[:end] in self.overridden:
                return LAST
            if keys[:end] in self.lines:
                return self.lines[keys[:end]]
        return 0

    def from_command_line(self, keys: Keys) -> bool:
        """Tell whether an override gave the value at a key path, or part of it."""
        return any(
            given[: len(keys)] == keys or keys[: len(given)] == given for given in self.overridden
        )


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True  # found on the nodes instead: all of them, with both lines
    return yaml


def _plain(values: Any) -> Any:
    """Reduce to JSON: keys are text, dates are text, and nothing is shared between two aliases."""
    return json.loads(json.dumps(values, default=str))


def read_document(path: Path) -> Document:
    """Read a study file.

    Args:
        path: The file.

    Returns:
        Its values with their lines; duplicate keys stand in `Document.problems`.

    Raises:
        BadInput: The file is missing, too large, not UTF-8, or not YAML.
    """
    text = _read_text(path)
    try:
        return _parsed(path.name, text)
    except (YAMLError, ValueError, TypeError) as error:
        raise BadInput(_syntax_problem(path.name, error)) from None


def _parsed(name: str, text: str) -> Document:
    """Read YAML within the limits."""
    _check_limits(name, text)
    root = _yaml().compose(text)
    document = Document(name, {})
    if root is not None:
        _Walk(document).visit(root, (), 0)
    document.values = _plain(_yaml().load(text))
    return document


def _check_limits(name: str, text: str) -> None:
    """Stop at aliases, depth, values or tags that no study needs, before anything is built."""
    aliases = depth = nodes = 0
    for event in _yaml().parse(text):
        aliases += isinstance(event, AliasEvent)
        nodes += isinstance(event, NodeEvent)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        where = f"{name}:{event.start_mark.line + 1}"
        if aliases > MAX_ALIASES:
            raise bad(where, f"a study may use at most {MAX_ALIASES} aliases", "more")
        if depth > MAX_DEPTH:
            raise bad(where, f"values may be nested at most {MAX_DEPTH} deep", "more")
        if nodes > MAX_NODES:
            raise bad(where, f"a study may hold at most {MAX_NODES} values", "more")
        if getattr(event, "tag", None) is not None:
            # Not that a tag could run anything here: it would only change what a value is.
            raise bad(where, "a study has plain values, without tags", event.tag)


def _read_text(path: Path) -> str:
    where = str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise bad(
                where, f"a study file may have at most {MAX_BYTES} bytes", path.stat().st_size
            )
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        folder = path.parent
        near = [p.name for p in folder.glob("*.y*ml")] if folder.is_dir() else []
        remedy = did_you_mean(path.name, near) if near else "Give the path of a YAML file."
        raise bad(where, "the study file must exist", "nothing there", remedy) from None
    except UnicodeDecodeError as error:
        raise bad(
            where, "a study file must be UTF-8", f"byte {error.start}: {error.reason}"
        ) from None
    except OSError as error:
        raise bad(where, "the study file must be readable", error.strerror) from None


def _syntax_problem(name: str, error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None)
    where = f"{name}:{mark.line + 1}" if mark is not None else name
    found = error.problem if isinstance(error, MarkedYAMLError) else str(error).splitlines()[0]
    return Problem(where, "must be valid YAML", str(found), "Check indentation and quotes here.")


class _Walk:
    """Notes the line of every key path, and duplicate keys."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.seen = 0

    def visit(self, node: Node, keys: Keys, depth: int) -> None:
        self.seen += 1
        if depth > MAX_DEPTH or self.seen > MAX_NODES:
            limit = f"nested at most {MAX_DEPTH} deep and hold at most {MAX_NODES} in all"
            raise bad(f"{self.document.name}:{node.start_mark.line + 1}", f"values may be {limit}")
        self.document.lines.setdefault(keys, node.start_mark.line + 1)
        if isinstance(node, SequenceNode):
            for index, child in enumerate(node.value):
                self.visit(child, (*keys, index), depth + 1)
        elif isinstance(node, MappingNode):
            self._mapping(node, keys, depth)

    def _mapping(self, node: MappingNode, keys: Keys, depth: int) -> None:
        first: dict[str, int] = {}
        merged: list[Node] = []
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                merged += child.value if isinstance(child, SequenceNode) else [child]
                continue
            name = str(key.value)
            path = (*keys, name)
            if name in first:
                problem = Problem(
                    f"{self.document.name}:{line} {'.'.join(map(str, path))}",
                    "a key may stand only once",
                    f"'{name}', also on line {first[name]}",
                    "Remove one of them.",
                )
                self.document.problems.append((line, problem))
            first.setdefault(name, line)
            self.document.lines.setdefault(path, line)
            self.visit(child, path, depth + 1)
        for child in merged:  # after the mapping's own keys, which win
            self.visit(child, keys, depth + 1)


def apply_overrides(document: Document, overrides: Sequence[str]) -> None:
    """Put ``a.b=c`` overrides into a document; mistakes are added to `Document.problems`.

    Args:
        document: The document, changed in place.
        overrides: Assignments; the value is YAML.
    """
    for text in overrides:
        where = f"--set {text}"
        try:
            path, value = parse_override(text)
            keys = _assign(document.values, path, value, where)
        except BadInput as error:
            document.problems += [(LAST, problem) for problem in error.problems]
            continue
        for old in [k for k in document.overridden if k[: len(keys)] == keys]:
            del document.overridden[old]
        document.overridden[keys] = where


def parse_override(text: str) -> tuple[list[str], Any]:
    """Split ``a.b=c`` into the parts of its path and its value, read as YAML.

    Raises:
        BadInput: It has no ``=``, an empty key, a value that is not YAML, or is beyond the limits
            of a study file.
    """
    where = f"--set {text}"
    path, equals, value = text.partition("=")
    parts = [part.strip() for part in path.split(".")]
    if not equals or not all(parts):
        raise bad(where, "must have the form a.b=c", "", "Example: --set training.epochs=1")
    name = f"--set {path}"
    if len(text) > MAX_BYTES:
        raise bad(name[:80], f"an override may have at most {MAX_BYTES} letters", len(text))
    if len(parts) > MAX_DEPTH:
        raise bad(name[:80], f"values may be nested at most {MAX_DEPTH} deep", len(parts))
    try:
        document = _parsed(name, value)
        if document.problems:
            raise BadInput(*(problem for _, problem in document.problems))
        return parts, document.values
    except (YAMLError, RecursionError, ValueError, TypeError) as error:
        found = getattr(error, "problem", None) or str(error)
        raise bad(where, "the value must be valid YAML", found, "Quote it.") from None


def _assign(target: Any, parts: list[str], value: Any, where: str) -> Keys:
    """Set a value in nested mappings and lists; returns the key path that was set."""
    keys: list[str | int] = []
    while True:
        key, parts = _next_key(target, parts, keys, where)
        keys.append(key)
        if not parts:
            target[key] = value
            return tuple(keys)
        if isinstance(target, dict) and target.get(key) is None:
            target[key] = {}
        target = target[key]


def _next_key(
    target: Any, parts: list[str], above: list[str | int], where: str
) -> tuple[str | int, list[str]]:
    """Return the first key of a path in a value, and the rest of the path."""
    if isinstance(target, list):
        if not parts[0].isdecimal() or int(parts[0]) >= len(target):
            rule = f"'{'.'.join(map(str, above))}' is a list of {len(target)}: its key is an index"
            raise bad(where, rule, repr(parts[0]), f"Valid: 0 to {len(target) - 1}.")
        return int(parts[0]), parts[1:]
    if not isinstance(target, dict):
        rule = f"'{'.'.join(map(str, above))}' is a single value and has no keys"
        raise bad(where, rule, "", f"Set '{'.'.join(map(str, above))}' itself.")
    for joined, rest in _joined(parts):  # a name may itself hold dots: models.llama-3.1.source
        if joined in target:
            return joined, rest
    return parts[0], parts[1:]


def _joined(parts: list[str]) -> Iterator[tuple[str, list[str]]]:
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end]), parts[end:]
