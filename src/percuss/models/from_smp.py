"""smp:NAME?encoder=..., a segmenter of segmentation_models_pytorch (MIT licence, extra ``segment``)."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import timm
from torch import nn

from percuss.core.errors import ModelError, nearest
from percuss.core.model import ModelInfo
from percuss.models.from_timm import per_channel
from percuss.models.libraries import library
from percuss.models.options import Options
from percuss.models.pretrained import downloading
from percuss.models.segmenters import constructed, wanted
from percuss.models.spec_options import divided, typed

#: Architectures of the pinned version; a later one's are taken too.
NAMES = (
    "DPT",
    "DeepLabV3",
    "DeepLabV3Plus",
    "FPN",
    "Linknet",
    "MAnet",
    "PAN",
    "PSPNet",
    "Segformer",
    "UPerNet",
    "Unet",
    "UnetPlusPlus",
)
# Percuss says these itself, or they would make the network give something else than logits.
_OURS = {"self", "encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params", "kwargs"}
_WEIGHTS = "imagenet"


def build(name: str, options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; ``weights="pretrained"`` fills its encoder, and normalises for it.

    ModelError for unknown names, encoders and options, and where no weights can be had.
    """
    smp = _smp()
    architecture, given = divided(name, _known(), library="segmentation_models_pytorch")
    asked = wanted(f"smp:{name}", options)
    function = _architectures()[architecture]
    encoder = given.pop("encoder", inspect.signature(function.__init__).parameters["encoder_name"].default)
    _check_encoder(smp, architecture, encoder)
    settings = {key: typed(value) for key, value in given.items()}
    settings |= {"encoder_name": encoder, "in_channels": asked.inner, "classes": len(asked.classes)}
    size = _fixed_size(encoder, options)
    if size is not None:
        settings["img_size"] = size
    mean = std = None
    plain = functools.partial(constructed, asked.spec, function, {**settings, "encoder_weights": None})
    if options.weights == "pretrained":
        weights = _weights(smp, encoder)
        with downloading(asked.spec, wanted=True, plain=plain):
            network = function(**settings, encoder_weights=weights)
            mean, std = _normalisation(smp, encoder, asked.inner)
    else:
        network = plain()
    size = asked.settled(network, fixed=size)
    return network, asked.info(size=size, mean=mean, std=std)


def _smp() -> Any:
    return library("segmentation_models_pytorch", package="segmentation_models_pytorch")


@functools.cache
def _architectures() -> dict[str, Any]:
    return {found.__name__: found for found in _smp().MODEL_ARCHITECTURES_MAPPING.values()}


@functools.cache
def _known() -> dict[str, list[str]]:
    """Options of each architecture."""
    return {
        name: ["encoder", *(key for key in inspect.signature(found.__init__).parameters if key not in _OURS)]
        for name, found in _architectures().items()
    }


def _check_encoder(smp: Any, architecture: str, encoder: str) -> None:
    """Encoders have names of their own, or are any network of timm behind ``tu-``."""
    # The old names timm-... are on their way out of the library, which warns of each.
    known = [name for name in smp.encoders.get_encoder_names() if not name.startswith("timm-")]
    if encoder in known:
        return
    networks = [f"tu-{name}" for name in timm.list_models()]
    if encoder in networks or encoder.removeprefix("tu-") in timm.list_models(pretrained=True):
        return
    near = nearest(encoder, networks if encoder.startswith("tu-") else known).removesuffix(", ...").split(", ")
    raise ModelError(
        "segmentation_models_pytorch has no such encoder",
        value=f"{architecture}?encoder={encoder}",
        allowed=", ".join(f"{architecture}?encoder={one}" for one in near),
        next_step="any network of timm is one: write tu- before its name",
    )


def _fixed_size(encoder: str, options: Options) -> tuple[int, int] | None:
    """(height, width) where the encoder is built for one size."""
    own: Any = timm.get_pretrained_cfg(encoder.removeprefix("tu-")) if encoder.startswith("tu-") else None
    if own is None or not own.fixed_input_size:
        return None
    return options.size or (own.input_size[1], own.input_size[2])


def _weights(smp: Any, encoder: str) -> str | bool:
    """What the library calls the encoder's ImageNet weights."""
    if encoder.startswith("tu-"):
        return True
    known = list(smp.encoders.encoders[encoder]["pretrained_settings"])
    if _WEIGHTS not in known:
        raise ModelError(
            "the encoder has no ImageNet weights",
            value=encoder,
            allowed=", ".join(known) or "none",
            next_step="leave out --pretrained, or give --weights FILE",
        )
    return _WEIGHTS


def _normalisation(smp: Any, encoder: str, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std that the encoder's weights were trained with, in [0, 1] units."""
    found = smp.encoders.get_preprocessing_params(encoder, pretrained=_WEIGHTS)
    if found["input_space"] != "RGB":
        raise ModelError(
            "the encoder's weights take colours in another order",
            value=f"{encoder} ({found['input_space']})",
            allowed="RGB",
            next_step="take another encoder",
        )
    top = found["input_range"][1]
    mean, std = (tuple(value / top for value in found[key]) for key in ("mean", "std"))
    return per_channel(mean, channels), per_channel(std, channels)
