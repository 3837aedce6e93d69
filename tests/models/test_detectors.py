"""Both detectors of heat maps: the contract of a coder, frozen encoders, codes remembered, specs and their errors."""

import pytest
import torch

from percuss.core.errors import ModelError, UsageError
from percuss.core.latent import GRADIENTS, Coder, SparseCoder
from percuss.core.teller import Silent
from percuss.models.checkpoint import save_model
from percuss.models.lca import decode, encode, standardise
from percuss.models.spec import load_model

SPARSE = "percuss:sparse_detector?atoms=8&kernel=6&stride=2&active=0.05&updates=4"
DENOISING = "percuss:denoising_detector?epochs=1"
SPECS = (SPARSE, DENOISING)


def tiles(count=4, side=32):
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(count, 3, side // 4, side // 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear")


def model(spec, **options):
    torch.manual_seed(0)
    given = {"task": "heatmap", "classes": ["normal", "tumour"], "channels": 3} | options
    return load_model(spec, **given)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    found = {}
    for number, spec in enumerate(SPECS):
        made = model(spec)
        made.network.prepare(tiles(), seed=0, folder=tmp_path_factory.mktemp(f"encoder{number}"), progress=Silent())
        found[spec] = made.eval()
    return found


@pytest.mark.parametrize("spec", SPECS)
def test_a_detector_is_a_coder(learned, spec):
    made, images = learned[spec], tiles(3)
    network = made.network
    assert isinstance(network, Coder) and isinstance(network, SparseCoder) == (spec == SPARSE)
    assert made.info.cell == network.cell == 4 and made.info.mean == (0, 0, 0) and made.info.std == (1, 1, 1)
    with torch.no_grad():
        code = network.code(images)
        assert code.shape == (3, 8 if spec == SPARSE else 9, 16, 16) and bool((code >= 0).all())
        logits = network(images)
        assert logits.shape == (3, 1, 8, 8) and torch.allclose(logits, network.judge(code), atol=1e-6)
        assert made(images).shape == (3, 2, 8, 8) and torch.equal(made(images)[:, 1:], logits)
        assert network.rebuild(code, images).shape == images.shape
        assert torch.allclose(logits[:1], network(images[:1]), atol=1e-6)
        if spec == SPARSE:
            assert all(torch.equal(logits[i : i + 1], network(images[i : i + 1])) for i in range(3)), "batch mates"


def test_the_sparse_code_does_not_know_its_batch_mates_and_is_that_of_lca(learned):
    network, images = learned[SPARSE].network, tiles(3)
    code = network.code(images)
    assert all(torch.equal(code[i], network.code(images[i : i + 1])[0]) for i in range(3))
    units, mean, deviation = standardise(images)
    other, info = encode(units, network.dictionary, threshold=float(network.threshold), stride=2)
    assert torch.allclose(code, other, atol=1e-4) and bool(info.converged.all())
    made = decode(code, network.dictionary, stride=2) * deviation + mean
    assert torch.allclose(network.rebuild(code, images), made, atol=1e-6)
    brighter = 0.5 * images + 0.2
    assert torch.allclose(network.code(brighter), code, atol=1e-2), "standardised inside"
    changed = network.rebuild(code, brighter) - 0.2
    assert torch.allclose(changed, 0.5 * network.rebuild(code, images), atol=1e-5), "mean and deviation of `like`"


@pytest.mark.parametrize("spec", SPECS)
def test_the_encoder_is_frozen_and_a_checkpoint_holds_it(learned, spec, tmp_path):
    made = learned[spec]
    trainable = {name for name, value in made.named_parameters() if value.requires_grad}
    assert trainable == {
        f"network.head.{part}.{kind}" for part in ("first", "second", "last") for kind in ("weight", "bias")
    }
    made.train()
    assert torch.equal(made.network.code(tiles(2)), made.network.code(tiles(2))), "no dropout in a frozen encoder"
    made.eval()
    again = load_model(save_model(made, tmp_path / "model"))
    kind = "sparse code (LCA)" if spec == SPARSE else "denoising autoencoder"
    assert again.network.told()["kind"] == made.network.told()["kind"] == kind
    assert again.info.cell == 4 and torch.equal(again(tiles(2)), made(tiles(2)))
    assert {name for name, value in again.named_parameters() if value.requires_grad} == trainable


@pytest.mark.parametrize("spec", SPECS)
def test_an_encoder_that_never_learned_is_refused(spec):
    with pytest.raises(ModelError, match=r"has learned nothing yet.*percuss train"):
        model(spec)(tiles(1))


@pytest.mark.parametrize("spec", SPECS)
def test_codes_are_remembered_by_content(learned, spec):
    network, images = learned[spec].network, tiles(4)
    with torch.no_grad():
        plain = network(images)
    with network.remembering() as memory:
        first = network(images)
        again = network(images.flip(0).to(memory_format=torch.channels_last))
        assert memory.found == 4 and len(memory) == 4 and memory.bytes > 0
        assert torch.allclose(again.flip(0), first, atol=1e-6) and torch.allclose(first, plain, atol=1e-6)
        again.sum().backward()
        assert network.head.first.weight.grad is not None
        network.zero_grad()
        moving = images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(moving).sum(), moving)
        assert memory.found == 4 and bool(gradient.any()), "images under attack are coded anew"
    with network.remembering(limit=0) as memory:
        assert torch.equal(network.code(images), network.code(images)) and not len(memory) and memory.found == 0
    network(images)
    assert not len(memory), "forgotten outside"


def test_gradients_are_chosen_and_put_back(learned):
    network, images = learned[SPARSE].network, tiles(1).requires_grad_()
    found = {}
    for mode in GRADIENTS:
        with network.gradients(mode) as same:
            assert same is network and network.gradient == mode
            found[mode] = torch.autograd.grad(network(images).sum(), images)[0]
    assert network.gradient == "implicit"
    exact = found["implicit"].flatten()
    for mode in GRADIENTS[1:]:
        assert bool(found[mode].any()) and not torch.allclose(found[mode].flatten(), exact)
    with network.gradients("unrolled", steps=3, tau=10.0):
        short = torch.autograd.grad(network(images).sum(), images)[0]
    assert not torch.equal(short, found["unrolled"]), "settings reach the gradient"
    with pytest.raises(UsageError, match=r"backwards.*implicit"), network.gradients("backwards"):
        pass
    (denoising,) = torch.autograd.grad(learned[DENOISING](images).sum(), images)
    assert bool(denoising.any())


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("percuss:sparse_detector?atoms=0", "atoms"),
        ("percuss:sparse_detector?active=1", "active"),
        ("percuss:sparse_detector?active=0.1&threshold=2", "either found or given"),
        ("percuss:sparse_detector?threshold=0", "above 0"),
        ("percuss:sparse_detector?kernel=6&stride=7", "stride"),
        ("percuss:sparse_detector?stride=3", "places of 3 px"),
        ("percuss:sparse_detector?kind=round", "soft"),
        ("percuss:sparse_detector?tau=9", "tau"),
        ("percuss:sparse_detector?solver=lca&tau=0.5", "tau"),
        ("percuss:sparse_detector?atom=4", "atoms"),
        ("percuss:denoising_detector?epochs=0", "epochs"),
        ("percuss:denoising_detector?cell=5", "places of 2 px"),
    ],
)
def test_wrong_options_are_named(spec, told):
    with pytest.raises(ModelError, match=told):
        model(spec)


@pytest.mark.parametrize("spec", SPECS)
def test_what_a_detector_cannot_be(spec, learned):
    with pytest.raises(ModelError, match=r"task segment.*heatmap"):
        model(spec, task="segment")
    with pytest.raises(ModelError, match="two classes"):
        model(spec, classes=["a", "b", "c"])
    with pytest.raises(ModelError, match="pretrained"):
        model(spec, weights="pretrained")
    with pytest.raises(ModelError, match="mean and std"):
        model(spec, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
    with pytest.raises(ModelError, match=r"30 x 32.*multiples of 4"):
        learned[spec].network(torch.zeros(1, 3, 30, 32))


def test_settings_of_the_code_are_part_of_the_fingerprint():
    prints = {
        model(SPARSE + more).fingerprint() for more in ("", "&kind=hard", "&solver=lca&steps=20", "&tolerance=0.01")
    }
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("options", "share"),
    [("", 0.08 * 4 / 512), ("?stride=8", 0.01), ("?stride=4&atoms=64", 0.01), ("?active=0.2", 0.2)],
)
def test_the_share_of_active_coefficients_is_no_more_for_each_pixel_at_a_finer_stride(options, share):
    assert model(f"percuss:sparse_detector{options}").network.plan.active == pytest.approx(share)
