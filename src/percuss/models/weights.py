"""Weights from a file into a network: safetensors, or torch files read without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from percuss.core.errors import ModelError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name from ``.safetensors``, ``.pt`` or ``.pth``. ModelError where missing, unsafe or damaged."""
    if not path.is_file():
        raise ModelError("the weights file does not exist", value=path, next_step="look at the path given to --weights")
    try:
        found: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(
            "the weights file cannot be read safely",
            value=f"{path} ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
            allowed=".safetensors, or .pt with tensors only",
            next_step="save the state_dict of the network",
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ModelError("the weights file holds no tensors by name", value=path, allowed="a state_dict")
    return found


def fill(network: nn.Module, weights: dict[str, Tensor], source: object) -> None:
    """Put all weights into the network; ModelError that names what is missing, unexpected or of another shape."""
    own = network.state_dict()
    missing, extra = sorted(set(own) - set(weights)), sorted(set(weights) - set(own))
    shapes = [
        f"{name} is {tuple(weights[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in weights and own[name].shape != weights[name].shape
    ]
    problems = [
        f"{title} {len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for title, names in (("missing", missing), ("unexpected", extra), ("other shape", shapes))
        if names
    ]
    if problems:
        raise ModelError(
            f"the weights do not fit the network: {'; '.join(problems)}",
            value=source,
            next_step="name the architecture and classes the weights were made for",
        )
    network.load_state_dict(weights)
