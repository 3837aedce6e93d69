"""A network the user holds already."""

from __future__ import annotations

from torch import nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models.options import Options


def describe(network: nn.Module, spec: str, options: Options) -> ModelInfo:
    """What is said of the network by the options; without mean and std it gets the images as they are.

    Of a heat map the network's attribute ``cell`` tells the side of a cell in pixels, 1 where it has none.
    """
    if options.classes is None:
        raise ModelError("a network of your own needs class names", value=spec, next_step="give classes=[...]")
    channels = options.channels or 3
    inner = 3 if options.grey_inside else channels
    return ModelInfo(
        spec,
        options.task,
        options.classes,
        1 if options.grey_inside else channels,
        options.size,
        options.mean or (0.0,) * inner,
        options.std or (1.0,) * inner,
        "given" if options.weights is None else options.weights_name,
        cell=int(getattr(network, "cell", 1)) if options.task == "heatmap" else 1,
    )
