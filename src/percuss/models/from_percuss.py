"""percuss:NAME, a network of ours, built on those of timm and torchvision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models import denoising_detector, soft_attention_source, sparse_detector, unet_avramidis, vgg16_joel
from percuss.models.options import Options
from percuss.models.spec_options import divided

Own = Callable[[Mapping[str, str], Options], tuple[nn.Module, ModelInfo]]
OWN: dict[str, Own] = {
    "vgg16_joel": vgg16_joel.build,
    "soft_attention": soft_attention_source.build,
    "unet_avramidis": unet_avramidis.build,
    "denoising_detector": denoising_detector.build,
    "sparse_detector": sparse_detector.build,
}
_OPTIONS = {
    "vgg16_joel": vgg16_joel.OPTIONS,
    "soft_attention": soft_attention_source.OPTIONS,
    "unet_avramidis": unet_avramidis.OPTIONS,
    "denoising_detector": denoising_detector.OPTIONS,
    "sparse_detector": sparse_detector.OPTIONS,
}


def build(name: str, options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; ModelError for unknown names and options."""
    own, given = divided(name, _OPTIONS)
    if options.classes is None:
        raise ModelError("a new network needs class names", value=f"percuss:{name}", next_step="give classes=[...]")
    network, info = OWN[own](given, options)
    return network, replace(info, spec=f"percuss:{name}")
