"""Attacks on codes on the two detectors of Strauss and Kenyon, small: they fit, stay within the budget, and bite."""

import pytest
import torch

from percuss.attacks.engine import run_attack
from percuss.core.budget import parse_budget
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange, Tensors
from percuss.core.latent import Coder, SparseCoder
from percuss.core.losses import cross_entropy
from percuss.core.model import Model, ModelInfo
from percuss.core.teller import Silent
from percuss.models.denoising_autoencoder import Learning
from percuss.models.denoising_detector import DenoisingDetector
from percuss.models.sparse_detector import SparseDetector
from percuss.models.sparse_learning import Plan

SIDE = 32


def tiles(count, seed):
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, SIDE // 8, SIDE // 8, generator=draw)
    smooth = torch.nn.functional.interpolate(coarse, size=SIDE, mode="bilinear")
    return ((smooth * 0.8 + 0.1) * 255).round() / 255


def truth(images):
    return (torch.nn.functional.avg_pool2d(images, 4)[:, 0] > 0.5).to(torch.uint8)


def trained(network, folder):
    images = tiles(16, 1)
    network.prepare(images, seed=0, folder=folder, progress=Silent())
    network.eval()
    with torch.no_grad():
        code = torch.cat([network.code(image[None]) for image in images])
    steps = torch.optim.Adam(network.head.parameters(), 3e-3)
    for _ in range(80):
        steps.zero_grad()
        wanted = truth(images).float().unsqueeze(1)
        torch.nn.functional.binary_cross_entropy_with_logits(network.judge(code), wanted).backward()
        steps.step()
    return Model(network, ModelInfo("detector", "heatmap", ("normal", "tumour"), 3, cell=4))


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    return trained(SparseDetector(3, Plan(16, 6, 2, active=0.03, updates=10)), tmp_path_factory.mktemp("sparse"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained(DenoisingDetector(learning=Learning(epochs=2)), tmp_path_factory.mktemp("plain"))


def batch():
    images = tiles(3, 2)
    return Tensors(["a", "b", "c"], images, truth(images), [None] * 3, PixelRange())


def worse(model, name, text="l2=1", **settings):
    """How much the cross-entropy of each image rose."""
    found = batch()
    swept = run_attack(name, model, found, [parse_budget(text)], settings={"early_stop": False} | settings)
    with torch.no_grad():
        after, before = (cross_entropy(model(x), found.targets, "heatmap") for x in (swept.images[text], found.images))
    assert all(row.l2 <= row.eps * (1 + 1e-4) for row in swept.outcomes)
    return after - before


def test_every_attack_bites_on_the_sparse_detector_and_the_exact_one_most(sparse):
    assert isinstance(sparse.network, SparseCoder)
    quick = {"steps": 20}
    found = {
        "implicit": worse(sparse, "implicit", start="clean", **quick),
        "straight": worse(sparse, "straight_through", **quick),
        "unrolled": worse(sparse, "unrolled", iterations=50, **quick),
        "code": worse(sparse, "sparse_code", steps=30),
        "fgsm": worse(sparse, "rescaled_fgsm", **quick),
        "noise": worse(sparse, "code_noise", draws=3),
    }
    mean = {name: float(rise.mean()) for name, rise in found.items()}
    assert min(mean.values()) > 0 and (found["implicit"] > 0).all()
    assert mean["implicit"] == max(mean.values())
    assert mean["noise"] < min(mean["code"], mean["implicit"])
    assert sparse.network.gradient == "implicit"


def test_the_denoising_detector_takes_what_needs_no_sparse_code(plain):
    assert isinstance(plain.network, Coder) and not isinstance(plain.network, SparseCoder)
    for name in ("pgd", "rescaled_fgsm"):
        assert (worse(plain, name, steps=20) > 0).all(), name
    assert (worse(plain, "sparse_code", steps=5) >= 0).all()  # no better image, where the decoder gives little back
    with pytest.raises(AttackError, match="percuss:sparse_detector has a sparse code"):
        worse(plain, "implicit")


def test_gradients_that_do_not_converge_are_told_of(sparse):
    found = batch()
    settings = {"early_stop": False, "steps": 2, "cg_steps": 1, "start": "clean"}
    swept = run_attack("implicit", sparse, found, [parse_budget("l2=1")], settings=settings)
    assert any("2 of 2 gradients looked at did not converge" in note for note in swept.notes)
    swept = run_attack("implicit", sparse, found, [parse_budget("l2=1")], settings=settings | {"cg_steps": 2000})
    assert not any("converge" in note for note in swept.notes)
