"""Mistakes put into the source, one at a time: a tensor made or left where it should not be.

A site is a call that says where a tensor shall be: one with ``device=``, ``.to(…)``, or
``to_device(…)``. Its mistake is to leave that out. The source stays as it is: the functions that
are called look who calls them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.utils._device import _device_constructors

import tarazu
from tarazu.models.copying import to_device

ROOT = Path(tarazu.__file__).parent
PACKAGES = ("evaluation", "methods", "models", "readings", "training")
FACTORIES = ("arange", "tensor", "ones", "zeros", "full", "linspace", "empty")


class Site(NamedTuple):
    """Where a tensor's device is said.

    Attributes:
        module: Path below the package.
        text: The call.
    """

    module: str
    text: str


def _sites() -> dict[tuple[str, str, int], Site]:
    """Return all by file, name of the function and line; calls may take several lines."""
    found = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                said = any(keyword.arg == "device" for keyword in node.keywords)
                moves = (name == "to" and node.args) or name == to_device.__name__
                if (name in FACTORIES and said) or moves:
                    site = Site(str(file.relative_to(ROOT)), ast.unparse(node))
                    for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                        found[str(file), name, line] = site
    return found


SITES = _sites()


class Mistakes:
    """Notes which sites are reached, and makes the mistake of one."""

    def __init__(self) -> None:
        self.reached: set[Site] = set()
        self.mistaken: Site | None = None

    @contextmanager
    def made(self, site: Site) -> Iterator[None]:
        """Make the mistake of a site within the block."""
        self.mistaken = site
        try:
            yield
        finally:
            self.mistaken = None

    def _is_made(self, name: str) -> bool:
        frame = sys._getframe(2)
        site = SITES.get((frame.f_code.co_filename, name, frame.f_lineno))
        if site is None:
            return False
        self.reached.add(site)
        return site == self.mistaken

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Watch the functions that put tensors somewhere."""
        _device_constructors()  # torch notes which they are when it first needs them
        for name in FACTORIES:
            patch.setattr(torch, name, self._factory(name, getattr(torch, name)))
        for kind in (torch.Tensor, nn.Module):
            patch.setattr(kind, "to", self._mover(kind.to))
        for module in [m for name, m in sys.modules.items() if name.startswith("tarazu.")]:
            if vars(module).get(to_device.__name__) is to_device:
                patch.setattr(module, to_device.__name__, self._copier())

    def _factory(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def factory(*args: Any, **settings: Any) -> Any:
            if self._is_made(name):
                settings.pop("device", None)
            return original(*args, **settings)

        return factory

    def _copier(self) -> Callable[..., Any]:
        def copied(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
            return tensor if self._is_made(to_device.__name__) else to_device(tensor, device)

        return copied

    def _mover(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def to(thing: Any, *args: Any, **settings: Any) -> Any:
            if self._is_made("to"):
                args = tuple(one for one in args if not isinstance(one, str | torch.device))
                settings.pop("device", None)
                if not args and not settings.get("dtype"):
                    return thing
            return original(thing, *args, **settings)

        return to
