"""percuss:unet_avramidis, the U-Net of Avramidis et al.: three levels, dropout, one logit per class and pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models.options import Options
from percuss.models.sides import check_sides
from percuss.models.spec_options import chosen, number

OPTIONS = ("upsampling", "width")
#: Two forms of what doubles the sides; both have the same number of weights.
Upsampling = Literal["paper", "corrected"]
UPSAMPLINGS = ("paper", "corrected")
#: Sides must be multiples of this: they are halved three times.
MULTIPLE = 8
#: Channels of the top level, as in the paper; each level below has twice as many.
WIDTH = 64
_DROPOUT = 0.2


class Doubling(nn.Module):
    """Doubles the sides of maps and changes their number, without an activation.

    ``paper`` is a transposed convolution of kernel 1 and stride 2, as in the paper's code: one value in four is the
    input's, the other three are the bias alone. ``corrected`` applies the same weights at the low resolution and fills
    between them bilinearly.

    Args:
        inputs, outputs: channels.
        upsampling: ``paper`` or ``corrected``.
    """

    def __init__(self, inputs: int, outputs: int, *, upsampling: Upsampling) -> None:
        super().__init__()
        self.upsampling = upsampling
        self.weights: nn.Module = (
            nn.ConvTranspose2d(inputs, outputs, 1, stride=2, output_padding=1)
            if upsampling == "paper"
            else nn.Conv2d(inputs, outputs, 1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` to ``[N, outputs, 2H, 2W]``."""
        if self.upsampling == "corrected":
            return functional.interpolate(self.weights(maps), scale_factor=2, mode="bilinear", align_corners=False)
        # A product at the low resolution, spread out: torch's own transposed convolution of kernel 1 corrupted memory
        # in its backward pass on channels-last maps of few channels (torch 2.15 on a processor).
        held = cast("nn.ConvTranspose2d", self.weights)
        low = functional.conv2d(maps, held.weight.transpose(0, 1))
        count, channels, height, width = low.shape
        found = low.new_zeros(count, channels, 2 * height, 2 * width)
        found[..., ::2, ::2] = low
        return found + cast("Tensor", held.bias).view(1, -1, 1, 1)

    def extra_repr(self) -> str:
        """The form, so that it is part of a model's fingerprint."""
        return f"upsampling={self.upsampling}"


class _Up(nn.Module):
    """Doubling, a convolution, the skipped maps beside it, and the convolutions behind."""

    def __init__(self, inputs: int, outputs: int, *, upsampling: Upsampling, top: bool) -> None:
        super().__init__()
        self.doubling = Doubling(inputs, outputs, upsampling=upsampling)
        self.before = _convolution(outputs, outputs)
        behind = [_convolution(2 * outputs, outputs)]
        if not top:
            behind += [nn.Dropout(_DROPOUT), _convolution(outputs, outputs)]
        self.behind = nn.Sequential(*behind)

    def forward(self, maps: Tensor, skipped: Tensor) -> Tensor:
        found: Tensor = self.behind(torch.cat([self.before(self.doubling(maps)), skipped], dim=1))
        return found


class UNetAvramidis(nn.Module):
    """Levels of 64, 128 and 256 channels, 512 at the bottom; 7,919,238 parameters for 3 channels and 6 classes.

    Two 3x3 convolutions with ReLU on each level down and at the bottom; on the way up a doubling and three more (two on
    the top level), with dropout 0.2 below the top level. No batch normalisation. Started as in Keras: Glorot's uniform
    weights, biases of zero. The last layer gives logits; the paper's softmax is left to the loss.

    Args:
        channels: of the images.
        classes: logits for each pixel, the background's among them.
        upsampling: ``paper`` or ``corrected``, see ``Doubling``.
        width: channels of the top level; fewer than 64 make a smaller network than the paper's.
    """

    def __init__(self, channels: int, classes: int, *, upsampling: Upsampling = "paper", width: int = WIDTH) -> None:
        super().__init__()
        if upsampling not in UPSAMPLINGS:
            raise ModelError("unknown upsampling of unet_avramidis", value=upsampling, allowed=", ".join(UPSAMPLINGS))
        first, second, third, bottom = (width * 2**level for level in range(4))
        down = [(channels, first), (first, second), (second, third), (third, bottom)]
        self.down = nn.ModuleList(nn.Sequential(_convolution(a, b), _convolution(b, b)) for a, b in down)
        self.up = nn.ModuleList(
            _Up(below, own, upsampling=upsampling, top=own == first)
            for below, own in ((bottom, third), (third, second), (second, first))
        )
        self.last = nn.Conv2d(first, classes, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(cast("Tensor", layer.bias))

    def forward(self, images: Tensor) -> Tensor:
        """Images ``[N, channels, H, W]`` to logits ``[N, classes, H, W]``.

        Raises:
            ModelError: H or W is no multiple of 8.
        """
        check_sides((images.shape[2], images.shape[3]), MULTIPLE, "unet_avramidis")
        kept: list[Tensor] = []
        maps = images
        for place, level in enumerate(self.down):
            maps = level(maps if place == 0 else functional.max_pool2d(maps, 2))
            kept.append(maps)
        for level, skipped in zip(self.up, reversed(kept[:-1]), strict=True):
            maps = level(maps, skipped)
        logits: Tensor = self.last(maps)
        return logits


def _convolution(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())


def build(given: Mapping[str, str], options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; without ``mean`` and ``std`` it takes [0, 1], as in the paper."""
    if options.task != "segment":
        raise ModelError(
            "unet_avramidis gives a decision for every pixel",
            value=f"task {options.task}",
            allowed="task segment",
            next_step="take a data set with masks, or another network",
        )
    if options.weights == "pretrained":
        raise ModelError("unet_avramidis has no pretrained weights", next_step="train it, or give a file of weights")
    upsampling = cast("Upsampling", chosen(given, "upsampling", UPSAMPLINGS, otherwise="paper"))
    width = number(given, "width", otherwise=WIDTH)
    if width != int(width) or not 1 <= width <= 1024:
        raise ModelError("the option width is out of its range", value=given["width"], allowed="1 to 1024, whole")
    channels = 1 if options.grey_inside else options.channels or 3
    if options.size is not None:
        check_sides(options.size, MULTIPLE, "unet_avramidis")
    classes = options.classes or ()
    inside = 3 if options.grey_inside else channels
    network = UNetAvramidis(inside, len(classes), upsampling=upsampling, width=int(width))
    info = ModelInfo(
        "percuss:unet_avramidis",
        options.task,
        classes,
        channels,
        options.size,
        options.mean or (0.0,) * inside,
        options.std or (1.0,) * inside,
        options.weights_name,
    )
    return network, info
