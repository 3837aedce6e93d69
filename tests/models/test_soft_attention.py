"""Soft attention: the specification's counts, the axis error, heads that sum, maps, and any network of timm."""

import pytest
import timm
import torch
from torch import nn

from percuss.core.errors import ModelError
from percuss.models.checkpoint import save_model
from percuss.models.soft_attention import SoftAttention, attention_maps, with_soft_attention
from percuss.models.spec import load_model


def cut(name, outputs, side, **how):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
        return with_soft_attention(network, outputs, images=torch.zeros(1, 3, side, side), **how)


def count(network):
    return sum(value.numel() for value in network.parameters())


def keras_count(network):
    """Keras counts running means and variances too, and its Inception-ResNet has no scale in its normalisations."""
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    return count(network) + sum(norm.num_features for norm in norms)


@pytest.mark.parametrize("form", ["paper", "fixed"])
@pytest.mark.parametrize(("channels", "parameters"), [(2048, 294_928), (192, 27_664)])
def test_attention_has_the_parameters_of_the_specification(form, channels, parameters):
    with torch.device("meta"):
        assert count(SoftAttention(channels, form=form)) == parameters + (form == "fixed")


@pytest.mark.parametrize(("outputs", "percent"), [(2, 1.27), (7, 1.31)])
def test_resnet50_grows_by_the_share_in_the_paper(outputs, percent):
    plain, paper = (cut("resnet50", outputs, 224, form=form) for form in ("none", "paper"))
    assert plain.trunk.shape == (2048, 7, 7) and paper.classifier.in_features == 4096
    assert count(plain) == 23_508_032 + 2049 * outputs
    assert 100 * (count(paper) / count(plain) - 1) == pytest.approx(percent, abs=0.005)


def test_inception_resnet_v2_is_cut_within_a_branch_and_counts_as_in_the_specification():
    plain, paper, fixed = (cut("inception_resnet_v2", 7, 299, form=form) for form in ("none", "paper", "fixed"))
    assert plain.trunk.shape == paper.trunk.shape == (192, 8, 8) and fixed.trunk.shape == (1536, 8, 8)
    assert (plain.classifier.in_features, paper.classifier.in_features) == (12_288, 6_144)
    assert (keras_count(plain), keras_count(paper)) == (47_550_631, 47_535_287)


def test_the_papers_cut_lies_before_the_relu():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("inception_resnet_v2", num_classes=0)
        found = with_soft_attention(network, 2, images=torch.zeros(1, 3, 80, 80), form="paper").eval()
    assert float(found.trunk(torch.rand(1, 3, 80, 80)).detach().min()) < 0


def as_keras(layer, features):
    """The paper's convolution as it is written there: over rows, columns and channels as three axes of space."""
    count, height = features.shape[1:3]
    volume = features.movedim(1, -1)[:, None]
    padded = nn.functional.pad(volume, (0, 0, 1, 1, (count - 1) // 2, count - 1 - (count - 1) // 2))
    kernel = layer.weight.movedim(1, -1)[:, None]
    found = nn.functional.conv3d(padded, kernel, layer.bias, stride=(1, 1, count))[..., 0]
    assert found.shape[2] == height
    return found.relu().flatten(2).softmax(2).sum(1).view(len(features), 1, *features.shape[2:]) * features


@pytest.mark.parametrize(("channels", "height"), [(64, 7), (5, 7), (9, 4)])
def test_paper_form_is_the_papers_convolution_and_sees_three_channels(channels, height):
    torch.manual_seed(0)
    layer, features = SoftAttention(channels, form="paper"), torch.randn(2, channels, height, 6)
    nn.init.uniform_(layer.bias)
    assert torch.allclose(layer(features), as_keras(layer, features), atol=1e-6)
    other = features.clone()
    other[:, 3:] += 1
    assert torch.equal(layer.maps(other), layer.maps(features))
    other[:, 2] += torch.randn(height, 6)
    assert not torch.allclose(layer.maps(other), layer.maps(features))


def test_thirteen_of_64_rows_of_the_papers_kernel_can_learn_and_all_of_the_fixed_one():
    torch.manual_seed(0)
    features = torch.randn(2, 64, 7, 7)
    for form, rows in (("paper", 13), ("fixed", 64)):
        layer = SoftAttention(64, form=form)
        (layer(features) * torch.randn(2, 64, 7, 7)).sum().backward()
        axis = layer.weight.grad.abs().sum((0, 1, 3) if form == "paper" else (0, 2, 3))
        assert int((axis > 0).sum()) == rows


def test_fixed_form_sees_every_channel_and_has_a_gamma_that_learns():
    torch.manual_seed(0)
    layer, features = SoftAttention(8, heads=4), torch.randn(1, 8, 5, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad((layer.maps(features) * torch.randn(1, 4, 5, 5)).sum(), features)
    assert bool((gradient.abs().sum((0, 2, 3)) > 0).all())
    weighed = layer(features)
    assert torch.allclose(weighed, 0.01 * layer.maps(features).sum(1, keepdim=True) * features)
    weighed.sum().backward()
    assert layer.gamma.grad is not None


@pytest.mark.parametrize("form", ["paper", "fixed"])
def test_maps_of_a_loaded_model_sum_to_one_for_each_head(form):
    model = load_model(f"percuss:soft_attention?network=resnet10t&form={form}&heads=3", classes=["a", "b"])
    images = torch.rand(2, 3, 96, 64)
    maps = attention_maps(model, images)
    assert maps.shape == (2, 3, 3, 2) and torch.allclose(maps.sum((2, 3)), torch.ones(2, 3))
    assert model(images).shape == (2, 2) and model.info.size is None


@pytest.mark.parametrize(
    ("network", "layer", "shape"),
    [("resnet10t", "layer3", (256, 4, 4)), ("mobilenetv3_small_050", "blocks.3.0", None), ("convnext_atto", "", None),
     ("swin_s3_tiny_224", "", (768, 7, 7))],
)  # fmt: skip
def test_any_network_with_a_feature_map_by_the_name_of_its_layer(network, layer, shape):
    side = 224 if network.startswith("swin") else 64
    whole = timm.create_model(network, num_classes=0).to("meta")  # made on meta itself, timm 1.0.19 fails for some
    with torch.device("meta"):
        found = with_soft_attention(whole, 2, images=torch.zeros(1, 3, side, side), layer=layer or None)
        assert found(torch.zeros(2, 3, side, side)).shape == (2, 2)
    assert shape in (None, found.trunk.shape)


def test_what_runs_after_the_cut_is_gone_and_the_rest_is_the_networks_own():
    whole = timm.create_model("resnet10t", num_classes=0).eval()
    images = torch.rand(2, 3, 64, 64)
    features = whole.forward_intermediates(images, indices=[3], intermediates_only=True)[0]
    found = with_soft_attention(whole, 2, images=images[:1], form="none", layer="layer3").eval()
    assert torch.equal(found.trunk(images), features)
    assert not any(name.startswith("trunk.network.layer4") for name, _ in found.named_parameters())
    seen = []
    found.trunk.network.layer3.register_forward_hook(lambda part, inputs, output: seen.append(output.shape))
    found(images).sum().backward()
    assert seen == [(2, 256, 4, 4)], "hooks of others on the last layer run, as Grad-CAM needs"
    assert all(value.grad is not None for value in found.parameters())


def test_paper_form_with_a_flat_head_keeps_its_size_in_its_folder(tmp_path):
    spec = "percuss:soft_attention?network=inception_resnet_v2&form=paper"
    model = load_model(spec, classes=["a", "b"], size=(80, 96))
    assert model.info.size == (80, 96)
    again = load_model(save_model(model, tmp_path / "model", weights="trained"))
    images = torch.rand(1, 3, 80, 96)
    assert again.info.spec == spec and torch.equal(again(images), model(images))


@pytest.mark.parametrize(
    ("tail", "words"),
    [("network=resnet10x", r"no such model: soft_attention\?network=resnet10x"),
     ("network=resnet10t&form=papr", "form has an unknown value: papr. Allowed: fixed, paper, none"),
     ("network=resnet10t&layer=layer5", "no such layer: layer5. Allowed: .*layer"),
     ("network=resnet10t&layer=fc", r"layer fc gives no spatial feature map: \(1, 512\)"),
     ("network=vit_tiny_patch16_224", "no spatial feature map"),
     ("network=resnet10t&heads=2.5", "heads must be a whole number: 2.5")],
)  # fmt: skip
def test_errors_name_the_way_on(tail, words):
    with pytest.raises(ModelError, match=words):
        load_model(f"percuss:soft_attention?{tail}", classes=["a", "b"])


def test_python_calls_refuse_what_makes_no_sense():
    images = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ModelError, match="tells of no feature map"):
        with_soft_attention(nn.Sequential(nn.Conv2d(3, 4, 3)), 2, images=images)
    with pytest.raises(ModelError, match="unknown form of soft attention: both"):
        with_soft_attention(nn.Sequential(nn.Conv2d(3, 4, 3)), 2, images=images, form="both")
    with pytest.raises(ModelError, match="unknown form"):
        SoftAttention(8, form="none")
    with pytest.raises(ModelError, match="16 heads, 2 channels"):
        SoftAttention(2)
    with pytest.raises(ModelError, match="has no soft attention"):
        attention_maps(nn.Conv2d(3, 4, 3), images)
    unused = timm.create_model("resnet10t", num_classes=0)
    unused.spare = nn.Conv2d(3, 4, 3)
    with pytest.raises(ModelError, match="does not run its layer spare"):
        with_soft_attention(unused, 2, images=torch.zeros(1, 3, 32, 32), layer="spare")
    own = with_soft_attention(nn.Sequential(nn.Conv2d(3, 4, 3)), 2, images=images, layer="0")
    assert attention_maps(own, torch.rand(2, 3, 8, 8)).shape == (2, 16, 6, 6)
