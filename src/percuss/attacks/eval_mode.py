"""The model as attacks see it: in eval mode, no gradient for its parameters, on its own device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def frozen(model: torch.nn.Module) -> Iterator[None]:
    """Within, the model is in eval mode and no gradient is computed for its parameters."""
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    try:
        for parameter, _ in wanted:
            parameter.requires_grad_(False)
        model.eval()
        yield
    finally:
        for parameter, flag in wanted:
            parameter.requires_grad_(flag)
        for module, mode in modes:
            module.training = mode


def device_of(model: torch.nn.Module) -> torch.device:
    """Where the model's first parameter or buffer lives."""
    for values in (*model.parameters(), *model.buffers()):
        return values.device
    return torch.device("cpu")
