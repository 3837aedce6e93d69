"""Sparse codes against closed forms, dense matrices and other solvers of the same problem."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from sklearn.linear_model import Lasso

from percuss.core.errors import UsageError
from percuss.models.lca import Solver, decode, encode, firm, hard, soft, standardise, unit_norm
from percuss.models.lca_geometry import Geometry, correlate, synthesis_kernel, synthesise

THRESHOLDS = [soft(0.7), hard(0.7), firm(0.7, width=0.5)]
SOLVERS = ["working_set", "fista", "lca"]


def drawn(*shape, seed=0, kind=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=kind)


def exact(name, **settings):
    return Solver(name, tolerance=1e-9, tau=4.0, steps=settings.pop("steps", 20000), **settings)


def dense(dictionary, stride, places, sides):
    """The canvas of each single coefficient, as columns, by plain loops."""
    atoms, channels, side = dictionary.shape[:3]
    columns = []
    for m, i, j in itertools.product(range(atoms), range(places[0]), range(places[1])):
        column = np.zeros((channels, *sides))
        column[:, i * stride : i * stride + side, j * stride : j * stride + side] = dictionary[m]
        columns.append(column.ravel())
    return np.array(columns).T


def mirrored(image, kernel, stride):
    before = (kernel - stride) // 2
    widths = ((0, 0), (before, kernel - stride - before), (before, kernel - stride - before))
    return np.pad(image.numpy(), widths, mode="reflect")


def energy_of(matrix, canvas, code, threshold):
    return 0.5 * ((canvas.ravel() - matrix @ code.numpy().ravel()) ** 2).sum() + threshold.penalty(code)


@pytest.mark.parametrize(
    ("name", "threshold"),
    [(name, t) for name in SOLVERS for t in THRESHOLDS if name != "fista" or t.convex],
    ids=lambda given: given if isinstance(given, str) else given.kind,
)
def test_orthonormal_atoms_give_the_thresholded_projection(name, threshold):
    dictionary = torch.linalg.qr(drawn(12, 12))[0].reshape(12, 3, 2, 2)
    images = drawn(2, 3, 6, 4)
    code, info = encode(images, dictionary, threshold=threshold, stride=2, solver=exact(name))
    projection = correlate(images, dictionary, 2)
    assert code.shape == (2, 12, 3, 2) and info.solver == name and bool(info.converged.all())
    assert torch.allclose(code, threshold.apply(projection), atol=1e-7)
    assert torch.equal(info.active, (code > 0).sum(dim=(1, 2, 3)))
    assert torch.allclose(info.sparsity, (code == 0).double().mean(dim=(1, 2, 3)))


@pytest.mark.parametrize("name", SOLVERS)
def test_a_single_atom(name):
    atom = unit_norm(drawn(1, 1, 3, 3))
    rest = drawn(1, 1, 3, 3, seed=1)
    rest -= (rest * atom).sum() * atom
    images = 2.5 * atom + rest
    code, info = encode(images, atom, threshold=1.0, stride=3, border="none", solver=exact(name))
    assert code.flatten().tolist() == pytest.approx([1.5])
    assert info.energy.item() == pytest.approx(0.5 * (1.0 + float(rest.square().sum())) + 1.5)
    assert info.gap.item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("name", SOLVERS)
def test_kernels_of_one_pixel_are_the_non_negative_lasso(name):
    images, dictionary = drawn(3, 12, 1, 1), unit_norm(drawn(20, 12, 1, 1, seed=1))
    code, _ = encode(images, dictionary, threshold=0.3, stride=1, solver=exact(name))
    matrix = dictionary.flatten(1).numpy().T
    for own, image in zip(code, images, strict=True):
        peer = Lasso(alpha=0.3 / 12, positive=True, fit_intercept=False, tol=1e-12, max_iter=100000)
        peer.fit(matrix, image.flatten().numpy())
        assert np.abs(own.flatten().numpy() - peer.coef_).max() < 1e-5


@pytest.mark.parametrize("name", SOLVERS)
def test_threshold_zero_is_non_negative_least_squares(name):
    images, dictionary = drawn(3, 12, 1, 1), unit_norm(drawn(6, 12, 1, 1, seed=1))
    code, info = encode(images, dictionary, threshold=0.0, stride=1, solver=exact(name))
    for own, image in zip(code, images, strict=True):
        peer, left = nnls(dictionary.flatten(1).numpy().T, image.flatten().numpy())
        assert np.abs(own.flatten().numpy() - peer).max() < 1e-5
    assert info.energy[-1].item() == pytest.approx(0.5 * left**2)


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (5, 2), (3, 3), (4, 1), (5, 3)])
@pytest.mark.parametrize("border", ["mirror", "none"])
def test_overlapping_atoms_reach_the_lasso_of_the_dense_matrix(kernel, stride, border):
    height, width = (4 * stride, 3 * stride) if border == "mirror" else (kernel + 3 * stride, kernel + 2 * stride)
    images, dictionary = drawn(1, 2, height, width), unit_norm(drawn(5, 2, kernel, kernel, seed=1))
    canvas = mirrored(images[0], kernel, stride) if border == "mirror" else images[0].numpy()
    matrix = dense(dictionary.numpy(), stride, (4, 3), canvas.shape[1:])
    peer = Lasso(alpha=0.5 / canvas.size, positive=True, fit_intercept=False, tol=1e-13, max_iter=200000)
    peer.fit(matrix, canvas.ravel())
    least = energy_of(matrix, canvas, torch.from_numpy(peer.coef_), soft(0.5))
    for name in SOLVERS:
        code, info = encode(images, dictionary, threshold=0.5, stride=stride, border=border, solver=exact(name))
        assert (
            code.shape == (1, 5, 4, 3) and decode(code, dictionary, stride=stride, border=border).shape == images.shape
        )
        assert np.abs(code.numpy().ravel() - peer.coef_).max() < 1e-5
        assert info.energy.item() == pytest.approx(energy_of(matrix, canvas, code, soft(0.5)), rel=1e-10)
        assert info.energy.item() == pytest.approx(least, rel=1e-8) and info.gap.item() < 1e-6


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: t.kind)
@pytest.mark.parametrize("name", ["working_set", "lca"])
def test_every_threshold_ends_where_each_coefficient_is_its_own_thresholds(name, threshold):
    images, dictionary = drawn(1, 1, 8, 8), unit_norm(drawn(6, 1, 4, 4, seed=1))
    code, info = encode(images, dictionary, threshold=threshold, stride=2, solver=exact(name))
    canvas = mirrored(images[0], 4, 2)
    matrix = dense(dictionary.numpy(), 2, (4, 4), canvas.shape[1:])
    flat = code.numpy().ravel()
    drive = matrix.T @ (canvas.ravel() - matrix @ flat) + flat
    assert bool(info.converged) and int(info.active) > 0
    assert np.abs(threshold.apply(torch.from_numpy(drive)).numpy() - flat).max() < 1e-8
    assert info.violation.item() <= 1e-9 and bool(torch.isnan(info.gap)) != threshold.convex
    assert info.energy.item() == pytest.approx(energy_of(matrix, canvas, code, threshold))


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: t.kind)
def test_the_energy_never_rises_along_the_working_set(threshold):
    images, dictionary = drawn(2, 3, 24, 24), unit_norm(drawn(40, 3, 6, 6, seed=1))
    seen = []
    for steps in range(1, 12):
        solver = Solver("working_set", tolerance=1e-10, steps=steps)
        seen.append(encode(images, dictionary, threshold=threshold, stride=2, solver=solver)[1].energy)
    falls = torch.stack(seen)
    assert bool((falls[1:] <= falls[:-1] * (1 + 1e-12)).all()) and bool((falls[-1] < falls[0]).all())


def test_the_gap_bounds_the_distance_to_the_least_energy():
    images, dictionary = drawn(1, 3, 16, 16), unit_norm(drawn(30, 3, 6, 6, seed=1))
    least = encode(images, dictionary, threshold=0.5, solver=exact("working_set"))[1].energy.item()
    for steps in (1, 2, 4):
        info = encode(images, dictionary, threshold=0.5, solver=Solver("working_set", steps=steps))[1]
        assert least <= info.energy.item() <= least + info.gap.item() * info.energy.item() + 1e-9
    off = encode(images, dictionary, threshold=0.5, solver=Solver("lca", steps=2))[1]
    assert off.energy.item() > 1.05 * least and off.gap.item() >= 1 - least / off.energy.item()


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: t.kind)
def test_lca_takes_the_steps_of_explicit_inhibition(threshold):
    images, dictionary = drawn(1, 1, 8, 8), unit_norm(drawn(6, 1, 4, 4, seed=1))
    matrix = torch.from_numpy(dense(dictionary.numpy(), 2, (4, 4), (10, 10)))
    input_drive = matrix.T @ torch.from_numpy(mirrored(images[0], 4, 2)).ravel()
    inhibition = matrix.T @ matrix - torch.eye(matrix.shape[1])
    drive, tau = torch.zeros_like(input_drive), 5.0
    for steps in range(1, 31):
        drive = drive + (input_drive - drive - inhibition @ threshold.apply(drive)) / tau
        if steps in (1, 2, 30):
            solver = Solver("lca", tolerance=0.0, steps=steps, tau=tau)
            code, info = encode(images, dictionary, threshold=threshold, solver=solver)
            assert torch.allclose(code.ravel(), threshold.apply(drive), atol=1e-10) and int(info.iterations) == steps


@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", SOLVERS)
def test_batch_mates_change_nothing(name, kind):
    dictionary = unit_norm(drawn(16, 3, 6, 6, seed=1, kind=kind))
    images = drawn(5, 3, 12, 12, kind=kind) * torch.tensor([0.1, 1, 3, 0, 2], dtype=kind).view(-1, 1, 1, 1)
    solver = Solver(name, tau=8.0)
    code, info = encode(images, dictionary, threshold=0.4, solver=solver)
    assert code.dtype == kind and not code.requires_grad and len(set(info.iterations.tolist())) > 2
    for place in range(5):
        alone, own = encode(images[place : place + 1], dictionary, threshold=0.4, solver=solver)
        assert torch.equal(alone[0], code[place]) and own.iterations[0] == info.iterations[place]
        assert own.energy[0] == info.energy[place]
    assert encode(images[:0], dictionary, threshold=0.4, solver=solver)[0].shape == (0, 16, 6, 6)


@pytest.mark.parametrize("name", SOLVERS[:2])
def test_single_precision_agrees_with_double(name):
    images, dictionary = drawn(1, 3, 24, 24), unit_norm(drawn(40, 3, 6, 6, seed=1))
    code, info = encode(images, dictionary, threshold=0.5, solver=Solver(name, tolerance=1e-5))
    half, rough = encode(images.float(), dictionary.float(), threshold=0.5, solver=Solver(name, tolerance=1e-5))
    assert bool(rough.converged) and torch.allclose(half.double(), code, atol=1e-3)
    assert rough.energy.item() == pytest.approx(info.energy.item(), rel=1e-6)


@pytest.mark.parametrize(("side", "stride"), [(4, 2), (5, 2), (3, 3), (7, 3), (1, 1), (5, 1)])
def test_synthesis_is_the_adjoint_and_the_transposed_convolution(side, stride):
    dictionary, code = drawn(4, 2, side, side), drawn(3, 4, 5, 6, seed=1)
    made = synthesise(code, synthesis_kernel(dictionary, stride), stride=stride, side=side)
    assert torch.allclose(made, torch.nn.functional.conv_transpose2d(code, dictionary, stride=stride))
    other = drawn(*made.shape, seed=2)
    assert float((made * other).sum()) == pytest.approx(float((code * correlate(other, dictionary, stride)).sum()))


def test_the_papers_shapes():
    geometry = Geometry(24, 2, "mirror")
    assert geometry.margins == (11, 11) and geometry.places(512, 512) == (256, 256)
    assert Geometry(24, 4, "mirror").places(512, 256) == (128, 64)


def test_decode_has_gradients_in_both():
    dictionary, code = unit_norm(drawn(3, 2, 4, 4)).requires_grad_(), drawn(1, 3, 3, 2, seed=1).abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, d: decode(a, d, stride=2), (code, dictionary))
    images = drawn(1, 2, 6, 4).requires_grad_()
    assert not encode(images, unit_norm(drawn(3, 2, 4, 4)), threshold=0.1)[0].requires_grad


def test_too_large_a_step_of_lca_says_which_one_would_do():
    dictionary = unit_norm(drawn(64, 1, 4, 4).abs())
    images = drawn(1, 1, 16, 16).abs()
    with pytest.raises(UsageError, match=r"diverges.*tau 1\..*tau of [\d.]+ or more"):
        encode(images, dictionary, threshold=0.1, solver=Solver("lca", tau=1.0))
    try:
        encode(images, dictionary, threshold=0.1, solver=Solver("lca", tau=1.0))
    except UsageError as error:
        tau = float(error.allowed.split()[2])
    info = encode(images, dictionary, threshold=0.1, solver=Solver("lca", tau=tau, steps=4000))[1]
    least = encode(images, dictionary, threshold=0.1)[1].energy.item()
    assert info.energy.item() == pytest.approx(least, rel=1e-3)


@pytest.mark.parametrize("name", SOLVERS)
def test_empty_codes_and_codes_not_reached_are_recorded(name):
    dictionary = unit_norm(drawn(16, 3, 6, 6, seed=1))
    images = torch.cat([torch.full((1, 3, 12, 12), 0.8, dtype=torch.float64), drawn(1, 3, 12, 12)])
    images, mean, deviation = standardise(images)
    assert mean[0].item() == pytest.approx(0.8) and deviation[0].item() == 1.0
    code, info = encode(images, dictionary, threshold=0.2, solver=Solver(name, steps=1, tolerance=1e-9, tau=2.0))
    assert info.empty.tolist() == [True, False] and float(code[0].abs().sum()) == 0 and info.energy[0] == 0
    assert info.converged.tolist() == [True, False]
    notes = info.notes()
    assert notes[0] == "image 0: the code is empty" and "image 1: not converged after 1 iterations" in notes[1]
    assert decode(code, dictionary)[0].abs().sum() == 0


@pytest.mark.parametrize("name", SOLVERS)
def test_a_start_leads_to_the_same_code(name):
    images, dictionary = drawn(1, 3, 12, 12), unit_norm(drawn(16, 3, 6, 6, seed=1))
    cold, _ = encode(images, dictionary, threshold=0.4, solver=exact(name))
    near, _ = encode(images + 0.01, dictionary, threshold=0.4, solver=exact(name))
    same, info = encode(images, dictionary, threshold=0.4, solver=Solver(name, start=cold))
    warm, _ = encode(images, dictionary, threshold=0.4, solver=exact(name, start=near))
    assert int(info.iterations) == 0 and torch.equal(same, cold) and torch.allclose(warm, cold, atol=1e-6)


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda t: t.kind)
def test_thresholds_minimise_their_penalties(threshold):
    grid = torch.linspace(0, 4, 4001, dtype=torch.float64)
    price = torch.tensor([threshold.penalty(a.view(1)) for a in grid], dtype=torch.float64)
    for drive in (-1.0, 0.3, 0.69, 0.71, 0.9, 1.1, 1.19, 1.21, 3.0):
        best = grid[(0.5 * (grid - drive) ** 2 + price).argmin()]
        assert threshold.apply(torch.tensor([drive])).item() == pytest.approx(best.item(), abs=2e-3)


def test_standardise():
    images = drawn(3, 3, 8, 8) * 5 + 2
    found, mean, deviation = standardise(images)
    assert torch.allclose(found * deviation + mean, images)
    assert torch.allclose(found.square().mean(dim=(1, 2, 3)), torch.ones(3, dtype=torch.float64))


def test_without_numba_fast_is_fista(monkeypatch):
    images, dictionary = drawn(1, 3, 12, 12), unit_norm(drawn(16, 3, 6, 6, seed=1))
    code, info = encode(images, dictionary, threshold=0.4, solver=Solver(tolerance=1e-7))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    other, plain = encode(images, dictionary, threshold=0.4, solver=Solver(tolerance=1e-7))
    assert info.solver == "working_set" and plain.solver == "fista" and torch.allclose(code, other, atol=1e-5)
    with pytest.raises(UsageError, match=r"percuss\[sparse\]"):
        encode(images, dictionary, threshold=hard(0.4))
