"""Arrays of sparse codes for pictures, on codes that are known."""

import numpy as np
import pytest
import torch

from percuss.core.errors import UsageError
from percuss.models.lca import encode, standardise, unit_norm
from percuss.models.lca_pictures import Use, beside, features, kernel_grid, use_of, where


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def code():
    found = torch.zeros(2, 3, 4, 5)
    found[0, 1, 0, 0], found[0, 1, 3, 4], found[1, 2, 2, 1], found[1, 0, 1, 1] = 2.0, 0.5, 3.0, 0.5
    return found


def test_use_counts_and_sorts(code):
    use = use_of(code)
    assert use.active.tolist() == [1, 2, 1] and use.total.tolist() == [0.5, 2.5, 3.0] and use.order == [2, 1, 0]
    assert use_of(torch.zeros(0, 3, 4, 5)).order == [0, 1, 2]


def test_a_grid_shows_each_atom_in_its_place():
    atoms = torch.zeros(3, 1, 2, 2)
    atoms[0, 0, 0, 0], atoms[1, 0, 0, 1], atoms[2, 0, 1, 1] = 1.0, -0.25, 0.5
    atoms[2, 0, 0, 0] = 0.25
    found = kernel_grid(atoms, use=Use(torch.ones(3), torch.tensor([1.0, 3.0, 2.0])), columns=2)
    assert found.shape == (7, 7, 3) and found.dtype == np.uint8 and (found[..., 0] == found[..., 2]).all()
    plain = found[..., 0]
    assert plain[1:3, 1:3].tolist() == [[128, 1], [128, 128]]
    assert plain[1:3, 4:6].tolist() == [[192, 128], [128, 255]]
    assert plain[4:6, 1:3].tolist() == [[255, 128], [128, 128]]
    assert (plain[4:6, 4:6] == 255).all() and (plain[0] == 255).all() and (plain[:, 3] == 255).all()
    coloured = kernel_grid(torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1))
    assert coloured[1, 1].tolist() == [255, 128, 1] and coloured.shape == (3, 3, 3)


def test_features_are_named_where_they_lie(code):
    atoms = torch.ones(3, 1, 6, 6)
    found = features(code[0], atoms, stride=2)
    assert [(one.atom, one.row, one.column, one.value) for one in found] == [(1, -2, -2, 2.0), (1, 4, 6, 0.5)]
    assert found[0].side == 6 and features(code[0], atoms, stride=2, most=1) == found[:1]
    plain = features(code[1], atoms, stride=2, border="none")
    assert [(one.atom, one.row, one.column, one.value) for one in plain] == [(2, 4, 2, 3.0), (0, 2, 2, 0.5)]
    assert features(torch.zeros(3, 4, 5), atoms) == []


def test_where_sums_over_atoms(code):
    assert where(code[0])[0, 0] == 2.0 and where(code[0]).sum() == 2.5 and where(code[0], 0).sum() == 0
    assert where(code[1], 2)[2, 1] == 3.0 and where(code[1]).shape == (4, 5)


def test_an_image_beside_what_its_code_gives_back():
    images = torch.sigmoid(drawn(1, 3, 12, 12))
    atoms = unit_norm(drawn(60, 3, 4, 4, seed=1))
    code, _ = encode(standardise(images)[0], atoms, threshold=0.01, stride=2)
    own, made, left = beside(images[0], code[0], atoms)
    assert np.allclose(own, images[0].permute(1, 2, 0).numpy()) and np.allclose(own - made, left)
    assert np.abs(left).max() < 0.1 * np.abs(own - own.mean()).max()


def test_what_does_not_fit_is_an_error(code):
    atoms = unit_norm(drawn(3, 3, 4, 4))
    for call, match in [
        (lambda: use_of(code[0]), "not codes"),
        (lambda: kernel_grid(atoms[:, :2]), "1 or 3"),
        (lambda: kernel_grid(atoms, columns=0), "at least 1"),
        (lambda: kernel_grid(atoms, use=use_of(code[:, :2])), "3 atoms"),
        (lambda: features(code, atoms), "one image"),
        (lambda: where(code), "one image"),
        (lambda: where(code[0], 3), "0 to 2"),
        (lambda: beside(torch.zeros(3, 6, 6), code[0].double(), atoms), "another image"),
        (lambda: beside(torch.zeros(6, 6), code[0], atoms), "three dimensions"),
    ]:
        with pytest.raises(UsageError, match=match):
            call()
