"""Saliency: how much each pixel moves the score of one class, as maps before and after an attack."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from percuss.core.errors import UsageError
from percuss.core.model import Model
from percuss.explain.asking import check_explained, class_scores, in_eval, library, place_of

Method = Literal["gradient", "integrated_gradients"]
METHODS: tuple[Method, ...] = ("gradient", "integrated_gradients")


def saliency(
    model: Model,
    images: Tensor,
    classes: Tensor,
    *,
    method: Method = "gradient",
    batch_size: int = 16,
    steps: int = 32,
) -> Tensor:
    """Maps of how much each pixel counts for the score of a class, by captum; each image's map is its own.

    Args:
        model: in any mode; asked in eval mode.
        images: float32 ``[N, C, H, W]`` in [0, 1].
        classes: class (or label) to explain, long ``[N]``. Give the same one before and after an attack.
        method: ``gradient``: size of the gradient of the logit (Simonyan, Vedaldi, Zisserman 2014);
            ``integrated_gradients``: gradients added up on the way from a black image (Sundararajan, Taly, Yan 2017).
        batch_size: images at once.
        steps: of the way, for ``integrated_gradients``.

    Returns:
        ``[N, H, W]`` on the CPU, 0 or more: the largest absolute value over the channels of each pixel.

    Raises:
        UsageError: unknown method, captum not installed.
        NoGradientError: the model is cut off from its input.
    """
    if method not in METHODS:
        raise UsageError("unknown method of saliency", value=method, allowed=", ".join(METHODS))
    attr, device, found = library("captum.attr"), place_of(model), [images.new_zeros(0, *images.shape[2:])]
    with in_eval(model), torch.enable_grad():
        check_explained(model, images, classes)
        by = (
            attr.Saliency(class_scores(model))
            if method == "gradient"
            else attr.IntegratedGradients(class_scores(model))
        )
        extra = {"abs": True} if method == "gradient" else {"n_steps": steps, "internal_batch_size": batch_size}
        for part, wanted in zip(torch.split(images, batch_size), torch.split(classes, batch_size), strict=True):
            inputs = part.detach().to(device).requires_grad_(True)
            values = by.attribute(inputs, target=wanted.to(device), **extra)
            found.append(values.detach().abs().amax(1).float().cpu())
    return torch.cat(found)
