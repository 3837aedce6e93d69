"""torchvision:NAME, a classifier or segmenter of torchvision; normalisation from the transforms of its weights."""

from __future__ import annotations

from typing import Any

import torchvision
from torch import nn

from percuss.core.errors import ModelError, nearest
from percuss.core.model import ModelInfo
from percuss.models import torchvision_segmenters
from percuss.models.options import Options
from percuss.models.pretrained import downloading
from percuss.models.segmenters import judges_images
from percuss.models.weights import fill

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def names() -> list[str]:
    """Names of the classifiers."""
    return list(torchvision.models.list_models(module=torchvision.models))


def build(name: str, options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself. Grey images are copied to its three channels inside."""
    if name in torchvision_segmenters.segmenters():
        return torchvision_segmenters.build(name, options, start=_start_from)
    if name not in names():
        known = torchvision_segmenters.segmenters() if options.task == "segment" else names()
        raise ModelError(
            f"torchvision has no such {'segmenter' if options.task == 'segment' else 'classifier'}",
            value=name,
            allowed=nearest(name, known),
            next_step=f"percuss list models --match {name[:6]}",
        )
    judges_images(f"torchvision:{name}", options)
    classes = options.classes
    if classes is None:
        raise ModelError("a new network needs class names", value=f"torchvision:{name}", next_step="give classes=[...]")
    channels = 1 if options.grey_inside else options.channels or 3
    if channels not in (1, 3):
        raise ModelError(
            "networks of torchvision take colour or grey images",
            value=f"{channels} channels",
            next_step="timm:NAME takes any number of channels",
        )
    own: Any = torchvision.models.get_model_weights(name).DEFAULT
    # Two networks have a second output while training, and start slowly; neither is wanted here.
    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network = torchvision.models.get_model(name, weights=None, num_classes=len(classes), **extra)
    if options.weights == "pretrained":
        _start_from(network, own, name)
    transform = own.transforms()
    return network, ModelInfo(
        f"torchvision:{name}",
        options.task,
        classes,
        channels,
        _fixed_size(name, transform),
        options.mean or tuple(getattr(transform, "mean", _IMAGENET[0])),
        options.std or tuple(getattr(transform, "std", _IMAGENET[1])),
        options.weights_name,
    )


def _start_from(network: nn.Module, own: Any, name: str) -> None:
    """ImageNet weights everywhere but in the head, whose classes are others."""
    with downloading(f"torchvision:{name}", wanted=True):
        given = own.get_state_dict(progress=False)
    new = network.state_dict()
    fits = {
        key: given[key] if key in given and given[key].shape == value.shape else value for key, value in new.items()
    }
    fill(network, fits, f"torchvision:{name}")


def _fixed_size(name: str, transform: Any) -> tuple[int, int] | None:
    """Vision transformers of torchvision take one size only."""
    if not name.startswith("vit_"):
        return None
    side = transform.crop_size[0]
    return (side, side)
