"""smp:, monai: and torchvision's segmenters: what is built, sides, pretrained encoders, folders, and each error."""

import sys

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from monai.networks import nets
from safetensors.torch import save_file
from torch import nn

from percuss.attacks.fast import TOLERANCE, search_copy
from percuss.core.errors import ModelError, NetworkError
from percuss.models import from_monai, from_smp
from percuss.models.checkpoint import save_model
from percuss.models.spec import anew, load_model, names, takes_size
from percuss.models.spec_options import typed

CLASSES = ["background", "nucleus", "stroma"]
SMALL = {
    "AttentionUnet": "?channels=8,16,32&strides=2,2",
    "BasicUNet": "?features=8,8,16,16,32,8",
    "BasicUNetPlusPlus": "?features=8,8,16,16,32,8",
    "DynUNet": "?kernel_size=3,3,3&strides=1,2,2&upsample_kernel_size=2,2&filters=4,8,16",
    "FlexibleUNet": "?backbone=efficientnet-b0&decoder_channels=32,16,8,8,8",
    "MedNeXt": "?init_filters=4",
    "SegResNetDS": "?init_filters=8",
    "SwinUNETR": "?feature_size=12",
    "UNETR": "?hidden_size=48&mlp_dim=64&num_heads=4&feature_size=4",
    "UNet": "?channels=4,8,16&strides=2,2&num_res_units=2",
}
SIZED = {"monai:UNETR": (32, 48), "monai:AHNet": (128, 128), "smp:DPT": (64, 64)}


def made(spec, **options):
    return load_model(spec, **{"classes": CLASSES, "task": "segment", **options})


def spec_of(name):
    source, _, network = name.partition(":")
    if source == "monai":
        return name + SMALL.get(network, "")
    vision = "?encoder=tu-vit_tiny_patch16_224&decoder_fusion_channels=16&decoder_intermediate_channels=8,8,8,8"
    return name + (vision if network == "DPT" else "?encoder=tu-test_resnet")


@pytest.mark.parametrize("name", [f"smp:{n}" for n in from_smp.NAMES] + [f"monai:{n}" for n in from_monai.NAMES])
def test_every_listed_network_gives_a_map_in_both_modes_and_a_fast_copy_or_none(name):
    options = {"size": SIZED[name]} if name in SIZED else {}
    grey = {"channels": 1} if name == "monai:VNet" else {}  # MONAI's takes no colour images
    torch.manual_seed(0)
    model = made(spec_of(name), **options, **grey)
    assert model.info.spec == spec_of(name) and model.info.size == SIZED.get(name)
    images = torch.rand(2, model.info.channels, *(model.info.size or ((128, 160) if name == "smp:PAN" else (64, 96))))
    with torch.no_grad():
        logits = model(images)
        assert logits.shape == (2, 3, *images.shape[2:]) and not torch.equal(logits[0], logits[1])
        copy, note = search_copy(model, images, logits)
        assert copy is model or float((copy(images) - logits).abs().max() / logits.abs().max()) <= TOLERANCE
        assert not note or "logits differ" in note
        assert model.train()(images).shape == logits.shape, "trained with the same kind of answer"


def test_lists_are_those_of_the_pinned_libraries():
    assert list(from_smp.NAMES) == sorted(kind.__name__ for kind in smp.MODEL_ARCHITECTURES_MAPPING.values())
    assert all(getattr(nets, name).__name__ == name for name in from_monai.NAMES)
    assert {"smp:Unet", "smp:UnetPlusPlus", "monai:UNet", "percuss:unet_avramidis"} <= set(names("unet"))
    assert "torchvision:fcn_resnet50" in names("fcn_")
    assert takes_size("smp:DPT") and takes_size("sharpened:monai:UNETR") and not takes_size("torchvision:fcn_resnet50")


def test_options_reach_the_networks_as_values():
    model = made("smp:Unet?encoder=mobilenet_v2&encoder_depth=3&decoder_channels=64,32,16&decoder_attention_type=scse")
    plain = smp.Unet("mobilenet_v2", 3, None, decoder_channels=(64, 32, 16), decoder_attention_type="scse", classes=3)
    assert {k: v.shape for k, v in model.network.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }
    model = made('monai:SegResNet?norm=["group",{"num_groups":4}]&use_conv_final=true&blocks_up=1,1,1', channels=4)
    norms = [part for part in model.network.modules() if isinstance(part, nn.GroupNorm)]
    assert norms and all(part.num_groups == 4 for part in norms) and model.info.channels == 4
    assert [typed(text) for text in ("3", "0.5", "true", "null", "16,32", "[8]", "batch", "a,b", "NaN", "1,NaN")] == [
        3, 0.5, True, None, [16, 32], [8], "batch", "a,b", "NaN", "1,NaN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "multiple"),
    [("smp:FPN?encoder=tu-resnet10t", 32), ("smp:Linknet?encoder=tu-test_resnet&encoder_depth=4", 16),
     ("monai:UNet?channels=4,8,16&strides=2,2", 4), ("monai:SegResNet", 8)],
)  # fmt: skip
def test_sides_that_do_not_fit_are_named(spec, multiple, tmp_path):
    model, fitting = made(spec), torch.rand(1, 3, 3 * multiple, 5 * multiple)
    words = rf"do not fit.*halves their sides: {multiple} x {multiple + 2} pixels.*multiples of {multiple}.*\?size="
    images = torch.zeros(1, 3, multiple, multiple + 2)
    with pytest.raises(ModelError, match=words) as found:
        model(images)
    assert not isinstance(found.value, NetworkError)
    copy, _ = search_copy(model, fitting, model(fitting).detach())
    for other in (load_model(save_model(model, tmp_path)), copy):
        with pytest.raises(ModelError, match=words):
            other(images)
    with pytest.raises(ModelError, match=f"250 x 64 pixels.*multiples of {multiple}"):
        made(spec, size=(250, 64))


def test_a_network_that_pads_takes_any_sides():
    for spec in ("smp:Unet?encoder=tu-test_resnet", "monai:BasicUNet?features=8,8,16,16,32,8"):
        assert made(spec, size=(50, 63))(torch.rand(1, 3, 50, 63)).shape == (1, 3, 50, 63)


def test_a_network_built_for_one_size_keeps_it(tmp_path):
    with pytest.raises(ModelError, match=r"monai:UNETR is built for one size.*give size="):
        made("monai:UNETR")
    model = made(spec_of("monai:UNETR"), size=(32, 48))
    again = load_model(save_model(model, tmp_path / "one"))
    images = torch.rand(1, 3, 32, 48)
    assert again.info == model.info and torch.equal(again(images), model(images))
    assert torch.equal(anew(tmp_path / "one")(images), model(images)) is False
    with pytest.raises(ModelError, match="not of the model's size"):
        model(torch.rand(1, 3, 48, 48))


class Weights:
    """Encoder weights as the library's hub would give them, and their record."""

    def __init__(self, folder, **config):
        config = {"mean": [0.4, 0.5, 0.6], "std": [0.1, 0.2, 0.3], **config}
        self.folder, self.asked = folder, []
        self.state = smp.Unet("resnet18", encoder_weights=None).encoder.state_dict()
        self.state = {key: torch.full_like(value, 0.01) for key, value in self.state.items()}
        save_file(self.state, folder / "model.safetensors")
        (folder / "config.json").write_text(str(config).replace("'", '"'))

    def __call__(self, repo, *, filename, revision):
        self.asked.append(repo)
        return str(self.folder / filename)


def test_pretrained_encoders_bring_their_normalisation(tmp_path, monkeypatch):
    hub = Weights(tmp_path, input_range=[0, 1])
    monkeypatch.setattr(smp.encoders, "hf_hub_download", hub)
    plain = made("smp:FPN?encoder=resnet18")
    assert not hub.asked and plain.info.mean == (0.0,) * 3 and plain.info.weights == "random"
    model = made("smp:FPN?encoder=resnet18", weights="pretrained")
    assert set(hub.asked) == {"smp-hub/resnet18.imagenet"}
    assert (model.info.mean, model.info.std) == ((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    assert model.info.weights == "pretrained" and not any("aux" in key for key in model.network.state_dict())
    found = model.network.encoder.state_dict()
    assert all(torch.equal(found[key], value) for key, value in hub.state.items())
    grey = made("smp:FPN?encoder=resnet18", weights="pretrained", channels=1, grey_inside=True)
    assert grey.info.mean == (0.4, 0.5, 0.6) and grey(torch.rand(1, 1, 64, 64)).shape == (1, 3, 64, 64)
    one = made("smp:FPN?encoder=resnet18", weights="pretrained", channels=1)
    assert one.info.mean == pytest.approx((0.5,)) and one.info.std == pytest.approx((0.2,))
    (tmp_path / "config.json").write_text('{"mean": [51, 102, 153], "std": [255, 255, 255], "input_range": [0, 255]}')
    model = made("smp:FPN?encoder=resnet18", weights="pretrained")
    assert model.info.mean == pytest.approx((0.2, 0.4, 0.6)) and model.info.std == (1.0,) * 3
    again = load_model(save_model(model, tmp_path / "kept"))
    assert again.info == model.info


def test_encoder_weights_that_cannot_be_had(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", offline)
    with pytest.raises(ModelError, match=r"cannot be had: smp:FPN\?encoder=resnet18 \(\w+Error\).*leave out"):
        made("smp:FPN?encoder=resnet18", weights="pretrained")
    hub = Weights(tmp_path, input_space="BGR")
    monkeypatch.setattr(smp.encoders, "hf_hub_download", hub)
    with pytest.raises(ModelError, match=r"colours in another order: resnet18 \(BGR\). Allowed: RGB"):
        made("smp:FPN?encoder=resnet18", weights="pretrained")
    monkeypatch.setitem(smp.encoders.encoders["resnet18"], "pretrained_settings", {"ssl": {}})
    with pytest.raises(ModelError, match=r"no ImageNet weights: resnet18. Allowed: ssl"):
        made("smp:FPN?encoder=resnet18", weights="pretrained")
    with pytest.raises(ModelError, match="networks of MONAI have no pretrained weights here"):
        made("monai:SegResNet", weights="pretrained")


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [("smp:Unett", {}, "segmentation_models_pytorch has no such network: Unett. Allowed: Unet"),
     ("smp:Unet?encoder=resnet18x", {}, r"no such encoder: Unet\?encoder=resnet18x. Allowed: Unet\?encoder=resnet18"),
     ("smp:Unet?encoder=tu-resnet10", {}, r"Allowed: .*encoder=tu-resnet10t.*tu- before"),
     ("smp:Unet?encoder=timm-res2net50_26w_4s", {}, "no such encoder"),
     ("smp:Unet?activation=softmax", {}, "unknown option of Unet: activation"),
     ("smp:Unet?encoder=resnet18&encoder_depth=9", {}, r"cannot be built with these options.*depth should be in"),
     ("smp:FPN?encoder=resnet18&upsampling=1", {}, r"gives no logits for each pixel: shape \(1, 3, 48, 80\)"),
     ("monai:Unet", {}, "MONAI has no such network: Unet. Allowed: UNet"),
     ("monai:UNet", {}, r"no form without options: channels, strides. Next: monai:UNet\?channels=16,32"),
     ("monai:RegUNet", {}, r"Next: monai:RegUNet\?num_channel_initial=...&depth=..."),
     ("monai:SegResNet?dropout_prob=high", {}, r"cannot be built.*SegResNet\?dropout_prob=high \(TypeError"),
     ("monai:SegResNet?spatial_dims=3", {}, "unknown option of SegResNet: spatial_dims"),
     ("monai:VQVAE", {}, "gives no logits for each pixel: a tuple"),
     ("monai:DenseNet121", {}, r"gives no logits for each pixel: shape \(1, 3\)"),
     ("monai:SegResNet", {"task": "classify"}, "for every pixel: task classify. Allowed: task segment"),
     ("smp:Unet?encoder=resnet18", {"task": "multilabel"}, "task multilabel. Allowed: task segment"),
     ("monai:SegResNet", {"classes": None}, "needs class names: monai:SegResNet"),
     ("torchvision:fcn_resnet5", {}, "no such segmenter: fcn_resnet5. Allowed: fcn_resnet50"),
     ("torchvision:fcn_resnet50", {"task": "classify"}, "for every pixel: task classify"),
     ("torchvision:fcn_resnet50", {"channels": 4}, "colour or grey images: 4 channels"),
     ("torchvision:resnet18", {}, "one decision for an image: task segment"),
     ("timm:resnet10t", {}, "one decision for an image: task segment"),
     ("wherever", {}, "smp:NAME, monai:NAME")],
)  # fmt: skip
def test_errors_name_what_is_allowed(spec, options, words):
    with pytest.raises(ModelError, match=words):
        made(spec, **options)


@pytest.mark.parametrize(
    ("spec", "module", "package"),
    [("smp:Unet", "segmentation_models_pytorch", "segmentation_models_pytorch"),
     ("monai:UNet", "monai.networks.nets", "MONAI")],
)  # fmt: skip
def test_a_library_that_is_not_installed_names_the_extra(spec, module, package, monkeypatch):
    from_smp._architectures.cache_clear()
    from_monai._networks.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelError, match=rf"{package} is not installed.*pip install 'percuss\[segment\]'"):
        made(spec)
    assert spec in names(spec)


def test_torchvision_downloads_nothing_unasked_and_fills_what_fits(monkeypatch):
    asked = []

    def hub(url, *args, **kwargs):
        asked.append(url)
        own = torchvision.models.get_model("lraspp_mobilenet_v3_large", weights=None, weights_backbone=None)
        return {key: torch.full_like(value, 0.25) for key, value in own.state_dict().items()}

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", hub)
    model = made("torchvision:lraspp_mobilenet_v3_large", channels=1)
    assert not asked and model.info.mean == (0.485, 0.456, 0.406)
    assert model(torch.rand(1, 1, 50, 70)).shape == (1, 3, 50, 70)
    model = made("torchvision:lraspp_mobilenet_v3_large", weights="pretrained")
    state = model.network.state_dict()
    assert len(asked) == 1 and all(
        bool((v == 0.25).all()) for k, v in state.items() if v.is_floating_point() and "classifier" not in k
    )


class Own(nn.Module):
    """A network of the user's: so many logits, at a share of the resolution, or in a dictionary."""

    def __init__(self, outputs=3, stride=1, key=None):
        super().__init__()
        self.layer, self.key = nn.Conv2d(3, outputs, 3, padding=1, stride=stride), key

    def forward(self, images):
        return {self.key: self.layer(images)} if self.key else self.layer(images)


def test_a_network_of_the_users_own():
    network = Own()
    model = load_model(network, classes=CLASSES, task="segment", mean=(0.5,) * 3, std=(0.25,) * 3)
    images = torch.rand(2, 3, 9, 11)
    assert model.task == "segment" and torch.equal(model(images), network((images - 0.5) / 0.25))


@pytest.mark.parametrize(
    ("network", "shape"),
    [(Own(4), r"\(2, 4, 8, 12\)"), (Own(1), r"\(2, 1, 8, 12\)"), (Own(stride=2), r"\(2, 3, 4, 6\)"),
     (Own(key="out"), "dict"), (nn.Sequential(Own(), nn.Flatten()), r"\(2, 288\)")],
)  # fmt: skip
def test_logits_of_the_wrong_kind_are_refused_with_what_was_wanted(network, shape):
    model = load_model(network, classes=CLASSES, task="segment")
    with pytest.raises(
        ModelError, match=rf"wrong shape: {shape}. Allowed: logits \[2, 3, 8, 12\] for classes.*one per class and pixel"
    ):
        model(torch.rand(2, 3, 8, 12))
