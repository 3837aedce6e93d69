"""percuss:soft_attention?network=NAME, a network of timm with soft attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

import timm
import torch
from torch import nn

from percuss.core.errors import ModelError, nearest
from percuss.core.model import ModelInfo
from percuss.models.from_timm import per_channel
from percuss.models.options import Options
from percuss.models.pretrained import downloading
from percuss.models.soft_attention import Form, with_soft_attention
from percuss.models.spec_options import chosen, number

OPTIONS = ("network", "form", "layer", "heads")


def build(given: Mapping[str, str], options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; the record's size is fixed where the network or the head fix it."""
    name = given.get("network", "resnet50")
    form = cast("Form", chosen(given, "form", get_args(Form), otherwise="fixed"))
    heads = number(given, "heads", otherwise=16)
    if heads != int(heads) or heads < 1:
        raise ModelError("the option heads must be a whole number", value=given["heads"], allowed="1 or more")
    channels = options.channels or 3
    inner = 3 if options.grey_inside else channels
    trunk, fixed = _timm(name, options, inner)
    own: dict[str, Any] = cast("dict[str, Any]", trunk.pretrained_cfg)
    size = options.size or cast("tuple[int, int]", tuple(own["input_size"][1:]))
    classes = options.classes or ()
    network = with_soft_attention(
        trunk,
        len(classes),
        images=torch.zeros(1, inner, *size, device=next(trunk.parameters()).device),
        form=form,
        layer=given.get("layer"),
        heads=int(heads),
    )
    info = ModelInfo(
        "percuss:soft_attention",
        options.task,
        classes,
        1 if options.grey_inside else channels,
        size if fixed or isinstance(network.pool, nn.Flatten) else None,
        options.mean or per_channel(own["mean"], inner),
        options.std or per_channel(own["std"], inner),
        options.weights_name,
    )
    return network, info


def _timm(name: str, options: Options, inner: int) -> tuple[nn.Module, bool]:
    """timm's network without its head, and whether it takes one size only."""
    if name not in timm.list_models() and name not in timm.list_models(pretrained=True):
        near = nearest(name, timm.list_models()).removesuffix(", ...").split(", ")
        raise ModelError(
            "timm has no such model",
            value=f"soft_attention?network={name}",
            allowed=", ".join(f"soft_attention?network={one}" for one in near),
            next_step=f"percuss list models --match {name[:6]}",
        )
    known = timm.get_pretrained_cfg(name)
    fixed = bool(known is not None and known.fixed_input_size)
    settings: dict[str, Any] = {"num_classes": 0, "in_chans": inner}
    if fixed and options.size:
        settings["img_size"] = options.size
    wanted = options.weights == "pretrained"
    with downloading(f"timm:{name}", wanted=wanted, plain=lambda: timm.create_model(name, **settings)):
        return timm.create_model(name, pretrained=wanted, **settings), fixed
