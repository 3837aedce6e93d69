"""Imports another attack library, when it is asked for and not before."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from percuss.core.errors import AttackError


def load(module: str, package: str) -> Any:
    """The module; AttackError that names the package to install where it cannot be imported."""
    try:
        with warnings.catch_warnings(), _drawing():
            warnings.simplefilter("ignore", DeprecationWarning)  # theirs to mend, on import alone
            return importlib.import_module(module)
    except ImportError as error:
        raise AttackError(
            f"the library {package} cannot be imported", value=error, next_step=f"pip install {package}"
        ) from error


@contextmanager
def _drawing() -> Iterator[None]:
    """adv-lib imports visdom, which it draws with only when told to and which often does not build: a stand-in."""
    name = "visdom"
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        yield
        return
    stand_in = types.ModuleType(name)
    vars(stand_in)["Visdom"] = object
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]
