"""percuss train of both detectors: the encoder learns on tiles without tumour, is frozen, and goes on after a kill."""

import json

import pytest
import torch

from percuss.core.errors import DataError
from percuss.core.images import Tensors
from percuss.data.spec import load_data
from percuss.defend.settings import make_settings
from percuss.models.spec import load_model
from percuss.pipeline import encoders
from percuss.pipeline.hardening import DefencePlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.training import TrainPlan, train

DATA = "synthetic:slides?slides=3&side=256&size=64&mpp=2"
SPARSE = "percuss:sparse_detector?atoms=8&kernel=6&stride=4&active=0.05&updates=6"
DENOISING = "percuss:denoising_detector?epochs=2"


def plan(model=SPARSE, **options):
    return TrainPlan(data=DATA, model=model, settings=make_settings(epochs=2, batch_size=4, device="cpu", **options))


class Heard(Progress):
    """Keeps what it is told; stops at the first label that begins so."""

    def __init__(self, stop=None):
        self.lines, self.stops = [], stop

    def line(self, text):
        self.lines.append(text)

    def start(self, label, total):
        if self.stops and label.startswith(self.stops):
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    heard = Heard()
    return train(plan(), out=tmp_path_factory.mktemp("sparse") / "model", progress=heard), heard


def test_both_stages_and_what_is_told(trained):
    made, heard = trained
    record = json.loads((made.path / "training.json").read_text())
    images = load_data(DATA, split="train").tensors()[1]
    normal = int(((images != 1).flatten(1).all(1)).sum())
    assert 0 < record["encoder"]["images"] <= normal < len(images)
    assert record["encoder"]["threshold"]["size"] > 0 and record["encoder"]["sparsity"] == pytest.approx(0.95, abs=0.04)
    assert any("those without tumour" in line for line in heard.lines)
    model = load_model(made.path)
    assert model.info.cell == 4 and bool(model.network.learned)
    state = torch.load(made.path / "last.pt", weights_only=True)["best"]
    assert torch.equal(state["network.dictionary"], model.network.dictionary)
    assert float(model.network.threshold) == pytest.approx(record["encoder"]["threshold"]["size"])


@pytest.mark.parametrize("stop", ["dictionary", "epoch 1", "epoch 2"])
def test_a_broken_off_training_ends_with_the_same_model(trained, tmp_path, stop):
    with pytest.raises(KeyboardInterrupt):
        train(plan(), out=tmp_path / "model", progress=Heard(stop))
    again = train(plan(), out=tmp_path / "model")
    assert load_model(again.path).fingerprint() == load_model(trained[0].path).fingerprint()
    assert again.record["encoder"] == trained[0].record["encoder"]


def test_the_denoising_encoder_is_frozen_while_the_head_learns(tmp_path):
    heard = Heard()
    made = train(plan(DENOISING), out=tmp_path / "model", progress=heard)
    poor = made.record["encoder"]["error_share"] > 0.5
    assert poor == any("gives back little" in line for line in heard.lines), "two epochs of few tiles teach little"
    assert poor
    assert made.record["encoder"]["parameters"] == 18_801 and len(made.record["encoder"]["squared_error"]) == 2
    learned = torch.load(made.path / "last.pt", weights_only=True)["best"]
    from safetensors.torch import load_file

    encoder = load_file(next((made.path / "encoder").iterdir()))
    kept = {name.removeprefix("network."): value for name, value in encoder.items() if name.startswith("network.")}
    assert kept and all(torch.equal(value, learned[f"network.autoencoder.{name}"]) for name, value in kept.items())


def test_a_trained_model_keeps_its_encoder(trained, tmp_path):
    heard = Heard()
    more = train(plan(str(trained[0].path)), out=tmp_path / "more", progress=heard)
    assert any("head alone" in line for line in heard.lines) and not (more.path / "encoder").exists()
    assert more.record["encoder"]["threshold"] == trained[0].record["encoder"]["threshold"]
    ours, theirs = load_model(more.path).network, load_model(trained[0].path).network
    assert torch.equal(ours.dictionary, theirs.dictionary)
    assert not torch.equal(ours.head.first.weight, theirs.head.first.weight)


def test_the_head_is_hardened_through_the_encoder(trained, tmp_path):
    defence = DefencePlan(name="pgd", budget="l2=1", settings={"steps": 1, "check_steps": 1})
    hard = TrainPlan(data=DATA, model=str(trained[0].path), settings=plan().settings, defence=defence)
    made = train(hard, out=tmp_path / "hard")
    ours, theirs = load_model(made.path).network, load_model(trained[0].path).network
    assert torch.equal(ours.dictionary, theirs.dictionary)
    assert not torch.equal(ours.head.first.weight, theirs.head.first.weight)
    assert made.record["encoder"]["kind"] == "sparse code (LCA)"


def test_each_tile_is_coded_once_unless_tiles_change(monkeypatch, trained, tmp_path):
    counted = []
    network = type(load_model(trained[0].path).network)
    own = network.encode
    monkeypatch.setattr(network, "encode", lambda self, images: counted.append(len(images)) or own(self, images))
    made = train(plan(), out=tmp_path / "once")
    assert sum(counted) == sum(made.record["n"].values())
    counted.clear()
    train(plan(augment="flips"), out=tmp_path / "flips")
    assert sum(counted) > 2 * made.record["n"]["train"]


def test_tiles_with_unjudged_cells_alone_do_not_count_as_normal():
    targets = torch.zeros(5, 2, 2, dtype=torch.uint8)
    targets[1, 0, 0], targets[2], targets[3, 0] = 1, 255, 255
    targets[4, 0, 0], targets[4, 0, 1] = 1, 255
    images = Tensors(list("abcde"), torch.rand(5, 3, 8, 8), targets, [None] * 5, None)
    model = load_model(SPARSE, classes=["normal", "tumour"], task="heatmap", channels=3)
    assert encoders.normal(images, model).tolist() == [0, 3]
    with pytest.raises(DataError, match=r"no training tile is without tumour.*normal tissue"):
        targets[0] = targets[3] = 1
        encoders.learned(model, images, make_settings(device="cpu"), out=None, progress=Heard())


def test_other_networks_have_no_encoder():
    model = load_model("timm:resnet18", classes=["a", "b"])
    assert encoders.learned(model, None, make_settings(device="cpu"), out=None, progress=Heard()) is None
