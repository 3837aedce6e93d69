"""Libraries of networks that not everybody has installed, loaded when a model of theirs is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from percuss.core.errors import ModelError


def library(name: str, *, package: str) -> Any:
    """A module of the extra ``segment``; ModelError naming the package and the extra where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"{package} is not installed", value=error, next_step="pip install 'percuss[segment]'"
        ) from error
