"""Features of any network: what its classifier is given, or what a named layer gives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.model import Model
from percuss.explain.asking import in_eval, place_of
from percuss.explain.layers import classifier_layer, named_layer


def features(model: Model, images: Tensor, *, layer: str | None = None, batch_size: int = 32) -> Tensor:
    """One vector per image, taken by a hook.

    Args:
        model: in any mode; asked in eval mode.
        images: float32 ``[N, C, H, W]`` in [0, 1].
        layer: name of a part of the network, whose output is taken; None: the input of the classifier
            (``layers.classifier_layer``), the penultimate features.
        batch_size: images at once.

    Returns:
        float32 ``[N, D]`` on the CPU: maps ``[N, C, h, w]`` are averaged over positions, tokens ``[N, T, D]`` over
        tokens.

    Raises:
        ModelError: no such layer, or what it gives has not one row per image.
    """
    if not len(images):
        raise ModelError("there are no images to take features of", value=0)
    name = classifier_layer(model, images[0]) if layer is None else layer
    part, got = named_layer(model, name), []

    def keep(_: nn.Module, given: Any, out: Any = None) -> None:
        got.append(given[0] if layer is None else out)

    handle = part.register_forward_pre_hook(keep) if layer is None else part.register_forward_hook(keep)
    found = []
    try:
        with in_eval(model), torch.no_grad():
            for batch in torch.split(images, batch_size):
                got.clear()
                model(batch.to(place_of(model)))
                found.append(_flat(got[-1] if got else None, len(batch), name))
    finally:
        handle.remove()
    return torch.cat(found)


def _flat(values: Any, count: int, name: str) -> Tensor:
    if not isinstance(values, Tensor) or values.dim() not in (2, 3, 4) or len(values) != count:
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ModelError(
            "the layer gives no features", value=f"{name}: {shape}", allowed="[N, D], [N, T, D], [N, C, h, w]"
        )
    if values.dim() == 4:
        values = values.mean((2, 3))
    elif values.dim() == 3:
        values = values.mean(1)
    found: Tensor = values.detach().float().cpu()
    return found
