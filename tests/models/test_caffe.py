"""caffe:SPEC, the normalisation of Keras' caffe mode."""

import pytest
import torch

from percuss.core.errors import ModelError
from percuss.models.caffe import MEANS
from percuss.models.checkpoint import save_model
from percuss.models.spec import load_model, takes_size
from percuss.testing.models import check_folder, check_gradient


def seen(model, images):
    """What the network behind everything is given."""
    kept = []
    first = next(part for part in model.modules() if isinstance(part, torch.nn.Conv2d))
    hook = first.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    model(images)
    hook.remove()
    return kept[0]


def test_blue_comes_first_and_nothing_is_divided():
    model = load_model("caffe:timm:resnet10t", classes=["a", "b"])
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    red, green, blue = (255 * images[:, i] - MEANS[i] for i in range(3))
    assert torch.allclose(seen(model, images), torch.stack([blue, green, red], 1), atol=1e-3)
    ends = [float(value) for edge in (0.0, 1.0) for value in seen(model, torch.full((1, 3, 64, 64), edge)).aminmax()]
    assert ends == pytest.approx([-123.68, -103.939, 255 - 123.68, 255 - 103.939], abs=1e-3)
    assert MEANS == (123.68, 116.779, 103.939)


def test_the_contract_and_the_way_through_a_folder(tmp_path):
    model = load_model("caffe:percuss:soft_attention?network=resnet10t", classes=["a", "b"], size=(64, 64))
    images = torch.rand(2, 3, 64, 64)
    check_gradient(model, images)
    check_folder(model, images, tmp_path / "model")
    assert model.info.spec == "caffe:percuss:soft_attention?network=resnet10t" and takes_size(model.info.spec)


def test_grey_networks_take_the_mean_of_the_three():
    grey = load_model("caffe:timm:resnet10t", classes=["a", "b"], channels=1)
    images = torch.rand(1, 1, 64, 64)
    assert torch.allclose(seen(grey, images), 255 * images - sum(MEANS) / 3, atol=1e-3)
    copied = load_model("caffe:timm:resnet10t", classes=["a", "b"], channels=1, grey_inside=True)
    assert torch.allclose(seen(copied, images)[:, 2], 255 * images[:, 0] - MEANS[0], atol=1e-3)


def test_x_rays_may_be_prepared_before_it_and_not_behind_it(tmp_path):
    images = torch.rand(1, 3, 64, 64)
    model = load_model("sharpened:caffe:timm:resnet10t", classes=["a", "b"])
    assert torch.isfinite(model(images)).all() and model.info.mean[0] == pytest.approx(123.68 / 255)
    with pytest.raises(ModelError, match=r"right before a network.*write it last"):
        load_model("caffe:sharpened:timm:resnet10t", classes=["a", "b"])
    folder = save_model(model, tmp_path / "m")
    assert torch.equal(load_model(folder)(images), model(images))
    with pytest.raises(ModelError, match=r"a trained model keeps its normalisation"):
        load_model(f"caffe:{save_model(load_model('timm:resnet10t', classes=['a', 'b']), tmp_path / 'n')}")
