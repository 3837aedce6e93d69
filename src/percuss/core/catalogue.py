"""Finds attacks and datasets by the names of their files, and those that other packages ship as entry points."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

from percuss.core.errors import PercussError, nearest


def entries(package: str, marker: str | None = None) -> dict[str, ModuleType]:
    """Modules of ``percuss.<package>`` that are catalogue entries, by name with hyphens, sorted.

    A module is an entry when it has a function named like its file, or, with ``marker``, that attribute.
    Entry points of the group ``percuss.<package>`` are added: each names a module.
    """
    home = importlib.import_module(f"percuss.{package}")
    found: dict[str, ModuleType] = {}
    for item in pkgutil.iter_modules(home.__path__):
        module = importlib.import_module(f"{home.__name__}.{item.name}")
        if hasattr(module, marker or item.name):
            found[item.name] = module
    for point in importlib.metadata.entry_points(group=f"percuss.{package}"):
        found[point.name] = point.load()
    return dict(sorted(found.items()))


def entry(package: str, name: str, marker: str | None = None) -> ModuleType:
    """One entry by name; PercussError with the nearest names where unknown.

    A name with a colon (``foolbox:LinfPGD``) is not of the catalogue: its entry is the module ``foreign``.
    """
    if ":" in name:
        home = importlib.import_module(f"percuss.{package}.foreign")
        home.check_source(name)
        return home
    known = entries(package, marker)
    if name not in known:
        raise PercussError(
            f"unknown {package.rstrip('s')}",
            value=name,
            allowed=nearest(name, known),
            next_step=f"percuss list {package} shows them all",
        )
    return known[name]


def function(package: str, name: str, *, allow_code: bool = False) -> Callable[..., Any]:
    """The function of an entry: the one named like its file, or what the module ``foreign`` finds by the name.

    ``allow_code`` lets ``factory:MODULE:FUNCTION`` import the code it names.
    """
    home = entry(package, name)
    found: Callable[..., Any]
    found = home.resolve(name, allow_code=allow_code) if ":" in name else getattr(home, name)
    return found


def summary(module: ModuleType) -> str:
    """First line of the module's docstring, for listings."""
    return (module.__doc__ or "").strip().splitlines()[0] if module.__doc__ else ""
