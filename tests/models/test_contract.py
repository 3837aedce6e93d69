"""Every source of models keeps the contract; one logit and failed downloads."""

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from monai.networks.nets import SegResNet
from torch import nn

from percuss.core.errors import ModelError
from percuss.models.checkpoint import save_model
from percuss.models.pretrained import downloading
from percuss.models.soft_attention import with_soft_attention
from percuss.models.spec import SOURCES, load_model
from percuss.testing.models import check_source

NETWORK = {
    "timm": "resnet10t", "torchvision": "shufflenet_v2_x0_5", "factory": "contract_net:small",
    "percuss": "soft_attention?network=resnet10t", "smp": "Unet?encoder=tu-test_resnet", "monai": "SegResNet",
}  # fmt: skip
SEGMENTERS = {
    "smp": NETWORK["smp"], "monai": NETWORK["monai"], "torchvision": "lraspp_mobilenet_v3_large",
    "percuss": "unet_avramidis", "factory": "contract_net:pixels",
}  # fmt: skip
FACTORY = """
from torch import nn
def small(classes, channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, classes))
def pixels(classes, channels):
    return nn.Conv2d(channels, classes, 3, padding=1)
def single(channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1))
"""


def raw_timm(classes):
    network = timm.create_model("resnet10t", num_classes=classes)
    return network, network.pretrained_cfg["mean"], network.pretrained_cfg["std"]


def raw_torchvision(classes):
    network = torchvision.models.shufflenet_v2_x0_5(num_classes=classes)
    return network, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def raw_factory(classes):
    from contract_net import small

    return small(classes, 3), (0.0,) * 3, (1.0,) * 3


def raw_percuss(classes):
    network = timm.create_model("resnet10t", num_classes=0)
    found = with_soft_attention(network, classes, images=torch.zeros(1, 3, 64, 64))
    return found, network.pretrained_cfg["mean"], network.pretrained_cfg["std"]


def raw_smp(classes):
    return smp.Unet("tu-test_resnet", encoder_weights=None, classes=classes), (0.0,) * 3, (1.0,) * 3


def raw_monai(classes):
    return SegResNet(spatial_dims=2, in_channels=3, out_channels=classes), (0.0,) * 3, (1.0,) * 3


RAW = {"timm": raw_timm, "torchvision": raw_torchvision, "factory": raw_factory, "percuss": raw_percuss}


@pytest.fixture(autouse=True)
def factory(tmp_path, monkeypatch):
    (tmp_path / "contract_net.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("source", [source for source in SOURCES if source not in ("smp", "monai")])
def test_source_keeps_the_contract(source, tmp_path):
    check_source(SOURCES[source], NETWORK[source], tmp_path / "work", allow_code=source == "factory", raw=RAW[source])


@pytest.mark.parametrize("source", SEGMENTERS)
def test_source_of_segmenters_keeps_the_contract(source, tmp_path):
    raw = {"smp": raw_smp, "monai": raw_monai}.get(source)
    assert set(SOURCES) == set(NETWORK), "a new source is added to these lists"
    settings = {"allow_code": source == "factory", "task": "segment", "pixels": 16, "raw": raw}
    check_source(SOURCES[source], SEGMENTERS[source], tmp_path / "work", **settings)


def test_model_of_one_logit_comes_back_from_its_folder(tmp_path):
    model = load_model("factory:contract_net:single", classes=["a", "b"], allow_code=True)
    again = load_model(save_model(model, tmp_path / "one"), allow_code=True)
    images = torch.rand(3, 3, 9, 9)
    assert torch.equal(again(images), model(images)) and again(images).shape == (3, 1)


def test_saving_leaves_the_mode_alone_and_needs_a_size_that_works(tmp_path):
    model = load_model(nn.Sequential(nn.Flatten(), nn.Linear(75, 2)), classes=["a", "b"])
    with pytest.raises(ModelError, match="give its size"):
        save_model(model, tmp_path / "unknown")
    model = load_model(nn.Sequential(nn.Flatten(), nn.Linear(75, 2)), classes=["a", "b"], size=(5, 5)).train()
    save_model(model, tmp_path / "known")
    assert model.network.training


def test_failed_download_and_failed_construction_are_told_apart():
    def fail(text):
        raise RuntimeError(text)

    with pytest.raises(ModelError, match="pretrained weights cannot be had"), downloading("x", wanted=True, plain=int):
        fail("no route")
    with pytest.raises(RuntimeError, match="bad width"), downloading("x", wanted=True, plain=lambda: fail("bad width")):
        fail("anything")
    with pytest.raises(RuntimeError, match="as it is"), downloading("x", wanted=False):
        fail("as it is")
