"""Weights kept after every epoch: also over a stop, without changing the training."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from percuss.core.errors import RunError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.defend.keeping import keep_weights
from percuss.defend.settings import make_settings
from percuss.defend.training import TrainData, fit
from percuss.pipeline.progress import Progress


def model():
    torch.manual_seed(1)
    return Model(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), ModelInfo("net", "classify", ("a", "b"), 1))


def images(n):
    values = torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(n))
    targets = (values.mean((1, 2, 3)) > 0.5).long()
    return Tensors([str(i) for i in range(n)], values, targets, [None] * n, PixelRange())


class Stop(Progress):
    def start(self, label, total):
        if label.startswith("epoch 3"):
            raise KeyboardInterrupt


def test_every_epoch_is_kept_also_over_a_stop(tmp_path):
    data, settings = TrainData(images(32), images(16)), make_settings(epochs=4, batch_size=8, keep_weights=True, lr=0.1)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), data, settings, out=tmp_path, progress=Stop())
    trained, start = model(), model()
    result = fit(trained, data, settings, out=tmp_path, progress=Progress())
    files = sorted((tmp_path / "trajectory").iterdir())
    assert [path.name for path in files] == [f"epoch-{number:04d}.safetensors" for number in range(5)]
    first, best = load_file(files[0]), load_file(files[result.best_epoch])
    assert torch.equal(first["1.weight"], start.network.state_dict()["1.weight"])
    assert torch.equal(best["1.weight"], trained.network.state_dict()["1.weight"])
    plain, other = make_settings(epochs=4, batch_size=8, lr=0.1), model()
    assert plain.identity() == settings.identity()
    fit(other, data, plain, out=tmp_path / "plain", progress=Progress())
    assert torch.equal(other.network[1].weight, trained.network[1].weight)
    assert not (tmp_path / "plain" / "trajectory").exists()


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "trajectory").write_text("in the way")
    with pytest.raises(RunError, match="cannot be kept"):
        keep_weights(model(), tmp_path, 1)
