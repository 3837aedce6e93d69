"""FGSM, BIM and PGD without random start give the pixels of torchattacks, foolbox and ART; projections are exact."""

import itertools
import os

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

from percuss.attacks.engine import run_attack
from percuss.attacks.library import load
from percuss.core.budget import Norm, parse_budget
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.core.norms import Room, project

CLOSE = 1e-6  # per pixel
STEPS = 7
TEXTBOOK = {"early_stop": False, "keep": "last"}
SIZES = {"linf": 4 / 255, "l2": 0.3}


def peer(module, package):
    """The module, or a skip; ``make test`` installs the peers and sets PERCUSS_PEERS: there none may be absent."""
    try:
        return load(module, package)
    except AttackError as error:
        if os.environ.get("PERCUSS_PEERS") == "required":
            raise
        pytest.skip(f"{package} is not installed (pip install --no-deps -r constraints/peers.txt): {error.value}")


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = [nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 8, 3, stride=2), nn.Softplus()]
        network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 5 * 5, 4))
    model = Model(network, ModelInfo("small", "classify", tuple("abcd"), 3, mean=(0.5,), std=(0.25,)))
    return model.requires_grad_(False)


def some_images(model, norm):
    """Under linf some pixels lie at the ends of the range; under l2 none comes near, as peers differ there."""
    images = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(5))
    images = (images * 1.6 - 0.3).clamp(0, 1) if norm == "linf" else images * 0.3 + 0.35
    return images, model(images).argmax(1)


def ours(name, model, norm, **settings):
    images, labels = some_images(model, norm)
    batch = Tensors([str(i) for i in range(len(images))], images, labels, [None] * len(images), PixelRange())
    text = f"{norm}={SIZES[norm]!r}"
    swept = run_attack(name, model, batch, [parse_budget(text)], settings=TEXTBOOK | settings)
    return swept.images[parse_budget(text).text]


def of_torchattacks(name, model, norm, step):
    library, eps = peer("torchattacks", "torchattacks"), SIZES[norm]
    if norm == "l2":
        steps, alpha = (1, eps) if name == "fgsm" else (STEPS, step)
        attack = library.PGDL2(model, eps=eps, alpha=alpha, steps=steps, random_start=False, eps_for_division=1e-30)
    elif name == "fgsm":
        attack = library.FGSM(model, eps=eps)
    elif name == "bim":
        attack = library.BIM(model, eps=eps, alpha=step, steps=STEPS)
    else:
        attack = library.PGD(model, eps=eps, alpha=step, steps=STEPS, random_start=False)
    return attack(*some_images(model, norm))


def of_foolbox(name, model, norm, step):
    library, eps = peer("foolbox", "foolbox"), SIZES[norm]
    kinds = {
        "fgsm": ("LinfFastGradientAttack", "L2FastGradientAttack"),
        "bim": ("LinfBasicIterativeAttack", "L2BasicIterativeAttack"),
        "pgd": ("LinfPGD", "L2PGD"),
    }
    kind = getattr(library.attacks, kinds[name][norm == "l2"])
    more = {} if name == "fgsm" else {"abs_stepsize": step, "steps": STEPS}
    wrapped = library.PyTorchModel(model, bounds=(0, 1), device="cpu")
    return kind(random_start=False, **more)(wrapped, *some_images(model, norm), epsilons=eps)[0]


def of_art(name, model, norm, step):
    evasion = peer("art.attacks.evasion", "adversarial-robustness-toolbox")
    classification = peer("art.estimators.classification", "adversarial-robustness-toolbox")
    images, labels = some_images(model, norm)
    loss = nn.CrossEntropyLoss()
    classifier = classification.PyTorchClassifier(
        model, loss, tuple(images.shape[1:]), 4, clip_values=(0.0, 1.0), device_type="cpu"
    )
    given = {"norm": np.inf if norm == "linf" else 2, "eps": SIZES[norm], "eps_step": step, "batch_size": len(images)}
    if name == "fgsm":
        attack = evasion.FastGradientMethod(classifier, **given | {"eps_step": SIZES[norm]})
    elif name == "bim" and norm == "linf":
        given.pop("norm")
        attack = evasion.BasicIterativeMethod(classifier, max_iter=STEPS, verbose=False, **given)
    else:
        given |= {"max_iter": STEPS, "num_random_init": 0, "verbose": False}
        attack = evasion.ProjectedGradientDescentPyTorch(classifier, **given)
    return torch.from_numpy(attack.generate(images.numpy(), labels.numpy()))


PEERS = {"torchattacks": of_torchattacks, "foolbox": of_foolbox, "art": of_art}


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd"])
@pytest.mark.parametrize("library", sorted(PEERS))
def test_pixels_equal_the_peers(library, name, norm, model):
    step = SIZES[norm] / 4
    theirs = PEERS[library](name, model, norm, step)
    settings = {} if name == "fgsm" else {"steps": STEPS, "step_size": step}
    found = ours("fgsm" if name == "fgsm" else "bim", model, norm, **settings)
    assert float((found - some_images(model, norm)[0]).abs().max()) > 1e-3
    assert float((found - theirs).abs().max()) <= CLOSE


@pytest.mark.parametrize("library", sorted(PEERS))
def test_the_comparison_can_fail(library, model):
    theirs = PEERS[library]("bim", model, "l2", SIZES["l2"] / 4)
    wrong = ours("bim", model, "l2", steps=STEPS, step_size=SIZES["l2"] / 4.5)
    assert float((wrong - theirs).abs().max()) > 100 * CLOSE


def vectors(scale=1.0):
    return torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(7)) * scale


def open_room(change):
    return Room(torch.full_like(change, -1e3), torch.full_like(change, 1e3))


@pytest.mark.parametrize(("norm", "eps", "power"), [("linf", 0.4, np.inf), ("l2", 2.5, 2), ("l1", 7.0, 1)])
def test_balls_alone_equal_art(norm, eps, power):
    utils = peer("art.utils", "adversarial-robustness-toolbox")
    change = vectors()
    theirs = utils.projection(change.double().numpy(), eps, power, suboptimal=False)
    found = project(Norm(norm), change, eps, open_room(change))
    assert np.abs(found.numpy() - theirs).max() <= CLOSE


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.4), ("l2", 2.5)])
def test_balls_alone_equal_foolbox(norm, eps):
    distances = peer("foolbox", "foolbox").distances
    change = vectors()
    theirs = getattr(distances, norm).clip_perturbation(torch.zeros_like(change), change, eps)
    found = project(Norm(norm), change, eps, open_room(change))
    assert float((found - theirs).abs().max()) <= CLOSE


@pytest.mark.parametrize("eps", [0.5, 4.0, 12.0])
def test_l1_ball_and_box_equal_autoattack(eps):
    """The projection of AutoAttack's APGD under l1, as adv-lib carries it: it gives the way back to ball and box."""
    theirs = peer("adv_lib.attacks.auto_pgd", "adv-lib").l1_projection
    images = torch.rand(12, 3, 4, 4, generator=torch.Generator().manual_seed(8))
    change = vectors(0.5)
    found = project(Norm.L1, change, eps, Room.of(images))
    back = theirs(images.double(), change.double(), torch.full((len(images),), eps).double())
    assert float((found - (change + back)).abs().max()) <= CLOSE


@pytest.mark.parametrize(("norm", "eps"), [("l2", 0.7), ("l2", 2.0), ("l1", 1.5), ("l1", 6.0), ("linf", 0.2)])
def test_ball_and_box_meet_the_conditions_of_the_minimum(norm, eps):
    """Written from the conditions of Karush, Kuhn and Tucker with one multiplier, found by a root finder of scipy."""
    images = torch.rand(12, 3, 4, 4, generator=torch.Generator().manual_seed(9)).double()
    change = vectors(0.8).double()
    found = project(Norm(norm), change.float(), eps, Room.of(images.float())).double().numpy()
    for x, wish, answer in zip(images.numpy(), change.numpy(), found, strict=True):

        def at(multiplier, x=x, wish=wish):
            if norm == "linf":
                shrunk = np.clip(wish, -eps, eps)
            elif norm == "l2":
                shrunk = wish / (1 + multiplier)
            else:
                shrunk = np.sign(wish) * np.maximum(np.abs(wish) - multiplier, 0)
            return np.clip(shrunk, -x, 1 - x)

        def over(multiplier, at=at):
            size = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
            return np.linalg.norm(at(multiplier).ravel(), size) - eps

        best = at(0.0) if over(0.0) <= 0 else at(brentq(over, 0, 1e4, xtol=1e-14))
        assert np.abs(answer - best).max() <= CLOSE


@pytest.mark.parametrize("pixels", [1, 2, 4])
def test_l0_is_the_best_of_all_sets_of_pixels(pixels):
    images = torch.rand(5, 2, 2, 3, generator=torch.Generator().manual_seed(2))
    change = torch.randn(5, 2, 2, 3, generator=torch.Generator().manual_seed(3))
    found = project(Norm.L0, change, pixels / 6, Room.of(images))
    inside = (images + change).clamp(0, 1) - images
    for i in range(5):
        tried = []
        for chosen in itertools.combinations(range(6), pixels):
            mask = torch.zeros(6)
            mask[list(chosen)] = 1
            tried.append(inside[i] * mask.view(1, 2, 3))
        best = min(tried, key=lambda one: float((one - change[i]).square().sum()))
        assert float((found[i] - best).abs().max()) <= CLOSE
