"""Saliency and Grad-CAM: exact on models with known answers; maps of cut-off models are refused."""

import pytest
import torch
from torch import nn

from percuss.core.errors import ModelError, NoGradientError, UsageError
from percuss.core.model import Model, ModelInfo
from percuss.explain import asking
from percuss.explain.gradcam import gradcam
from percuss.explain.layers import last_spatial_layer
from percuss.explain.saliency import saliency
from percuss.models.spec import load_model


def model_of(network, classes=("a", "b"), task="classify", channels=3):
    return Model(network, ModelInfo("known", task, classes, channels))


class Linear(nn.Module):
    def __init__(self, outputs=2):
        super().__init__()
        self.last = nn.Linear(3 * 64, outputs)

    def forward(self, images):
        return self.last(images.flatten(1))


class Square(nn.Module):
    """The class score is the mean of one quarter of the only feature map: that quarter is what Grad-CAM shows."""

    def __init__(self):
        super().__init__()
        self.map = nn.Conv2d(3, 1, 1, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(1)
        nn.init.ones_(self.map.weight)

    def forward(self, images):
        found = self.pool(self.map(images)).flatten(1)
        return torch.cat([-found, found], 1)


IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
ONES = torch.ones(3, dtype=torch.long)


def test_gradient_of_a_linear_model_is_its_weights():
    model = model_of(Linear())
    found = saliency(model, IMAGES, ONES, batch_size=2)
    wanted = model.network.last.weight[1].view(3, 8, 8).abs().amax(0)
    assert torch.allclose(found, wanted.expand(3, 8, 8))
    along = saliency(model, IMAGES, ONES, method="integrated_gradients", steps=8)
    assert torch.allclose(along, (model.network.last.weight[1].view(3, 8, 8) * IMAGES).abs().amax(1), atol=1e-6)


def test_one_logit_and_labels_are_explained_too():
    single, labels = model_of(Linear(1)), model_of(Linear(3), ("a", "b", "c"), "multilabel")
    zero = saliency(single, IMAGES, 0 * ONES)
    assert torch.equal(zero, saliency(single, IMAGES, ONES)) and float(zero.max()) > 0
    assert saliency(labels, IMAGES, torch.tensor([0, 1, 2])).shape == (3, 8, 8)
    with pytest.raises(ModelError, match="do not fit"):
        saliency(labels, IMAGES, 3 * ONES)


def test_rows_do_not_depend_on_their_batch_and_modes_are_left_alone():
    model = load_model("torchvision:resnet18", classes=("a", "b"))
    model.train()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for maps in (saliency, gradcam):
        both, alone = maps(model, images, ONES[:2]), maps(model, images[1:], ONES[:1])
        assert both.shape == (2, 64, 64)
        assert torch.allclose(both[1], alone[0], rtol=1e-3, atol=1e-6 * float(both.max()))
    assert model.training and model.network.layer1.training


def test_gradcam_shows_where_the_map_is_high():
    images = torch.zeros(1, 3, 8, 8)
    images[:, :, :4, :4] = 1
    model = model_of(Square())
    assert last_spatial_layer(model, images[0]) == "map"
    found = gradcam(model, images, ONES[:1])
    assert float(found[0, :4, :4].min()) > 0 == float(found[0, 4:, 4:].max())
    assert float(gradcam(model, images, 0 * ONES[:1]).max()) == 0  # it speaks against the other class
    assert torch.equal(gradcam(model, images, ONES[:1], layer="map"), found)


@pytest.mark.parametrize(
    ("spec", "layer"),
    [("torchvision:resnet18", "layer4"), ("timm:resnet18", "layer4"), ("torchvision:mobilenet_v3_small", "features")],
)
def test_the_last_spatial_layer_is_found(spec, layer):
    model = load_model(spec, classes=("a", "b"))
    assert last_spatial_layer(model, torch.rand(3, 64, 64)) == layer


def test_transformers_and_wrong_names_are_refused():
    vit = load_model("timm:vit_tiny_patch16_224", classes=("a", "b"), size=(224, 224))
    with pytest.raises(ModelError, match="no spatial map"):
        last_spatial_layer(vit, torch.rand(3, 224, 224))
    with pytest.raises(ModelError, match="no such layer"):
        gradcam(model_of(Square()), IMAGES, ONES, layer="mop")
    with pytest.raises(UsageError, match="unknown method"):
        saliency(model_of(Linear()), IMAGES, ONES, method="magic")


class Detached(Square):
    def forward(self, images):
        return super().forward(images.detach())


class Rounded(Square):
    def forward(self, images):
        return super().forward(images.round())


@pytest.mark.parametrize("fault", [Detached, Rounded])
@pytest.mark.parametrize("maps", [saliency, gradcam])
def test_a_map_of_a_cut_off_model_is_refused(fault, maps):
    with pytest.raises(NoGradientError, match="gradient"):
        maps(model_of(fault()), IMAGES, ONES)


def test_a_missing_library_names_the_extra():
    with pytest.raises(UsageError, match=r"percuss\[explain\]"):
        asking.library("no_such_library_of_maps")
