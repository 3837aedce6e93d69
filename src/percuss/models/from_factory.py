"""factory:module:function, a function of the user's that returns a network. It runs code, so it needs a flag."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from torch import nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models.from_module import describe
from percuss.models.options import Options


def build(name: str, options: Options) -> tuple[nn.Module, ModelInfo]:
    """Call ``module:function`` with ``classes`` (number) and ``channels`` where it takes them."""
    if not options.allow_code:
        raise ModelError(
            "a factory runs code of its own",
            value=f"factory:{name}",
            next_step="give --allow-code (allow_code=True) if you trust it",
        )
    module_name, _, function_name = name.partition(":")
    try:
        function: Any = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(
            "the factory cannot be imported",
            value=f"factory:{name} ({error})",
            allowed="factory:MODULE:FUNCTION on the Python path",
            next_step="set PYTHONPATH to the folder that holds the module",
        ) from error
    inner = 3 if options.grey_inside else options.channels or 3
    given = {"classes": None if options.classes is None else len(options.classes), "channels": inner}
    takes = inspect.signature(function).parameters
    try:
        network = function(**{key: value for key, value in given.items() if key in takes and value is not None})
    except Exception as error:  # code of the user's own
        raise ModelError(
            "the factory failed",
            value=f"factory:{name} ({type(error).__name__}: {error})",
            next_step="call the function in Python, and mend it until it returns a network",
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(
            "the factory returned no network",
            value=type(network).__name__,
            allowed="torch.nn.Module",
            next_step=f"let {function_name} return the network itself",
        )
    return network, describe(network, f"factory:{name}", options)
