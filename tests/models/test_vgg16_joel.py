"""vgg16_joel: the paper's counts, the max-norm, small sizes, folders and errors."""

import pytest
import torch

from percuss.core.errors import ModelError
from percuss.models.checkpoint import save_model
from percuss.models.spec import load_model
from percuss.models.vgg16_joel import MaxNormLinear, VGG16Joel


@pytest.mark.parametrize(
    ("outputs", "side", "flat", "parameters"),
    [(2, 224, 25_088, 121_676_610), (2, 116, 4_608, 37_790_530), (10, 32, 512, 21_021_514)],
)
def test_parameters_are_the_papers(outputs, side, flat, parameters):
    with torch.device("meta"):
        network = VGG16Joel(outputs, size=(side, side)).eval()
        assert network(torch.zeros(1, 3, side, side)).shape == (1, outputs)
    assert network.head[2].in_features == flat
    assert sum(value.numel() for value in network.parameters()) == parameters


def test_model_comes_back_from_its_folder_with_its_size(tmp_path):
    spec = "percuss:vgg16_joel?input=unit&maxnorm=0"
    model = load_model(spec, classes=["a", "b"], channels=1, size=(32, 40))
    assert (model.info.spec, model.info.size, model.info.mean) == (spec, (32, 40), (0.0,) * 3)
    images = torch.rand(2, 1, 32, 40)
    again = load_model(save_model(model, tmp_path / "model", weights="trained"))
    assert torch.equal(again(images), model(images)) and again.info.channels == 1
    assert again.network.head[2].largest is None


def test_rows_are_held_to_the_norm_after_each_step_and_at_the_end():
    layer = MaxNormLinear(6, 3, largest=1.0)
    layer.eval()
    with torch.no_grad():
        layer.weight[0] = 5
    layer(torch.ones(1, 6))
    layer.train().eval()
    assert float(layer.weight[0].detach().norm()) > 5, "weights that nobody trains stay"
    optimiser = torch.optim.SGD(layer.parameters(), lr=10)
    layer.train()
    for _ in range(2):
        # Two passes in one step, as in TRADES: weights that fit do not change under the first pass's gradient.
        (layer(torch.ones(1, 6)).square().sum() + layer(torch.zeros(1, 6)).sum()).backward()
        assert float(layer.weight.detach().norm(dim=1).max()) <= 1 + 2e-6
        optimiser.step()
    assert float(layer.weight.detach().norm(dim=1).max()) > 2
    layer.eval()
    held = layer.weight.detach().clone()
    assert float(held.norm(dim=1).max()) == pytest.approx(1, abs=1e-6)
    layer.train()
    layer(torch.ones(1, 6))
    assert torch.equal(layer.weight, held), "held once, held for good"


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [("vgg16_joel", {"size": (31, 64)}, r"too small for vgg16_joel: \(31, 64\)"),
     ("vgg16_joel", {"channels": 4}, "colour or grey images: 4 channels"),
     ("vgg16_joel?maxnom=2", {}, "unknown option of vgg16_joel: maxnom. Allowed: maxnorm"),
     ("vgg16_joel?maxnorm=wide", {}, "maxnorm must be a number: wide"),
     ("vgg16_joel?input=raw", {}, "input has an unknown value: raw. Allowed: imagenet, unit"),
     ("vgg16_joel?input", {}, "no single value: input"),
     ("vgg16_joel?input=unit&input=unit", {}, "no single value"),
     ("vgg16_joe", {}, "no such network: vgg16_joe. Allowed: vgg16_joel")],
)  # fmt: skip
def test_errors_name_what_is_allowed(spec, options, words):
    with pytest.raises(ModelError, match=words):
        load_model(f"percuss:{spec}", classes=["a", "b"], **options)


def test_a_new_network_needs_classes():
    with pytest.raises(ModelError, match="needs class names: percuss:vgg16_joel"):
        load_model("percuss:vgg16_joel")


def test_pretrained_fills_the_convolutions(monkeypatch):
    import torchvision

    vgg = torchvision.models.vgg
    state = {
        f"features.{name}": torch.full_like(value, 0.5)
        for name, value in vgg.make_layers(vgg.cfgs["D"]).state_dict().items()
    }
    monkeypatch.setattr(type(torchvision.models.VGG16_Weights.DEFAULT), "get_state_dict", lambda *_, **__: state)
    model = load_model("percuss:vgg16_joel", classes=["a", "b"], size=(32, 32), weights="pretrained")
    assert bool((model.network.features[28].weight == 0.5).all()) and model.info.weights == "pretrained"
