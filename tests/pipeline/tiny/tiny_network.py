"""The network of the tiny recipe."""

from torch import nn


def small(classes=2, **_):
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
