"""monai:NAME?option=value, a two-dimensional segmenter of MONAI (Apache-2.0 licence, extra ``segment``)."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from torch import nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models.libraries import library
from percuss.models.options import Options
from percuss.models.segmenters import Wanted, constructed, wanted
from percuss.models.spec_options import divided, typed

#: Segmenters of the pinned version. Whatever else of ``monai.networks.nets`` takes the same three arguments is tried.
NAMES = (
    "AHNet",
    "AttentionUnet",
    "BasicUNet",
    "BasicUNetPlusPlus",
    "DynUNet",
    "FlexibleUNet",
    "HighResNet",
    "MedNeXt",
    "SegResNet",
    "SegResNetDS",
    "SwinUNETR",
    "UNETR",
    "UNet",
    "VNet",
)
_ASKED = ("spatial_dims", "in_channels", "out_channels")
_OURS = {*_ASKED, "img_size", "pretrained", "progress"}
_EXAMPLES = {
    "UNet": "channels=16,32,64,128&strides=2,2,2",
    "AttentionUnet": "channels=16,32,64,128&strides=2,2,2",
    "DynUNet": "kernel_size=3,3,3,3&strides=1,2,2,2&upsample_kernel_size=2,2,2",
    "FlexibleUNet": "backbone=efficientnet-b0",
}


def build(name: str, options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; images go in as they are.

    ModelError for unknown names and options, and for networks that give no logits at every pixel.
    """
    known = {key: [one for one in takes if one not in _OURS] for key, (_, takes) in _networks().items()}
    network_name, given = divided(name, known, library="MONAI")
    asked = wanted(f"monai:{name}", options)
    if options.weights == "pretrained":
        raise ModelError(
            "networks of MONAI have no pretrained weights here",
            value=asked.spec,
            next_step="leave out --pretrained, or give --weights FILE",
        )
    function, takes = _networks()[network_name]
    settings = {key: typed(value) for key, value in given.items()}
    settings |= dict(zip(_ASKED, (2, asked.inner, len(asked.classes)), strict=True))
    size = _fixed_size(takes, asked)
    if size is not None:
        settings["img_size"] = size
    _check_complete(network_name, takes, settings)
    network = constructed(asked.spec, function, settings)
    network.register_forward_hook(_only)
    size = asked.settled(network, fixed=size)
    return network, asked.info(size=size)


@functools.cache
def _networks() -> dict[str, tuple[Any, dict[str, bool]]]:
    """Classes of ``monai.networks.nets`` that may be two-dimensional segmenters, and which arguments each must have."""
    nets = library("monai.networks.nets", package="MONAI")
    found = {}
    for name, kind in vars(nets).items():
        # Each network has several names; its own is the one it gives itself.
        if not (inspect.isclass(kind) and issubclass(kind, nn.Module) and kind.__name__ == name):
            continue
        takes = {
            key: value.default is value.empty
            for key, value in inspect.signature(kind).parameters.items()
            if value.kind not in (value.VAR_POSITIONAL, value.VAR_KEYWORD)
        }
        if all(key in takes for key in _ASKED):
            found[name] = (kind, takes)
    return found


def _fixed_size(takes: dict[str, bool], asked: Wanted) -> tuple[int, int] | None:
    """(height, width) where the network must be told the size of its images."""
    if not takes.get("img_size"):
        return None
    if asked.options.size is None:
        raise ModelError(
            f"{asked.spec} is built for one size of images",
            next_step="train it, which takes the size from the data, or give size=(height, width) to load_model",
        )
    return asked.options.size


def _check_complete(name: str, takes: dict[str, bool], settings: dict[str, Any]) -> None:
    missing = [key for key, needed in takes.items() if needed and key not in settings]
    if missing:
        example = _EXAMPLES.get(name, "&".join(f"{key}=..." for key in missing))
        raise ModelError(
            f"monai:{name} has no form without options", value=", ".join(missing), next_step=f"monai:{name}?{example}"
        )


def _only(network: nn.Module, given: object, found: object) -> object:
    """The one map in a list: some networks give a list for their maps of several depths, even of one."""
    return found[0] if isinstance(found, list | tuple) and len(found) == 1 else found
