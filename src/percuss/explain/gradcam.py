"""Grad-CAM: where the last spatial map of a network speaks for a class."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.core.errors import ModelError
from percuss.core.model import Model
from percuss.explain.asking import check_explained, class_scores, in_eval, library, place_of
from percuss.explain.layers import last_spatial_layer, named_layer


def gradcam(model: Model, images: Tensor, classes: Tensor, *, layer: str | None = None, batch_size: int = 16) -> Tensor:
    """Maps of where a layer speaks for a class (Selvaraju et al. 2017), by captum, enlarged to the image.

    Args:
        model: in any mode; asked in eval mode.
        images: float32 ``[N, C, H, W]`` in [0, 1].
        classes: class (or label) to explain, long ``[N]``. Give the same one before and after an attack.
        layer: name of a part of the network whose output is ``[N, C, h, w]``; None: ``last_spatial_layer``.
        batch_size: images at once.

    Returns:
        ``[N, H, W]`` on the CPU, 0 or more (what speaks against the class is cut off), bilinear from the layer's size.

    Raises:
        ModelError: no such layer, or one without a map.
        UsageError: captum not installed.
        NoGradientError: the model is cut off from its input.
    """
    attr, device, found = library("captum.attr"), place_of(model), [images.new_zeros(0, *images.shape[2:])]
    name = last_spatial_layer(model, images[0]) if layer is None else layer
    part_of = named_layer(model, name)
    with in_eval(model), torch.enable_grad():
        check_explained(model, images, classes)
        by = attr.LayerGradCam(class_scores(model), part_of)
        for part, wanted in zip(torch.split(images, batch_size), torch.split(classes, batch_size), strict=True):
            inputs = part.detach().to(device).requires_grad_(True)
            values = by.attribute(inputs, target=wanted.to(device), relu_attributions=True)
            if not isinstance(values, Tensor) or values.dim() != 4:
                raise ModelError("the layer's output is no map", value=name, allowed="a layer with [N, C, h, w]")
            large = torch.nn.functional.interpolate(
                values.detach().float(), size=images.shape[2:], mode="bilinear", align_corners=False
            )
            found.append(large[:, 0].cpu())
    return torch.cat(found)
