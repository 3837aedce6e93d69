"""A small segmenter trained in seconds on synthetic patterns, with unseen ones that it segments well."""

import pytest
import torch
from torch import nn

from percuss.core.dense import quality
from percuss.core.images import Tensors
from percuss.core.model import Model, ModelInfo
from percuss.data.spec import load_data

CLASSES = ("background", "pointed", "full")


class Toy(nn.Module):
    """Convolutions at the whole and at half the size, joined."""

    def __init__(self, width, count):
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
        self.last = nn.Sequential(nn.Conv2d(3 * width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, count, 1))

    def forward(self, images):
        fine = self.fine(images)
        return self.last(torch.cat([fine, self.coarse(fine)], 1))


def merged(batch):
    """Triangles and stars are class 1, squares and circles 2."""
    return Tensors(
        batch.ids,
        batch.images,
        torch.tensor([0, 1, 1, 2, 2], dtype=torch.uint8)[batch.targets.long()],
        batch.groups,
        batch.range,
    )


def train(epochs=15, width=8, seed=0):
    """On 120 patterns of 32 pixels."""
    torch.manual_seed(seed)
    data = load_data("synthetic:patterns?n=200&size=32&tries=6")
    own = merged(data.subset(split="train").collect(data.subset(split="train").ids))
    network = Toy(width, len(CLASSES))
    steps = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(own.ids)).split(12):
            steps.zero_grad()
            weight = torch.tensor([0.3, 1.0, 1.0])
            nn.functional.cross_entropy(network(own.images[part]), own.targets[part].long(), weight=weight).backward()
            steps.step()
    unseen = data.subset(split="test")
    return Model(network.eval(), ModelInfo("toy", "segment", CLASSES, 3, weights="trained")), merged(
        unseen.collect(unseen.ids)
    )


@pytest.fixture(scope="session")
def segmenter():
    """The model, and unseen images whose quality is above the bar."""
    model, batch = train()
    with torch.no_grad():
        good = quality(model(batch.images).argmax(1), batch.targets, len(model.classes)) > 0.55
    kept = good.nonzero().flatten().tolist()[:6]
    assert len(kept) == 6
    ids = [batch.ids[i] for i in kept]
    return model, Tensors(ids, batch.images[kept], batch.targets[kept], [None] * len(kept), batch.range)
