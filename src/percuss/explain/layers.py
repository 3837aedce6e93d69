"""Layers of any network found by what flows through them: the last spatial map, and the input of the classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError, nearest
from percuss.core.model import Model
from percuss.explain.asking import in_eval, place_of

_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d)
Hook = Callable[[str, nn.Module, Any, Any], None]


def named_layer(model: Model, name: str) -> nn.Module:
    """The part of the network of that name (as ``named_modules`` says it); ModelError with the nearest names."""
    known = {key: part for key, part in model.network.named_modules() if key}
    if name not in known:
        raise ModelError("the network has no such layer", value=name, allowed=nearest(name, known))
    part: nn.Module = known[name]
    return part


def watched(model: Model, image: Tensor, hook: Hook) -> None:
    """Run one image ``[C, H, W]`` and tell ``hook`` name, part, inputs and output of each part, as each ends."""
    handles = [
        part.register_forward_hook(lambda part, given, got, name=name: hook(name, part, given, got))
        for name, part in model.network.named_modules()
        if name
    ]
    try:
        with in_eval(model), torch.no_grad():
            model(image[None].to(place_of(model)))
    finally:
        for handle in handles:
            handle.remove()


def last_spatial_layer(model: Model, image: Tensor) -> str:
    """Name of the last part whose output is a map ``[1, C, h, w]`` of the image's proportions, larger than one pixel.

    Parts that only average, and parts used more than once, are passed over. ModelError where there is none, or where
    what follows are tokens (a transformer): its last map is that of the first layer and explains nothing.
    """
    high, wide = image.shape[1:]
    seen: list[tuple[str, bool]] = []
    used: Counter[str] = Counter()

    def _look(name: str, part: nn.Module, _: Any, got: Any) -> None:
        used[name] += 1
        if not isinstance(got, Tensor) or got.dim() not in (3, 4) or isinstance(part, _POOLS):
            return
        h, w = got.shape[2:] if got.dim() == 4 else (0, 0)
        if got.dim() == 3 or (h * w > 1 and abs(h * wide - w * high) <= max(high, wide)):
            seen.append((name, got.dim() == 4))

    watched(model, image, _look)
    maps = [name for name, spatial in seen if spatial and used[name] == 1]
    if not maps or not seen[-1][1]:
        raise ModelError(
            "the network has no spatial map before its classifier",
            value=model.info.spec,
            allowed="networks with a last map [N, C, h, w]",
            next_step="name a layer that has one, or look at saliency instead",
        )
    return maps[-1]


def classifier_layer(model: Model, image: Tensor) -> str:
    """Name of the last part with a weight matrix (linear or convolution) that runs; its input is the penultimate.

    ModelError where the network has none as a part of its own.
    """
    found: list[str] = []

    def _look(name: str, part: nn.Module, given: Any, got: Any) -> None:
        weight = getattr(part, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() >= 2 and given and isinstance(given[0], Tensor):
            found.append(name)

    watched(model, image, _look)
    if not found:
        raise ModelError(
            "the network has no last layer with weights as a part of its own",
            value=model.info.spec,
            next_step="name the layer whose output are the features",
        )
    return found[-1]
