"""Every source of models: shapes, weights, folders, and the errors of each."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from percuss.core.errors import ModelError
from percuss.models.checkpoint import save_model
from percuss.models.spec import load_model, names

FACTORY = """
from torch import nn
def small(classes, channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
def nothing():
    return 3
"""


@pytest.fixture
def factory(tmp_path, monkeypatch):
    (tmp_path / "hospital_net.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path)
    return "factory:hospital_net:small"


@pytest.mark.parametrize(
    ("spec", "channels", "options"),
    [("timm:resnet10t", 3, {}), ("timm:resnet10t", 1, {}), ("timm:resnet10t", 1, {"grey_inside": True}),
     ("torchvision:squeezenet1_1", 3, {}), ("torchvision:squeezenet1_1", 1, {})],
)  # fmt: skip
def test_a_model_gives_logits_and_its_folder_gives_the_same(spec, channels, options, tmp_path):
    model = load_model(spec, classes=["a", "b", "c"], channels=channels, **options)
    images = torch.rand(2, channels, 64, 64)
    with torch.no_grad():
        logits = model(images)
        assert logits.shape == (2, 3) and logits.dtype == torch.float32
        again = load_model(save_model(model, tmp_path / "model"))
        assert torch.equal(again(images), logits)
    assert (again.classes, again.info.channels) == (("a", "b", "c"), channels)
    assert (model.info.weights, again.info.weights) == ("random", "random")


def test_a_factory_needs_the_flag_and_comes_back_from_its_folder(factory, tmp_path):
    with pytest.raises(ModelError, match=r"runs code of its own.*--allow-code"):
        load_model(factory, classes=["a", "b"])
    model = load_model(factory, classes=["a", "b"], allow_code=True)
    folder = save_model(model, tmp_path / "model")
    with pytest.raises(ModelError, match="runs code of its own"):
        load_model(folder)
    again = load_model(folder, allow_code=True)
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(again(images), model(images))


def test_a_colour_factory_takes_grey_images_inside(factory):
    model = load_model(factory, classes=["a", "b"], channels=1, allow_code=True, grey_inside=True)
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 2)


def test_a_factory_that_gives_no_network_or_does_not_exist(factory):
    with pytest.raises(ModelError, match="returned no network: int"):
        load_model("factory:hospital_net:nothing", classes=["a", "b"], allow_code=True)
    with pytest.raises(ModelError, match=r"cannot be imported.*PYTHONPATH"):
        load_model("factory:hospital_net:other", classes=["a", "b"], allow_code=True)


def test_a_module_of_the_users_own():
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    network(torch.zeros(1, 1, 4, 4))
    model = load_model(network, classes=["a", "b"], channels=1, mean=(0.5,), std=(0.5,))
    images = torch.rand(3, 1, 4, 4)
    assert torch.equal(model(images), network((images - 0.5) / 0.5))
    with pytest.raises(ModelError, match=r"needs class names.*classes="):
        load_model(network)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_from_a_file(suffix, tmp_path):
    first = load_model("timm:resnet10t", classes=["a", "b"])
    path = tmp_path / f"w{suffix}"
    state = first.network.state_dict()
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    second = load_model("timm:resnet10t", classes=["a", "b"], weights=path)
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(first(images), second(images)) and second.info.weights == path.name


def test_weights_that_do_not_fit_say_what_differs(tmp_path):
    state = load_model("timm:resnet10t", classes=["a", "b", "c"]).network.state_dict()
    del state["conv1.0.weight"]
    save_file(state | {"stranger": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"missing 1 \(conv1.0.weight\).*unexpected 1 \(stranger\).*fc.weight is \(3"):
        load_model("timm:resnet10t", classes=["a", "b"], weights=tmp_path / "w.safetensors")


def test_weights_that_run_code_or_are_damaged_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"x": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "short.safetensors").write_bytes(b"1234")
    for name in ("evil.pt", "short.safetensors"):
        with pytest.raises(ModelError, match="cannot be read safely"):
            load_model("timm:resnet10t", classes=["a", "b"], weights=tmp_path / name)
    with pytest.raises(ModelError, match="does not exist"):
        load_model("timm:resnet10t", classes=["a", "b"], weights=tmp_path / "none.pt")


def test_pretrained_offline_names_the_way_out(monkeypatch):
    import timm

    real = timm.create_model

    def offline(*args, pretrained=False, **kwargs):
        if pretrained:
            raise OSError("Name or service not known")
        return real(*args, **kwargs)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ModelError, match=r"cannot be had: timm:resnet10t \(OSError\).*leave out --pretrained"):
        load_model("timm:resnet10t", classes=["a", "b"], weights="pretrained")


@pytest.mark.parametrize(
    ("spec", "words"),
    [("timm:resnet18.no_such_tag", "no such model"),
     ("timm:resnet18x", r"no such model: resnet18x. Allowed: resnet18"), ("torchvision:resnet", "resnet50"),
     ("tim:resnet18", "unknown source of models: tim. Allowed: timm"), ("nowhere", "no such model folder: nowhere")],
)  # fmt: skip
def test_unknown_names_show_the_nearest(spec, words):
    with pytest.raises(ModelError, match=words):
        load_model(spec, classes=["a", "b"])


def test_an_unknown_option_is_an_error():
    with pytest.raises(ModelError, match=r"no option chanels. Allowed: channels"):
        load_model("timm:resnet10t", classes=["a", "b"], chanels=1)


def test_a_changed_weights_file_is_noticed(tmp_path):
    folder = save_model(load_model("timm:resnet10t", classes=["a", "b"]), tmp_path / "m")
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="not those that model.json names"):
        load_model(folder)


def test_a_folder_without_a_model_and_with_other_classes(tmp_path):
    with pytest.raises(ModelError, match="the folder holds no model"):
        load_model(tmp_path)
    folder = save_model(load_model("timm:resnet10t", classes=["a", "b"]), tmp_path / "m")
    assert json.loads((folder / "model.json").read_text())["classes"] == ["a", "b"]
    with pytest.raises(ModelError, match=r"other classes: x, y. Allowed: a, b"):
        load_model(folder, classes=["x", "y"])


def test_a_fixed_size_is_said():
    assert load_model("timm:vit_tiny_patch16_224", classes=["a", "b"], size=(32, 32)).info.size == (32, 32)


def test_names_can_be_searched():
    assert {"timm:resnet18", "torchvision:resnet18"} <= set(names("resnet18"))
