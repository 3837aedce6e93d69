"""sharpened:SPEC, and the same formula on stored images; attacks before and after."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from percuss.core.sharpening import blur_matrix, sharpen, stretch
from percuss.data.decode import Reading, shape
from percuss.models.checkpoint import save_model
from percuss.models.sharpening import Sharpened
from percuss.models.spec import load_model, takes_size
from percuss.testing.models import check_folder, check_gradient


def by_hand(image):
    """4 x - 4 blur + 128 on a small list of lists in 8-bit units; 121 taps, the border mirrored without its pixel."""
    taps = [math.exp(-(step**2) / 800) for step in range(-60, 61)]

    def along(line):
        def at(place):
            period = 2 * len(line) - 2
            place %= period
            return line[min(place, period - place)]

        return [sum(tap * at(i + step - 60) for step, tap in enumerate(taps)) / sum(taps) for i in range(len(line))]

    rows = [along(line) for line in image]
    blurred = list(zip(*[along(column) for column in zip(*rows, strict=True)], strict=True))
    return [
        [min(max(4 * x - 4 * b + 128, 0), 255) for x, b in zip(*pair, strict=True)]
        for pair in zip(image, blurred, strict=True)
    ]


def test_sharpening_is_the_formula_by_hand():
    drawn = torch.randint(0, 256, (9, 13), generator=torch.Generator().manual_seed(0))
    found = sharpen((drawn / 255)[None, None]) * 255
    assert torch.allclose(found[0, 0], torch.tensor(by_hand(drawn.tolist())), atol=2e-3)
    assert 0 < float((found == 0).float().mean()) < 0.6, "the case holds clipped and free pixels"


def test_a_flat_image_becomes_mid_grey_and_one_pixel_is_enough():
    assert torch.allclose(sharpen(torch.full((1, 1, 30, 70), 0.3)), torch.tensor(128 / 255))
    assert torch.allclose(sharpen(torch.rand(1, 1, 1, 1)), torch.tensor(128 / 255))
    assert torch.allclose(blur_matrix(100).sum(1), torch.ones(100, dtype=torch.float64))


def test_gradient_is_that_of_differences():
    image = (0.5 + 0.01 * torch.rand(1, 1, 6, 7, dtype=torch.float64)).requires_grad_(True)
    assert torch.autograd.gradcheck(sharpen, (image,))


def test_the_network_gets_sharpened_and_normalised_images():
    stand = Sharpened(nn.Identity(), mean=(0.5, 0.4), std=(0.2, 0.1))
    mean, std = (torch.tensor(values).view(1, 2, 1, 1) for values in ((0.5, 0.4), (0.2, 0.1)))
    images = torch.rand(2, 2, 20, 20)
    assert torch.allclose(stand((images - mean) / std), (sharpen(images) - mean) / std, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_any_spec_behind_the_sharpening_keeps_the_contract(channels, tmp_path):
    model = load_model("sharpened:timm:resnet10t", classes=["a", "b"], channels=channels)
    images = torch.rand(2, channels, 64, 64)
    plain = load_model("timm:resnet10t", classes=["a", "b"], channels=channels)
    plain.network.load_state_dict(model.network.network.state_dict())
    assert torch.allclose(model(images), plain(sharpen(images)), atol=1e-4)
    check_gradient(model, images)
    check_folder(model, images, tmp_path / "model")
    assert model.info.spec == "sharpened:timm:resnet10t" and model.info.mean == plain.info.mean


def test_grey_images_are_sharpened_before_they_are_copied():
    model = load_model("sharpened:timm:resnet10t", classes=["a", "b"], channels=1, grey_inside=True)
    assert model(torch.rand(2, 1, 64, 64)).shape == (2, 2)


def test_data_gives_the_same_picture_in_native_levels():
    stored = np.random.default_rng(0).integers(0, 256, (1, 12, 12), dtype=np.uint8)
    found, native = shape(stored, "x", Reading(sharpen=True))
    wanted = (sharpen(torch.from_numpy(stored / 255)) * 255).round()
    assert found.dtype == np.uint8 and native.high == 255 and np.array_equal(found, wanted.numpy())


def test_a_new_network_of_ours_or_timms_is_told_the_size_of_its_images(tmp_path):
    assert takes_size("sharpened:timm:vit_tiny_patch16_224") and takes_size("percuss:vgg16_joel")
    assert not takes_size("torchvision:vgg16") and not takes_size("sharpened:factory:a:b")
    model = load_model("sharpened:percuss:vgg16_joel", classes=["a", "b"], size=(32, 32))
    assert load_model(save_model(model, tmp_path / "m")).info == model.info


def test_a_model_trained_on_sharpened_images_can_be_attacked_before_the_sharpening(tmp_path):
    plain = load_model("timm:resnet10t", classes=["a", "b"])
    folder = save_model(plain, tmp_path / "plain", weights="trained")
    images = torch.rand(2, 3, 64, 64)
    for spec, more in ((folder, {}), ("timm:resnet10t", {"weights": folder / "model.safetensors"})):
        model = load_model(f"sharpened:{spec}", classes=["a", "b"], **more)
        assert torch.allclose(model(images), plain(sharpen(images)), atol=1e-4)
    again = load_model(save_model(load_model(f"sharpened:{folder}"), tmp_path / "sharp"))
    assert again.info.spec == "sharpened:timm:resnet10t" and again.info.weights == "trained"
    assert torch.equal(again(images), load_model(f"sharpened:{folder}")(images))


def test_stretch_takes_each_image_to_the_whole_range():
    drawn = 0.3 + 0.2 * torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    found = stretch(drawn)
    assert found.amin((1, 2, 3)).tolist() == [0, 0] and found.amax((1, 2, 3)).tolist() == [1, 1]
    assert torch.allclose(found[0], stretch(drawn[:1])[0]), "an image does not depend on the others"
    low, high = float(drawn[0].min()), float(drawn[0].max())
    assert torch.allclose(found[0], (drawn[0] - low) / (high - low))
    assert torch.equal(stretch(torch.full((1, 1, 3, 3), 0.4)), torch.zeros(1, 1, 3, 3))
    image = torch.rand(1, 1, 4, 4, dtype=torch.float64).requires_grad_(True)
    assert torch.autograd.gradcheck(stretch, (image,))


def test_stretch_and_sharpening_before_the_network_are_those_of_the_data(tmp_path):
    stored = torch.randint(60, 140, (1, 40, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    prepared, _ = shape(stored.numpy(), "x", Reading(stretch=True, sharpen=True))
    inside = sharpen(stretch(stored[None] / 255)) * 255
    # The data is rounded to levels twice; the sharpening takes the first rounding four times.
    assert float((torch.from_numpy(prepared) - inside[0]).abs().max()) <= 0.5 + 4 * 0.5 + 1e-3
    plain = load_model("timm:resnet10t", classes=["a", "b"], channels=1)
    folder = save_model(plain, tmp_path / "plain", weights="trained")
    model = load_model(f"stretched:sharpened:{folder}")
    images = stored[None] / 255
    assert torch.allclose(model(images), plain(sharpen(stretch(images))), atol=1e-4)
    assert model.info.spec == "stretched:sharpened:timm:resnet10t"
    check_gradient(model, images)
    check_folder(model, images, tmp_path / "model")
