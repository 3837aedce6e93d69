"""Faulty sources of segmenters: what the contract asks of maps is seen broken, and named."""

import pytest
import torch
from torch import nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models import spec
from percuss.testing.models import check_source


class Sound:
    """A sound source; faults put another layer behind."""

    def __call__(self, name, options):
        if name != "plain":
            raise ModelError("no such network", value=name, allowed="plain")
        inner = 3 if options.grey_inside else options.channels
        network = nn.Sequential(
            nn.Conv2d(inner, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, len(options.classes), 1), self.last()
        )
        info = ModelInfo("faulty:plain", self.task(options), options.classes, options.channels, None,
                         (0.0,) * inner, (1.0,) * inner, "random")  # fmt: skip
        return network, info

    def last(self):
        return nn.Identity()

    def task(self, options):
        return options.task


class OtherTask(Sound):
    def task(self, options):
        return "classify"


class Halves(Sound):
    def last(self):
        return nn.AvgPool2d(2)


class WholeImages(Sound):
    def last(self):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


class SaysAlways(Sound):
    def last(self):
        class Same(nn.Module):
            def forward(self, values):
                return torch.ones_like(values) + 0 * values

        return Same()


class MixesTheBatch(Sound):
    def last(self):
        class Mean(nn.Module):
            def forward(self, values):
                return values + values.mean(0)

        return Mean()


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Checks a source, whose folders are built by it."""

    def checked(source):
        monkeypatch.setattr(spec, "SOURCES", dict(spec.SOURCES) | {"faulty": source})
        check_source(source, "plain", tmp_path / "work", task="segment", pixels=16)

    return checked


def test_sound_source_passes(run):
    run(Sound())


@pytest.mark.parametrize(
    ("fault", "message"),
    [(OtherTask, "task is classify, not segment"), (Halves, "does not take its own images: .*wrong shape"),
     (WholeImages, "does not take its own images: .*wrong shape"), (SaysAlways, "two images get the same map"),
     (MixesTheBatch, "depend on its batch mates")],
)  # fmt: skip
def test_fault_is_named(fault, message, run):
    with pytest.raises(AssertionError, match=message):
        run(fault())
