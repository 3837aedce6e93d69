"""Soft attention over a feature map (Datta et al. 2021, as Wasserman uses it), and networks that end with it."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.models.trunk import Trunk

#: ``none`` is the network that attention is compared with: the same cut and head without it.
Form = Literal["fixed", "paper", "none"]
#: Where the paper's code cuts a network of timm, and whether its head takes every place for itself (flatten). The
#: second is a batch normalisation within a branch, before its ReLU: "the last 28 layers removed" ends there.
CUTS = {"resnet50": ("layer4", False), "inception_resnet_v2": ("repeat_2.8.branch0.bn", True)}


class SoftAttention(nn.Module):
    """Weighs each place of a feature map by the attention of several heads.

    Each head gives one score per place, ReLU, and a softmax over the places; the heads are added, so that the weights
    sum to their number. ``fixed`` is what the paper's formula says: a 3 x 3 convolution over all channels, and a
    learnable gamma. ``paper`` is what its code does: no gamma, and the kernel's axes are mistaken, so that it spans
    three channels (the first three), as many rows as there are channels, and three columns.

    Args:
        channels: of the feature map; the paper's form needs at least 3.
        heads: 16 in the paper.
        form: ``fixed`` or ``paper``.
        gamma: start of the factor of the ``fixed`` form.
        relu: ReLU on the scores, as in all copies of the code but the first.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 16,
        form: Literal["fixed", "paper"] = "fixed",
        gamma: float = 0.01,
        relu: bool = True,
    ) -> None:
        super().__init__()
        if form not in ("fixed", "paper"):
            raise ModelError("unknown form of soft attention", value=form, allowed="fixed, paper")
        if heads < 1 or channels < 3:
            raise ModelError(
                "soft attention cannot be built", value=f"{heads} heads, {channels} channels", allowed="from 1, from 3"
            )
        self.form, self.relu = form, relu
        # Fixed: [head, channel, row, column]. Paper: [head, channel of three, row of as many as channels, column].
        shape = (heads, channels, 3, 3) if form == "fixed" else (heads, 3, channels, 3)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(heads))
        self.gamma = nn.Parameter(torch.tensor(gamma)) if form == "fixed" else None
        limit = (6 / (9 * channels)) ** 0.5
        nn.init.uniform_(self.weight, -limit, limit)

    def maps(self, features: Tensor) -> Tensor:
        """Attention of each head ``[N, heads, H, W]``, summing to 1 over the places, from ``[N, C, H, W]``."""
        scores = self._scores(features)
        if self.relu:
            scores = scores.relu()
        return scores.flatten(2).softmax(2).view_as(scores)

    def forward(self, features: Tensor) -> Tensor:
        """The weighed features, ``[N, C, H, W]``."""
        weighed = features * self.maps(features).sum(1, keepdim=True)
        return weighed if self.gamma is None else self.gamma * weighed

    def _scores(self, features: Tensor) -> Tensor:
        if self.form == "fixed":
            return nn.functional.conv2d(features, self.weight, self.bias, padding=1)
        tall, height = self.weight.shape[2], features.shape[2]
        above = (tall - 1) // 2
        # Rows of the kernel that never lie on the map are left out: they meet zeros only.
        first, last = max(0, above - height + 1), min(tall, above + height)
        padded = nn.functional.pad(features[:, :3], (1, 1, above - first, last - 1 - above))
        return nn.functional.conv2d(padded, self.weight[:, :, first:last], self.bias)


class AttentionNetwork(nn.Module):
    """A trunk, soft attention beside its features, and the paper's head.

    The features and the weighed features are halved in size by max pooling and laid beside each other (without
    attention neither); then ReLU, dropout 0.5, and a linear layer on the mean over places or on every place.

    Args:
        trunk: gives the feature map.
        attention: None for the network to compare with.
        outputs: logits.
        flatten: the linear layer takes every place, so that the images must keep their size.
    """

    def __init__(self, trunk: Trunk, attention: SoftAttention | None, outputs: int, *, flatten: bool = False) -> None:
        super().__init__()
        self.trunk, self.attention = trunk, attention
        channels, height, width = trunk.shape
        if attention is not None:
            channels, height, width = 2 * channels, -(-height // 2), -(-width // 2)
        self.pool: nn.Module = nn.Flatten() if flatten else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(channels * height * width if flatten else channels, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images."""
        features: Tensor = self.trunk(images)
        if self.attention is not None:
            both = torch.cat([features, self.attention(features)], 1)
            features = nn.functional.max_pool2d(both, 2, ceil_mode=True)
        logits: Tensor = self.classifier(self.pool(self.dropout(features.relu())))
        return logits


def with_soft_attention(
    network: nn.Module,
    outputs: int,
    *,
    images: Tensor,
    form: Form = "fixed",
    layer: str | None = None,
    heads: int = 16,
) -> AttentionNetwork:
    """Any network of timm, cut at a layer, with soft attention and the paper's head.

    Args:
        network: as timm makes it; it is taken apart, not copied.
        outputs: logits.
        images: zeros ``[1, C, H, W]`` of the size to come, on the network's device.
        form: ``fixed``, ``paper`` or ``none``.
        layer: name of a layer that gives a spatial feature map. None takes the last that timm tells of; ``paper``
            and ``none`` take the paper's cut where the network is one of the paper's two.
        heads: of the attention.

    Raises:
        ModelError: no such form or layer, or a layer without a spatial feature map.
    """
    if form not in get_args(Form):
        raise ModelError("unknown form of soft attention", value=form, allowed=", ".join(get_args(Form)))
    cut, flatten = CUTS.get(_architecture(network), ("", False)) if form != "fixed" else ("", False)
    if layer not in (None, cut):
        cut, flatten = str(layer), False
    cut = cut or _last(network)
    if flatten:
        # The paper's cut lies before the ReLU of that layer, which timm applies within the normalisation.
        network.get_submodule(cut).act = nn.Identity()
    trunk = Trunk(network, cut, images=images)
    attention = None if form == "none" else SoftAttention(trunk.shape[0], heads=heads, form=form)
    return AttentionNetwork(trunk, attention, outputs, flatten=flatten)


def attention_maps(network: nn.Module, images: Tensor) -> Tensor:
    """Where a network with soft attention looks: ``[N, heads, H, W]`` at the size of its features, each sums to 1.

    Args:
        network: a network with a ``SoftAttention`` in it, or the ``Model`` around it; its mode is left alone.
        images: as it takes them.

    Raises:
        ModelError: it holds no soft attention, or does not run it.
    """
    found = next((part for part in network.modules() if isinstance(part, SoftAttention)), None)
    if found is None:
        raise ModelError("the network has no soft attention", value=type(network).__name__)
    kept: list[Tensor] = []

    def keep(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        kept.append(found.maps(inputs[0]))

    hook = found.register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            network(images)
    finally:
        hook.remove()
    if not kept:
        raise ModelError("the network does not run its soft attention", value=type(network).__name__)
    return kept[-1]


def _architecture(network: nn.Module) -> str:
    settings: Any = getattr(network, "pretrained_cfg", None) or {}
    return str(settings.get("architecture", ""))


def _last(network: nn.Module) -> str:
    """The last layer that timm lists among a network's features."""
    listed: Any = getattr(network, "feature_info", None)
    names = [str(item["module"]) for item in listed or () if "module" in item]
    if not names:
        raise ModelError(
            "the network tells of no feature map", value=type(network).__name__, next_step="name a layer with layer="
        )
    return names[-1]
