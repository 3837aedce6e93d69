"""caffe:SPEC, a new network that is normalised as Keras does in its caffe mode: blue first, a mean taken off."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo

#: Means of red, green and blue in 8-bit units; nothing is divided, so values run from -123.68 to 151.06.
MEANS = (123.68, 116.779, 103.939)


class BlueFirst(nn.Module):
    """A network that is given blue, green, red instead of red, green, blue; ``[N, 3, H, W]``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """What the network gives on the turned channels."""
        found: Tensor = self.network(images.flip(1))
        return found


def caffe(network: nn.Module, info: ModelInfo) -> tuple[nn.Module, ModelInfo]:
    """A network and its record in caffe mode; one of a single channel gets the mean of the three and no turning.

    Raises:
        ModelError: a network of other channels, or one behind something that keeps its own normalisation.
    """
    channels = len(info.mean)
    if channels not in (1, 3) or info.spec.startswith(("sharpened:", "stretched:", "caffe:")):
        raise ModelError(
            "the caffe normalisation goes right before a network of one or three channels",
            value=f"caffe:{info.spec}, {channels} channels",
            next_step="write it last, for instance stretched:sharpened:caffe:timm:resnet50",
        )
    means = tuple(value / 255 for value in MEANS) if channels == 3 else (sum(MEANS) / 3 / 255,)
    inner = BlueFirst(network) if channels == 3 else network
    return inner, replace(info, spec=f"caffe:{info.spec}", mean=means, std=(1 / 255,) * channels)
