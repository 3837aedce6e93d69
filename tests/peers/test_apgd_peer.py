"""Auto-PGD leaves no more images standing than torchattacks' copy of AutoAttack's, over three seeds."""

import os

import pytest
import torch
from torch import nn

from percuss.attacks.engine import run_attack
from percuss.attacks.library import load
from percuss.core.budget import parse_budget
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo, decide

SEEDS, NORMS = range(3), {"linf": "Linf", "l2": "L2"}


@pytest.fixture(scope="module")
def torchattacks():
    """The module, or a skip; with PERCUSS_PEERS=required it may not be absent."""
    try:
        return load("torchattacks", "torchattacks")
    except AttackError as error:
        if os.environ.get("PERCUSS_PEERS") == "required":
            raise
        pytest.skip(f"torchattacks is not installed (pip install --no-deps -r constraints/peers.txt): {error.value}")


@pytest.fixture(scope="module")
def trained():
    """A small network trained on ten kinds of blurred noise, and 200 images it decides rightly."""
    draw = torch.Generator().manual_seed(0)
    centres = nn.functional.interpolate(torch.rand(10, 3, 3, 3, generator=draw), size=12, mode="bilinear")
    labels = torch.randint(0, 10, (700,), generator=draw)
    noise = torch.randn(700, 3, 12, 12, generator=draw)
    images = ((centres[labels] * 0.5 + 0.25 + 0.12 * noise).clamp(0, 1) * 255).round() / 255
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU()]
        network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(216, 10))
        best = torch.optim.Adam(network.parameters(), 5e-3)
        for _ in range(120):
            best.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            best.step()
    model = Model(network, ModelInfo("small", "classify", tuple("0123456789"), 3)).requires_grad_(False)
    chosen = (decide(model(images), "classify") == labels).nonzero().flatten()[:200]
    ids = [str(i) for i in chosen.tolist()]
    return model, Tensors(ids, images[chosen], labels[chosen], [None] * len(ids), PixelRange())


def standing(model, images, data):
    """Share of images still decided rightly, in percent."""
    return 100 * float((decide(model(images), "classify") == data.targets).double().mean())


def both(trained, name, settings, *, norm, size, other):
    """Mean over seeds of what stands after ours and after the peer's."""
    model, data = trained
    budget, own, theirs = parse_budget(f"{norm}={size}"), [], []
    for seed in SEEDS:
        found = run_attack(name, model, data, [budget], seed=seed, batch_size=200, settings=settings)
        own.append(standing(model, found.images[budget.text], data))
        attack = other(model, budget.eps(data.images.shape[1:]), seed)
        theirs.append(standing(model, attack(data.images, data.targets), data))
    own, theirs = sum(own) / len(own), sum(theirs) / len(theirs)
    assert 2 < theirs < 98, "a size where nothing can be seen"
    return own, theirs


@pytest.mark.parametrize(("loss", "slack"), [("ce", 0.5), ("dlr", 1.0)])
@pytest.mark.parametrize(("norm", "size"), [("linf", "13/255"), ("l2", "0.75")])
def test_apgd_is_within_half_a_point(torchattacks, trained, norm, size, loss, slack):
    def other(model, eps, seed):
        return torchattacks.APGD(model, norm=NORMS[norm], eps=eps, steps=60, loss=loss, seed=seed)

    own, theirs = both(trained, "apgd", {"steps": 60, "loss": loss}, norm=norm, size=size, other=other)
    assert own <= theirs + slack, f"{own} above {theirs}"
