"""A network up to one of its layers, whatever the network: the part that gives a spatial feature map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError, nearest


class _Reached(Exception):
    """No error: it carries the features out of the network."""

    def __init__(self, features: object) -> None:
        self.features = features


def _stop(_layer: nn.Module, _inputs: object, output: object) -> None:
    raise _Reached(output)


class Trunk(nn.Module):
    """What a layer of a network gives, ``[N, C, H, W]``. The network runs to that layer and no further.

    Args:
        network: is changed: what only runs after the layer is taken out, so that parameters count what is used.
        layer: name of the layer, as in ``network.named_modules()``.
        images: zeros ``[1, C, H, W]`` to try the network on, on its device.

    Raises:
        ModelError: no such layer, it never runs, or gives no spatial feature map.
    """

    def __init__(self, network: nn.Module, layer: str, *, images: Tensor) -> None:
        super().__init__()
        layers = [name for name, _ in network.named_modules() if name]
        if layer not in layers:
            raise ModelError("the network has no such layer", value=layer, allowed=nearest(layer, layers))
        self.last_axis = getattr(network, "output_fmt", None) == "NHWC"
        self.network, self.layer = network, layer
        begun, self.shape = self._tried(images)
        _prune(network, layer, begun)

    def forward(self, images: Tensor) -> Tensor:
        """Features of images as the network takes them."""
        features = self._features(images)
        if not isinstance(features, Tensor) or features.dim() != 4:
            shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise ModelError(
                f"the layer {self.layer} gives no spatial feature map",
                value=shape,
                allowed="[N, C, H, W]",
                next_step="name another layer with layer=",
            )
        return features.movedim(-1, 1) if self.last_axis else features

    def _features(self, images: Tensor) -> object:
        # Laid anew at each pass: a hook that stops must come after those of others, for instance for Grad-CAM.
        hook = self.network.get_submodule(self.layer).register_forward_hook(_stop)
        try:
            self.network(images)
        except _Reached as reached:
            return reached.features
        finally:
            hook.remove()
        raise ModelError(f"the network does not run its layer {self.layer}", next_step="name another with layer=")

    def _tried(self, images: Tensor) -> tuple[set[nn.Module], tuple[int, int, int]]:
        """Which modules begin before the layer ends, and channels, height and width of what it gives."""
        begun: set[nn.Module] = set()

        def note(module: nn.Module, _inputs: Any) -> None:
            begun.add(module)

        hooks = [module.register_forward_pre_hook(note) for module in self.network.modules()]
        mode = self.network.training
        try:
            self.network.eval()
            with torch.no_grad():
                channels, height, width = self(images).shape[1:]
        finally:
            self.network.train(mode)
            for hook in hooks:
                hook.remove()
        return begun, (channels, height, width)


def _prune(network: nn.Module, layer: str, begun: set[nn.Module]) -> None:
    """Put nothing in the place of what has not begun; only the layer's ancestors have parts that run after it."""
    place = network
    for step in layer.split("."):
        for name, child in list(place.named_children()):
            if not any(module in begun for module in child.modules()):
                setattr(place, name, nn.Identity())
        place = place.get_submodule(step)
