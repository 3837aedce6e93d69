"""torchvision:NAME for segmenters: logits alone, normalisation from the transforms of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torchvision
from torch import nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models.options import Options
from percuss.models.segmenters import wanted
from percuss.models.sides import settle


def segmenters() -> list[str]:
    """Names of the segmenters."""
    return list(torchvision.models.list_models(module=torchvision.models.segmentation))


def build(name: str, options: Options, *, start: Callable[[nn.Module, Any, str], None]) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; ``start`` fills in the pretrained weights where they are wanted."""
    asked = wanted(f"torchvision:{name}", options)
    if asked.channels not in (1, 3):
        raise ModelError(
            "networks of torchvision take colour or grey images",
            value=f"{asked.channels} channels",
            next_step="smp:NAME takes any number of channels",
        )
    own: Any = torchvision.models.get_model_weights(name).DEFAULT
    # The trunk has weights of its own, which torchvision would download unasked.
    network = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=len(asked.classes))
    network.register_forward_hook(_logits)
    if options.weights == "pretrained":
        start(network, own, name)
    size = settle(network, asked.spec, channels=3, outputs=len(asked.classes), size=options.size, fixed=False)
    transform = own.transforms()
    return network, asked.info(size=size, mean=tuple(transform.mean), std=tuple(transform.std))


def _logits(network: nn.Module, given: object, found: object) -> object:
    """The logits among what the network gives."""
    return found["out"] if isinstance(found, dict) else found
