"""Faulty sources of models: each promise of the contract is seen broken, and named."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.models import spec
from percuss.testing.models import check_source

COUNT = iter(range(10_000))


class Sound:
    """A sound source; faults change one thing."""

    def __call__(self, name, options):
        if name != "plain":
            raise ModelError("no such network", value=name, allowed="plain")
        inner = 3 if options.grey_inside else options.channels
        info = ModelInfo(
            "faulty:plain",
            "classify",
            options.classes,
            options.channels,
            None,
            (0.5,) * inner,
            (0.25,) * inner,
            "random",
        )
        return self.network(inner, len(options.classes)), self.info(info)

    def network(self, channels, outputs):
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, outputs)
        )

    def info(self, info):
        return info


class WrongClasses(Sound):
    def info(self, info):
        return replace(info, classes=(*info.classes, "one more"))


class WrongChannels(Sound):
    def info(self, info):
        return replace(info, channels=2)


class FalseOrigin(Sound):
    def info(self, info):
        return replace(info, weights="pretrained")


class ShortStd(Sound):
    def info(self, info):
        return replace(info, mean=(0.1, 0.2, 0.3), std=(0.1, 0.2))


class IgnoresConfiguration(Sound):
    def info(self, info):
        return replace(info, mean=(0.0,) * 3, std=(1.0,) * 3)


class NormalisesTwice(Sound):
    def network(self, channels, outputs):
        class Again(nn.Module):
            def forward(self, images):
                return (images - 0.5) / 0.25

        return nn.Sequential(Again(), super().network(channels, outputs))


class StaysInTraining(Sound):
    def network(self, channels, outputs):
        class Stays(nn.Sequential):
            def train(self, mode=True):
                return super().train(True)

        return Stays(super().network(channels, outputs))


class Elsewhere(Sound):
    def network(self, channels, outputs):
        return super().network(channels, outputs).to("meta")


class TooWide(Sound):
    def network(self, channels, outputs):
        return super().network(channels, outputs + 1)


class Trains(Sound):
    """Batch norm that keeps using the batch's own statistics."""

    def network(self, channels, outputs):
        class Stubborn(nn.BatchNorm2d):
            def forward(self, images):
                return nn.functional.batch_norm(images, None, None, self.weight, self.bias, training=True)

        network = super().network(channels, outputs)
        network[1] = Stubborn(4)
        return network


class Drops(Sound):
    """Dropout that never stops."""

    def network(self, channels, outputs):
        class Always(nn.Module):
            def forward(self, values):
                return nn.functional.dropout(values, 0.5, training=True)

        return nn.Sequential(super().network(channels, outputs), Always())


class Detaches(Sound):
    def network(self, channels, outputs):
        class Cut(nn.Module):
            def forward(self, images):
                return images.detach()

        return nn.Sequential(Cut(), super().network(channels, outputs))


class Rounds(Sound):
    """The gradient is there, and zero."""

    def network(self, channels, outputs):
        class Round(nn.Module):
            def forward(self, images):
                return images.round()

        return nn.Sequential(Round(), super().network(channels, outputs))


class Explodes(Sound):
    def network(self, channels, outputs):
        network = super().network(channels, outputs)
        nn.init.constant_(network[-1].bias, torch.inf)
        return network


class OwnSeed(Sound):
    def network(self, channels, outputs):
        torch.manual_seed(next(COUNT))
        return super().network(channels, outputs)


class Forgets(Sound):
    """A weight that is not in the state, so that a file cannot bring it back."""

    def network(self, channels, outputs):
        class Hidden(nn.Module):
            def __init__(self):
                super().__init__()
                self.factor = float(next(COUNT) + 2)

            def forward(self, values):
                return values * self.factor

        return nn.Sequential(super().network(channels, outputs), Hidden())


class TakesAnyName(Sound):
    def __call__(self, name, options):
        return super().__call__("plain", options)


class KnowsNoNearest(Sound):
    def __call__(self, name, options):
        if name != "plain":
            raise ModelError("no such network", value=name)
        return super().__call__(name, options)


class CrashesOnNames(Sound):
    def __call__(self, name, options):
        return {"plain": super().__call__}[name](name, options)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Folders of a faulty source are built by it."""
    monkeypatch.setattr(spec, "SOURCES", dict(spec.SOURCES))
    return spec.SOURCES


def run(source, registered, folder, with_raw=True):
    registered["faulty"] = source
    check_source(source, "plain", folder / "work", pixels=16, raw=raw if with_raw else None)


def raw(classes):
    return Sound().network(3, classes), (0.5,) * 3, (0.25,) * 3


def test_sound_source_passes(registered, tmp_path):
    run(Sound(), registered, tmp_path)


@pytest.mark.parametrize(
    ("fault", "message"),
    [(WrongClasses, "classes are"), (WrongChannels, "2 channels, not 3"), (FalseOrigin, "called 'pretrained'"),
     (ShortStd, "do not fit"), (TooWide, "does not take its own images"), (Trains, "depend on its batch mates"),
     (Drops, "says something else"), (Detaches, "no gradient reaches"), (Rounds, "no gradient reaches"),
     (Explodes, "not finite"), (OwnSeed, "other weights"), (Forgets, "other logits"),
     (IgnoresConfiguration, "are not the configuration's"), (NormalisesTwice, "normalised by hand"),
     (StaysInTraining, "not in eval mode"), (Elsewhere, "lies on cpu, meta, not on cpu"),
     (KnowsNoNearest, "'plainx' does not name 'plain'"), (TakesAnyName, "unknown name raises nothing"),
     (CrashesOnNames, "KeyError and not ModelError")],
)  # fmt: skip
def test_fault_is_named(fault, message, registered, tmp_path):
    with pytest.raises(AssertionError, match=message):
        # Against the raw network most faults show at once; the other checks must see theirs without it.
        run(fault(), registered, tmp_path, with_raw=fault in (IgnoresConfiguration, NormalisesTwice))


def test_weights_taken_in_part_are_seen(registered, tmp_path, monkeypatch):
    from percuss.testing import models

    monkeypatch.setattr(models, "fill", lambda network, weights, source: None)
    with pytest.raises(AssertionError, match="do not arrive"):
        run(Sound(), registered, tmp_path)
    lenient = lambda network, weights, source: network.load_state_dict(  # noqa: E731
        {key: value for key, value in weights.items() if value.shape == network.state_dict()[key].shape}, strict=False
    )
    monkeypatch.setattr(models, "fill", lenient)
    with pytest.raises(AssertionError, match="that do not fit are taken"):
        run(Sound(), registered, tmp_path)


def test_error_without_shapes_is_seen(registered, tmp_path, monkeypatch):
    from percuss.testing import models

    real = models.fill

    def vague(network, weights, source):
        try:
            real(network, weights, source)
        except ModelError as error:
            raise ModelError(str(error).replace("(7, 7, 7)", "odd")) from error

    monkeypatch.setattr(models, "fill", vague)
    with pytest.raises(AssertionError, match=r"lacks '\(7, 7, 7\)'"):
        run(Sound(), registered, tmp_path)


@pytest.mark.parametrize("lost", [{"channels": 1}, {"mean": (0.0,) * 3}, {"std": (1.0,) * 3}, {"weights": "trained"}])
def test_record_lost_on_the_way_is_seen(lost, registered, tmp_path, monkeypatch):
    from percuss.testing import models

    real = models.load_model

    def other(folder, **options):
        model = real(folder, **options)
        model.info = replace(model.info, **lost)
        return model

    monkeypatch.setattr(models, "load_model", other)
    with pytest.raises(AssertionError, match="record changes on the way"):
        run(Sound(), registered, tmp_path)


def test_origin_that_always_says_random_is_seen(registered, tmp_path, monkeypatch):
    from percuss.testing import models

    real = models.save_model
    monkeypatch.setattr(models, "save_model", lambda model, folder, weights=None: real(model, folder))
    with pytest.raises(AssertionError, match="origin of the weights is lost"):
        run(Sound(), registered, tmp_path)
