"""A small segmenter trained in seconds on synthetic patterns, for what only a network with neighbours can show."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from percuss.core.dense import quality
from percuss.core.images import Tensors
from percuss.core.model import Model, ModelInfo
from percuss.data.spec import load_data

#: Triangles and stars are pointed, squares and circles full.
CLASSES = ("background", "pointed", "full")
SPEC = "synthetic:patterns?n=200&size=32&tries=6"
_MERGED = (0, 1, 1, 2, 2)


class Toy(nn.Module):
    """Convolutions at the whole and at half the size, joined; logits ``[N, 3, H, W]`` for even H and W."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.coarse = nn.Sequential(
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        )
        self.last = nn.Sequential(
            nn.Conv2d(3 * width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, len(CLASSES), 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images ``[N, 3, H, W]`` in [0, 1]."""
        fine = self.fine(images)
        return cast(Tensor, self.last(torch.cat([fine, self.coarse(fine)], 1)))


def trained(network: nn.Module | None = None, *, epochs: int = 15, seed: int = 0) -> Model:
    """A network (``Toy`` where None) trained on the 120 training patterns of ``SPEC``, in eval mode."""
    torch.manual_seed(seed)
    network = Toy() if network is None else network
    batch, weight = patterns("train"), torch.tensor([0.3, 1.0, 1.0])
    steps = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(epochs):
        for part in torch.split(torch.randperm(len(batch.ids)), 12):
            steps.zero_grad()
            logits = network(batch.images[part])
            nn.functional.cross_entropy(logits, batch.targets[part].long(), weight=weight).backward()  # type: ignore[no-untyped-call]
            steps.step()
    return Model(network.eval(), ModelInfo("toy", "segment", CLASSES, 3, weights="trained"))


def patterns(split: str) -> Tensors:
    """The patterns of a split of ``SPEC`` with the classes ``CLASSES``."""
    chosen = load_data(SPEC).subset(split=split)
    batch = chosen.collect(chosen.ids)
    targets = torch.tensor(_MERGED, dtype=torch.uint8)[batch.targets.long()]
    return Tensors(batch.ids, batch.images, targets, batch.groups, batch.range)


def well_segmented(model: Model, batch: Tensors, most: int, *, least: float = 0.55) -> Tensors:
    """The first images whose quality is above ``least``, at most so many."""
    with torch.no_grad():
        good = quality(model(batch.images).argmax(1), batch.targets, len(model.classes)) > least
    kept = good.nonzero().flatten().tolist()[:most]
    ids = [batch.ids[i] for i in kept]
    return Tensors(ids, batch.images[kept], batch.targets[kept], [batch.groups[i] for i in kept], batch.range)
