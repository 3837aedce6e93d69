"""unet_avramidis: the paper's count, both forms of upsampling by hand, sides, gradients, errors."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

from percuss.core.errors import ModelError
from percuss.models.checkpoint import save_model
from percuss.models.options import Options
from percuss.models.spec import load_model
from percuss.models.unet_avramidis import Doubling, UNetAvramidis, build


@pytest.mark.parametrize("upsampling", ["paper", "corrected"])
@pytest.mark.parametrize(("channels", "classes", "count"), [(3, 6, 7_919_238), (1, 2, 7_917_826)])
def test_parameters_are_the_papers(upsampling, channels, classes, count):
    with torch.device("meta"):
        network = UNetAvramidis(channels, classes, upsampling=upsampling)
        assert network(torch.zeros(2, channels, 256, 40)).shape == (2, classes, 256, 40)
    assert sum(value.numel() for value in network.parameters()) == count
    convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert sum(layer.kernel_size == (3, 3) for layer in convolutions) == 16
    assert sum(isinstance(layer, torch.nn.Dropout) for layer in network.modules()) == 2


def test_a_narrower_network_is_another_one_and_is_named():
    options = Options(classes=("a", "b"), task="segment")
    network, info = build({"width": "8"}, options)
    assert network(torch.zeros(1, 3, 16, 24)).shape == (1, 2, 16, 24) and network.last.in_channels == 8
    assert sum(value.numel() for value in network.parameters()) < 150_000 and info.task == "segment"
    for wrong in ("0", "2.5", "4096"):
        with pytest.raises(ModelError, match=f"width.*{wrong}"):
            build({"width": wrong}, options)


def test_the_papers_doubling_fills_three_in_four_with_the_bias():
    layer = Doubling(3, 2, upsampling="paper")
    with torch.no_grad():
        layer.weights.bias.copy_(torch.tensor([0.25, -3.0]))
        maps = torch.rand(1, 3, 4, 5)
        found = layer(maps)
        assert found.shape == (1, 2, 8, 10)
        by_hand = torch.einsum("nchw,cdij->ndhw", maps, layer.weights.weight) + layer.weights.bias[:, None, None]
        assert torch.allclose(found[..., ::2, ::2], by_hand, atol=1e-6)
        bias = layer.weights.bias[:, None, None].expand(1, 2, 4, 5)
        for row, column in ((0, 1), (1, 0), (1, 1)):
            assert torch.equal(found[..., row::2, column::2], bias)


def test_the_corrected_doubling_keeps_a_ramp_and_a_constant():
    layer = Doubling(1, 1, upsampling="corrected")
    with torch.no_grad():
        layer.weights.weight.fill_(2.0)
        layer.weights.bias.fill_(1.0)
        assert torch.equal(layer(torch.full((1, 1, 3, 3), 4.0)), torch.full((1, 1, 6, 6), 9.0))
        ramp = layer(torch.arange(4.0).view(1, 1, 1, 4))[0, 0, 0]
    assert ramp.tolist() == [1.0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.0]


@pytest.mark.parametrize("upsampling", ["paper", "corrected"])
def test_images_do_not_touch_each_other_and_gradients_reach_every_pixel(upsampling):
    torch.manual_seed(0)
    network = UNetAvramidis(3, 6, upsampling=upsampling).eval()
    images = torch.rand(2, 3, 16, 24, requires_grad=True)
    logits = network(images)
    assert torch.allclose(logits[:1], network(images[:1]), atol=1e-5)
    (gradient,) = torch.autograd.grad(logits[0].square().sum(), images)
    assert bool((gradient[0].abs().sum(0) > 0).all()) and not bool(gradient[1].any())
    assert bool((logits[0] < 0).any()) and not torch.allclose(logits.sum(1), torch.ones(2, 16, 24)), "no softmax inside"


def convolved(maps, weight, bias):
    """A 3x3 or 1x1 convolution with zeros around, as nine shifted products."""
    side = weight.shape[2]
    padded = np.pad(maps, ((0, 0), (side // 2,) * 2, (side // 2,) * 2))
    height, width = maps.shape[1:]
    shifts = [(row, column) for row in range(side) for column in range(side)]
    parts = [np.tensordot(weight[:, :, r, c], padded[:, r : r + height, c : c + width], 1) for r, c in shifts]
    return sum(parts) + bias[:, None, None]


def by_the_paper(image, given):
    """The network of the paper's code in plain numpy; ``given`` yields weight and bias of each layer in turn."""

    def layer(maps):
        return np.maximum(convolved(maps, *next(given)), 0)

    kept = []
    maps = image
    for level in range(4):
        if level:
            maps = maps.reshape(len(maps), maps.shape[1] // 2, 2, maps.shape[2] // 2, 2).max((2, 4))
        maps = layer(layer(maps))
        kept.append(maps)
    for level in (2, 1, 0):
        weight, bias = next(given)  # transposed, kernel 1, stride 2: each value apart, nothing between
        spread = np.zeros((weight.shape[1], 2 * maps.shape[1], 2 * maps.shape[2]))
        spread[:, ::2, ::2] = np.tensordot(weight[:, :, 0, 0].T, maps, 1)
        maps = layer(spread + bias[:, None, None])
        maps = layer(np.concatenate([maps, kept[level]]))
        maps = layer(maps) if level else maps
    return convolved(maps, *next(given))


def test_the_whole_network_is_the_papers_in_plain_numpy():
    torch.manual_seed(1)
    network = UNetAvramidis(3, 6, upsampling="paper").double().eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("bias"):
                value.uniform_(-0.1, 0.1)
    values = [value.detach().numpy() for value in network.state_dict().values()]
    image = torch.rand(1, 3, 24, 16, dtype=torch.float64)
    layers = zip(values[::2], values[1::2], strict=True)
    wanted = by_the_paper(image[0].numpy(), layers)
    assert next(layers, None) is None, "each layer is used once"
    with torch.no_grad():
        found = network(image)[0].numpy()
    assert np.abs(wanted).max() > 0.1 and np.abs(found - wanted).max() < 1e-9 * np.abs(wanted).max()


def test_a_constant_image_through_one_paper_doubling_by_hand():
    layer = Doubling(2, 1, upsampling="paper")
    with torch.no_grad():
        layer.weights.weight.fill_(1.0)
        layer.weights.bias.zero_()
        spread = layer(torch.ones(1, 2, 4, 4))
    mean = torch.nn.functional.avg_pool2d(spread, 3, stride=1)[0, 0, :4, :4] * 9
    # A 3x3 window over values of 2 with zeros between holds four of them, two, or one.
    assert torch.equal(mean, torch.tensor([[8.0, 4.0] * 2, [4.0, 2.0] * 2] * 2))


def test_dropout_draws_in_training_only():
    torch.manual_seed(0)
    network, images = UNetAvramidis(3, 2).train(), torch.rand(1, 3, 8, 8)
    assert not torch.equal(network(images), network(images))
    assert torch.equal(network.eval()(images), network(images))
    assert all(not bool(v.any()) for name, v in network.named_parameters() if name.endswith("bias"))


def test_the_forms_differ_in_their_text_which_the_fingerprint_takes_in():
    texts = {str(UNetAvramidis(3, 2, upsampling=form)) for form in ("paper", "corrected")}
    assert len(texts) == 2


@pytest.mark.parametrize("size", [*itertools.product((12, 16), (20,)), (0, 8)])
def test_sides_that_cannot_be_halved_are_refused(size):
    with pytest.raises(ModelError, match=rf"{size[0]} x {size[1]} pixels. Allowed: sides that are multiples of 8"):
        UNetAvramidis(3, 2)(torch.zeros(1, 3, *size))


def made(spec=None, **options):
    names = {"task": "segment", "classes": ("background", "nucleus")}
    return build(spec or {}, Options(**{**names, **options}))


def test_build_says_what_the_network_takes():
    network, info = made({"upsampling": "corrected"}, size=(32, 40), channels=1)
    assert (info.channels, info.size, info.mean, info.task) == (1, (32, 40), (0.0,), "segment")
    assert network.up[0].doubling.upsampling == "corrected" and network.down[0][0][0].in_channels == 1
    grey, info = made(grey_inside=True)
    assert grey.down[0][0][0].in_channels == 3 and info.channels == 1


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [({"upsampling": "nearest"}, {}, "unknown value: nearest. Allowed: paper, corrected"),
     ({}, {"task": "classify"}, "every pixel: task classify. Allowed: task segment"),
     ({}, {"weights": "pretrained"}, "no pretrained weights"),
     ({}, {"size": (256, 250)}, r"256 x 250 pixels.*\?size=256")],
)  # fmt: skip
def test_errors_name_what_is_allowed(given, options, words):
    with pytest.raises(ModelError, match=words):
        made(given, **options)
    with pytest.raises(ModelError, match="unknown upsampling of unet_avramidis: cubic"):
        UNetAvramidis(3, 2, upsampling="cubic")


def test_it_is_a_model_by_name_and_comes_back_from_its_folder(tmp_path):
    spec = "percuss:unet_avramidis?upsampling=corrected"
    model = load_model(spec, classes=["background", "nucleus"], task="segment", size=(16, 24))
    assert model.info.spec == spec
    images = torch.rand(2, 3, 16, 24)
    assert model(images).shape == (2, 2, 16, 24)
    again = load_model(save_model(model, tmp_path / "model", weights="trained"))
    assert torch.equal(again(images), model(images)) and again.task == "segment"


@pytest.mark.parametrize("side", [48, 64])
def test_training_steps_on_channels_last_maps_of_few_channels(side):
    """In a process of its own: torch's transposed convolution brought it down here."""
    code = f"""
import torch
from percuss.models.unet_avramidis import UNetAvramidis
torch.set_num_threads(1)
net = UNetAvramidis(3, 5, width=8).to(memory_format=torch.channels_last)
for _ in range(12):
    images = torch.rand(4, 3, {side}, {side}).to(memory_format=torch.channels_last)
    net(images).logsumexp(1).mean().backward()
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=120).returncode == 0


def test_the_doubling_is_torchs_transposed_convolution():
    layer = Doubling(5, 3, upsampling="paper").double()
    maps = torch.rand(2, 5, 4, 6, dtype=torch.float64, requires_grad=True)
    ours, theirs = layer(maps), layer.weights(maps)
    assert torch.allclose(ours, theirs)
    weight = torch.rand_like(ours)
    for mine, other in zip(
        torch.autograd.grad((ours * weight).sum(), [maps, *layer.parameters()]),
        torch.autograd.grad((theirs * weight).sum(), [maps, *layer.parameters()]),
        strict=True,
    ):
        assert torch.allclose(mine, other)
