"""Dictionaries: unit atoms, less energy, planted atoms found again, the same after a stop."""

import dataclasses

import numpy as np
import pytest
import torch

from percuss.core.errors import ModelError, UsageError
from percuss.models.lca import encode, unit_norm
from percuss.models.lca_learning import Update, begin, learn, load, save


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def planted(count, seed=0):
    """Images made of few of 6 known atoms that do not overlap; kernels fill their cells."""
    atoms = unit_norm(drawn(6, 1, 4, 4, seed=9))
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(6, (count, 4, 4), generator=generator)
    code = torch.nn.functional.one_hot(which, 6).permute(0, 3, 1, 2).double() * (
        1 + torch.rand(count, 1, 4, 4, generator=generator)
    )
    return atoms, torch.nn.functional.conv_transpose2d(code, atoms, stride=4)


def run(state, steps, *, threshold, update):
    energies = []
    for step in range(state.step, state.step + steps):
        state, info = learn(state, drawn(2, 3, 12, 12, seed=step), threshold=threshold, update=update)
        energies.append(info.energy.sum().item())
    return state, energies


@pytest.mark.parametrize("rule", ["sequential", "hebbian"])
def test_planted_atoms_are_found_again(rule):
    atoms, images = planted(12)
    state = begin(images, 12, 4, seed=3, stride=4)
    update = Update(rule, rate=0.7 if rule == "sequential" else 1.0, slowing=100.0)
    for _ in range(30):
        state, info = learn(state, images, threshold=0.1, update=update)
        lengths = torch.linalg.vector_norm(state.dictionary.flatten(1), dim=1)
        assert torch.allclose(lengths, torch.ones_like(lengths))
    likeness = (atoms.flatten(1) @ state.dictionary.flatten(1).T).max(dim=1).values
    assert float(likeness.min()) > 0.99 and bool(info.converged.all())


@pytest.mark.parametrize("rule", ["sequential", "hebbian"])
def test_the_energy_of_the_same_images_falls(rule):
    images = torch.nn.functional.avg_pool2d(drawn(4, 3, 48, 48), 4) * 4
    state = begin(drawn(4, 3, 12, 12, seed=5), 16, 6, seed=0)
    before = encode(images, state.dictionary, threshold=0.3)[1].energy.sum()
    for _ in range(10):
        state, _ = learn(state, images, threshold=0.3, update=Update(rule))
    assert float(encode(images, state.dictionary, threshold=0.3)[1].energy.sum()) < 0.9 * float(before)


def test_a_stopped_learning_goes_on_as_if_it_had_not(tmp_path):
    first = begin(drawn(2, 3, 12, 12), 24, 6, seed=1)
    update = Update(renew=3)
    whole, energies = run(first, 7, threshold=3.0, update=update)
    half, _ = run(first, 4, threshold=3.0, update=update)
    save(half, tmp_path / "state.safetensors")
    back = load(tmp_path / "state.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    assert dataclasses.replace(back, dictionary=None, used=None) == dataclasses.replace(
        half, dictionary=None, used=None
    )
    again, rest = run(back, 3, threshold=3.0, update=update)
    assert torch.equal(again.dictionary, whole.dictionary) and torch.equal(again.used, whole.used)
    assert rest == energies[4:] and again.step == 7 and first.step == 0


def test_seeds_decide():
    images = drawn(2, 3, 12, 12)
    same = [begin(images, 8, 6, seed=seed).dictionary for seed in (1, 1, 2)]
    assert torch.equal(same[0], same[1]) and not torch.equal(same[0], same[2])


def test_atoms_that_were_never_active_become_patches():
    state = begin(drawn(2, 3, 12, 12), 8, 6, seed=1)
    images = drawn(2, 3, 12, 12, seed=4)
    kept, info = learn(state, images, threshold=50.0, update=Update(renew=0))
    assert torch.equal(kept.dictionary, state.dictionary) and bool(info.empty.all())
    moved, _ = learn(state, images, threshold=50.0, update=Update(renew=1))
    assert not bool((moved.dictionary == state.dictionary).flatten(1).all(1).any())
    patches = images.unfold(2, 6, 1).unfold(3, 6, 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 2).flatten(1)
    likeness = unit_norm(patches.view(-1, 3, 6, 6)).flatten(1) @ moved.dictionary.flatten(1).T
    assert float(likeness.max(dim=0).values.min()) > 0.97


def test_a_sequential_step_is_the_least_squares_one():
    image = drawn(1, 1, 4, 4)
    state = begin(drawn(1, 1, 4, 4, seed=2) + image, 1, 4, seed=0, stride=4)
    code, _ = encode(image, state.dictionary, threshold=0.1, stride=4)
    value = code.item()
    assert value > 0
    left = image - value * state.dictionary
    expected = unit_norm(state.dictionary + 0.5 * value * left / (2 * value**2))
    moved, _ = learn(state, image, threshold=0.1, update=Update(rate=0.5))
    assert torch.allclose(moved.dictionary, expected, atol=1e-12) and moved.used.tolist() == [1]


def test_black_images_start_from_noise():
    lengths = begin(torch.zeros(1, 3, 8, 8), 4, 6, seed=0).dictionary.flatten(1).norm(dim=1)
    assert torch.allclose(lengths, torch.ones(4))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: begin(drawn(1, 3, 4, 4), 8, 6, seed=0), "no patches"),
        (lambda: begin(drawn(0, 3, 8, 8), 8, 6, seed=0), "no patches"),
        (lambda: begin(drawn(1, 3, 8, 8), 0, 6, seed=0), "needs atoms"),
        (lambda: begin(drawn(1, 3, 8, 8), 8, 6, seed=0, stride=7), "stride"),
        (lambda: begin(drawn(1, 3, 8, 8) * np.inf, 8, 6, seed=0), "NaN"),
        (lambda: Update("oja"), "unknown rule"),
        (lambda: Update(rate=0.0), "rate"),
        (lambda: Update(slowing=-1.0), "slowing"),
        (lambda: Update(renew=-1), "renewals"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_other_files_are_refused(tmp_path):
    from safetensors.torch import save_file

    (tmp_path / "a").write_text("no")
    save_file({"dictionary": torch.zeros(1)}, tmp_path / "b")
    for name in ("a", "b", "missing"):
        with pytest.raises(ModelError, match="written by save"):
            load(tmp_path / name)
