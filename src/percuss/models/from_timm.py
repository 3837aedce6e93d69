"""timm:NAME, a network of timm; normalisation and size from its own configuration."""

from __future__ import annotations

from typing import Any, cast

import timm
from torch import nn

from percuss.core.errors import ModelError, nearest
from percuss.core.model import ModelInfo
from percuss.models.options import Options
from percuss.models.pretrained import downloading
from percuss.models.segmenters import judges_images


def build(name: str, options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; ModelError for unknown names."""
    if name not in timm.list_models() and name not in timm.list_models(pretrained=True):
        raise ModelError(
            "timm has no such model",
            value=name,
            allowed=nearest(name, timm.list_models()),
            next_step=f"percuss list models --match {name[:6]}",
        )
    judges_images(f"timm:{name}", options)
    classes = options.classes
    if classes is None:
        raise ModelError("a new network needs class names", value=f"timm:{name}", next_step="give classes=[...]")
    channels = options.channels or 3
    inner = 3 if options.grey_inside else channels
    settings: dict[str, Any] = {"num_classes": len(classes), "in_chans": inner}
    known = timm.get_pretrained_cfg(name)
    fixed = bool(known is not None and known.fixed_input_size)
    if fixed and options.size:
        settings["img_size"] = options.size
    wanted = options.weights == "pretrained"
    with downloading(f"timm:{name}", wanted=wanted, plain=lambda: timm.create_model(name, **settings)):
        network = timm.create_model(name, pretrained=wanted, **settings)
    own: dict[str, Any] = cast("dict[str, Any]", network.pretrained_cfg)
    size = (options.size or tuple(own["input_size"][1:])) if fixed else None
    return network, ModelInfo(
        f"timm:{name}",
        options.task,
        classes,
        1 if options.grey_inside else channels,
        size,
        options.mean or per_channel(own["mean"], inner),
        options.std or per_channel(own["std"], inner),
        options.weights_name,
    )


def per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """The configuration's colour values, or their mean for any other number of channels."""
    return tuple(values) if channels == len(values) else (sum(values) / len(values),) * channels
