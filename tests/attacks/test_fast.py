"""The faster copy gives the same numbers, leaves the model alone, and is not used where it errs."""

import pytest
import timm
import torch
from torch import nn

from percuss.attacks.engine import run_attack
from percuss.attacks.fast import TOLERANCE, search_copy
from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo


class Twice(nn.Module):
    """A convolution whose output is used beside its batch norm: folding would change the answer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 64, 3), nn.Conv2d(64, 192, 3)
        self.norm = nn.BatchNorm2d(64)

    def forward(self, images):
        found = self.first(images)
        return self.second(self.norm(found) + found).mean((2, 3))[:, :2]


class Fussy(nn.Conv2d):
    """A model that cannot be copied."""

    def __deepcopy__(self, memo):
        raise RuntimeError("no copies")


def unsettled(network):
    """Batch norms as after training: no statistic is 0 or 1."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.2, 0.2)
            nn.init.normal_(part.bias, 0, 0.2)
    network.train()
    for _ in range(6):  # a random network's own statistics keep the signal alive to the end
        network(torch.rand(8, 3, 32, 32) * 5 - 2.5)
    return network.eval()


def model_of(network, classes=2):
    torch.manual_seed(0)
    info = ModelInfo("test", "classify", tuple(map(str, range(classes))), 3, mean=(0.5,) * 3, std=(0.2,) * 3)
    return Model(unsettled(network), info).requires_grad_(False)


def clean(model, count=3, size=32):
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))
    return images, model(images)


def gradient(model, images):
    point = images.detach().requires_grad_()
    return torch.autograd.grad(model(point)[:, 0].sum(), point)[0]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "densenet121", "vgg11_bn", "mobilenetv3_small_100"])
def test_copy_gives_the_same_logits_and_gradient(name):
    model = model_of(timm.create_model(name, num_classes=2))
    images, logits = clean(model)
    copied, note = search_copy(model, images, logits)
    assert note == "" and copied is not model
    count = lambda network: sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())  # noqa: E731
    assert count(copied) < count(model)
    assert (copied(images) - logits).abs().max() <= TOLERANCE * logits.abs().max()
    cosine = nn.functional.cosine_similarity(gradient(copied, images).flatten(1), gradient(model, images).flatten(1))
    assert cosine.min() > 0.999


def test_the_model_itself_is_not_touched():
    model = model_of(timm.create_model("resnet18", num_classes=2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    text = str(model)
    copied, _ = search_copy(model, *clean(model))
    assert str(model) == text and str(copied) != text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.is_contiguous() for value in model.parameters())


def test_dense_weights_are_shared():
    model = model_of(timm.create_model("resnet18", num_classes=2))
    copied, _ = search_copy(model, *clean(model))
    assert copied.network.fc.weight is model.network.fc.weight


def test_copy_that_errs_is_not_used():
    model = model_of(Twice())
    found, note = search_copy(model, *clean(model))
    assert found is model and "differ" in note


def test_model_that_cannot_be_copied_is_searched_itself():
    network = nn.Sequential(Fussy(3, 64, 3), nn.Conv2d(64, 192, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = model_of(nn.Sequential(network, nn.Linear(192, 2)))
    found, note = search_copy(model, *clean(model))
    assert found is model and "no copies" in note


def test_small_or_dense_models_are_left_alone():
    model = model_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2)))
    assert search_copy(model, *clean(model)) == (model, "")


def test_every_success_is_the_models_own():
    model = model_of(timm.create_model("resnet18", num_classes=2))
    images, logits = clean(model, 6)
    batch = Tensors(list("abcdef"), (images * 255).round() / 255, logits.argmax(1), [None] * 6, PixelRange())
    swept = run_attack("pgd", model, batch, [parse_budget("linf=32/255")], settings={"steps": 5})
    decided = model(swept.images["linf=32/255"]).argmax(1) != batch.targets
    assert [row.success for row in swept.outcomes] == decided.tolist() and bool(decided.any())


def test_a_model_without_batch_norm_costs_one_pass(monkeypatch):
    network = nn.Sequential(nn.Conv2d(3, 128, 3), nn.Conv2d(128, 128, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = Model(network, ModelInfo("module", "classify", tuple(str(i) for i in range(128)), 3)).eval()
    images, passes = torch.rand(2, 3, 12, 12), []
    with torch.no_grad():
        logits = model(images)
    monkeypatch.setattr(Model, "forward", lambda self, x, own=Model.forward: passes.append(len(x)) or own(self, x))
    copied, note = search_copy(model, images, logits)
    assert copied is not model and note == "" and passes == [2]
