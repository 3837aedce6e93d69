"""percuss:vgg16_joel, the network of Joel et al.: VGG16's convolutions under two wide layers with dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torchvision
from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models.options import Options
from percuss.models.pretrained import downloading
from percuss.models.spec_options import chosen, number

OPTIONS = ("input", "maxnorm")
#: What the convolutions were trained on, and what the paper's code feeds them.
_INPUTS = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "unit": ((0.0,) * 3, (1.0,) * 3)}
_SIDE, _DEPTH = 224, 512


class MaxNormLinear(nn.Linear):
    """A linear layer whose rows of weights are held to a largest Euclidean norm.

    The weights are brought back at the next pass after a step, and when training ends; weights that nobody trains
    stay as they are.

    Args:
        inputs, outputs: features.
        largest: norm that no row may exceed; None for no limit.
    """

    def __init__(self, inputs: int, outputs: int, *, largest: float | None = 2.0) -> None:
        super().__init__(inputs, outputs)
        self.largest, self._trained = largest, False
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """``[N, inputs]`` to ``[N, outputs]``."""
        if self.training:
            self._hold()
            self._trained = True
        return super().forward(features)

    def train(self, mode: bool = True) -> MaxNormLinear:
        """As for any module; leaving training holds the norm after the last step too."""
        if not mode and self._trained:
            self._hold()
            self._trained = False
        super().train(mode)
        return self

    @torch.no_grad()
    def _hold(self) -> None:
        if self.largest is None:
            return
        norms = self.weight.norm(dim=1, keepdim=True)
        # The margin of rounding keeps weights that were held once from moving again.
        if bool((norms > self.largest * (1 + 1e-6)).any()):
            self.weight.mul_((self.largest / norms).clamp(max=1))


class VGG16Joel(nn.Module):
    """Thirteen convolutions, dropout, 4096 and 1024 units with dropout between, logits.

    121,676,610 parameters for two outputs at 224 pixels.

    Args:
        outputs: logits.
        size: (height, width) of the images, at least 32 each; the first wide layer depends on it.
        largest: max-norm of the wide layers' weights, as in the paper's code; None for no limit.
    """

    def __init__(self, outputs: int, *, size: tuple[int, int] = (_SIDE, _SIDE), largest: float | None = 2.0) -> None:
        super().__init__()
        if min(size) < 32:
            raise ModelError(
                "the images are too small for vgg16_joel",
                value=size,
                allowed="sides from 32 pixels",
                next_step="give ?size=32 or more behind the data spec",
            )
        vgg = torchvision.models.vgg
        self.features = vgg.make_layers(vgg.cfgs["D"])
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(cast("Tensor", layer.bias))
        self.head = nn.Sequential(
            nn.Dropout(0.5),
            nn.Flatten(),
            MaxNormLinear(_DEPTH * (size[0] // 32) * (size[1] // 32), 4096, largest=largest),
            nn.ReLU(),
            nn.Dropout(0.5),
            MaxNormLinear(4096, 1024, largest=largest),
            nn.ReLU(),
            nn.Linear(1024, outputs),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images ``[N, 3, H, W]`` that are normalised."""
        logits: Tensor = self.head(self.features(images))
        return logits


def build(given: Mapping[str, str], options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; grey images are copied to its three channels inside."""
    channels = 1 if options.grey_inside else options.channels or 3
    if channels not in (1, 3):
        raise ModelError("vgg16_joel takes colour or grey images", value=f"{channels} channels")
    mean, std = _INPUTS[chosen(given, "input", _INPUTS, otherwise="imagenet")]
    largest = number(given, "maxnorm", otherwise=2.0)
    size = options.size or (_SIDE, _SIDE)
    classes = options.classes or ()
    network = VGG16Joel(len(classes), size=size, largest=largest or None)
    if options.weights == "pretrained":
        with downloading("percuss:vgg16_joel", wanted=True):
            whole = torchvision.models.VGG16_Weights.DEFAULT.get_state_dict(progress=False)
        prefix = "features."
        network.features.load_state_dict(
            {name.removeprefix(prefix): value for name, value in whole.items() if name.startswith(prefix)}
        )
    info = ModelInfo(
        "percuss:vgg16_joel",
        options.task,
        classes,
        channels,
        size,
        options.mean or mean,
        options.std or std,
        options.weights_name,
    )
    return network, info
