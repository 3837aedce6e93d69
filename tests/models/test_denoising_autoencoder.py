"""The denoising autoencoder: the paper's counts and shapes, a learning that goes on after a kill, errors."""

import pytest
import torch
from torch import nn

from percuss.core.errors import ModelError, RunError, UsageError
from percuss.models import denoising_autoencoder as dae
from percuss.models.denoising_autoencoder import DenoisingAutoencoder, Learning, learn


def images(count=5, side=16):
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, side // 4, side // 4, generator=generator)
    return nn.functional.interpolate(coarse, scale_factor=4)


def network():
    torch.manual_seed(0)
    return DenoisingAutoencoder()


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_parameters_and_code_are_the_papers():
    with torch.device("meta"):
        made = DenoisingAutoencoder()
        code = made.encode(torch.zeros(1, 3, 512, 512))
        assert code.shape == (1, 9, 256, 256) and made.decode(code).shape == (1, 3, 512, 512)
    assert sum(value.numel() for value in made.encoder.parameters()) == 18_801 == dae.PARAMETERS
    assert code.numel() == 0.75 * 512 * 512 * 3, "25 % under-complete"
    assert [layer.p for layer in made.encoder if isinstance(layer, nn.Dropout)] == [0.1, 0.1]
    mirrored = [layer.kernel_size[0] for layer in made.decoder if isinstance(layer, nn.Conv2d)]
    assert mirrored == [3, 4, 8] and not isinstance(made.decoder[-1], nn.ReLU)


def test_it_learns_to_take_noise_away():
    made, clean = network(), images(8)
    losses = learn(made, clean, Learning(epochs=150, batch_size=4))
    assert len(losses) == 150 and not made.training
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        error = float((made(noisy) - clean).square().mean())
    assert error < 0.5 * float(clean.var()) and losses[-1] < losses[0]


def test_the_listing_of_the_images_changes_nothing():
    one, other = network(), network()
    learn(one, images(), Learning(epochs=1, batch_size=2))
    learn(other, images().flip(0), Learning(epochs=1, batch_size=2))
    assert same(one, other)


def test_a_killed_learning_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(dae, "EVERY", 0.0)
    way, path = Learning(epochs=2, batch_size=2), tmp_path / "encoder" / "state.safetensors"
    whole = network()
    losses = learn(whole, images(), way, path=tmp_path / "whole.safetensors")

    class Kill(dae.Silent):
        def __init__(self):
            self.left = 4

        def advance(self, count=1):
            self.left -= count
            if self.left < 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(network(), images(), way, path=path, progress=Kill())
    assert path.is_file()
    torch.manual_seed(77)
    going_on = network()
    assert learn(going_on, images(), way, path=path) == losses and same(whole, going_on)
    again = network()
    assert learn(again, images(), way, path=path) == losses and same(whole, again), "a finished one is read"
    assert [file.name for file in path.parent.iterdir()] == ["state.safetensors"]


def test_another_learning_and_damage_are_told(tmp_path):
    path = tmp_path / "state.safetensors"
    learn(network(), images(), Learning(epochs=1), path=path)
    for other in (Learning(epochs=1, seed=1), Learning(epochs=3)):
        with pytest.raises(RunError, match="another learning"):
            learn(network(), images(), other, path=path)
    with pytest.raises(RunError, match="another learning"):
        learn(network(), images(4), Learning(epochs=1), path=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"cannot be read.*delete it"):
        learn(network(), images(), Learning(epochs=1), path=path)


def test_errors():
    with pytest.raises(ModelError, match=r"16 x 17"):
        network().encode(torch.zeros(1, 3, 16, 17))
    with pytest.raises(ModelError, match="no images to learn from"):
        learn(network(), torch.zeros(0, 3, 16, 16))
    with pytest.raises(ModelError, match="not finite"):
        learn(network(), images() * float("nan"), Learning(epochs=1))
    for wrong in ({"epochs": 0}, {"batch_size": 0}, {"rate": 0.0}, {"noise": -1.0}):
        with pytest.raises(UsageError, match="denoising autoencoder"):
            Learning(**wrong)
