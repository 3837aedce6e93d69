"""Gradients of sparse codes against dense systems and finite differences."""

import itertools

import numpy as np
import pytest
import torch

from percuss.core.errors import UsageError
from percuss.models import lca_active_set
from percuss.models.lca import Solver, encode, firm, hard, soft, unit_norm
from percuss.models.lca_active_set import DenseAtoms, SparseAtoms, conjugate_gradients
from percuss.models.lca_geometry import Geometry, synthesis_kernel
from percuss.models.lca_gradient import MODES, Gradient, code_with_gradient

EXACT = Solver("working_set", tolerance=1e-11, steps=5000)
TIGHT = {"cg_tolerance": 1e-12, "cg_steps": 3000}


def drawn(*shape, seed=0, kind=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=kind)


def pulled(images, dictionary, weights, **settings):
    """The gradient of the weighted sum of the code in the images, code and info."""
    own = images.clone().requires_grad_(True)
    code, info = code_with_gradient(own, dictionary, **{"solver": EXACT, **settings})
    (code * weights).sum().backward()
    return own.grad, code.detach(), info


def atoms_matrix(code, dictionary, stride, sides):
    """The active atoms on the canvas, as columns, in the order of nonzero."""
    side = dictionary.shape[-1]
    columns = []
    for m, i, j in code.nonzero().tolist():
        column = np.zeros((dictionary.shape[1], *sides))
        column[:, i * stride : i * stride + side, j * stride : j * stride + side] = dictionary[m]
        columns.append(column.ravel())
    return np.array(columns).T


def mirror_matrix(channels, height, width, geometry):
    """The mirrored border as a matrix from pixels to canvas."""
    before, after = geometry.margins
    numbers = np.arange(channels * height * width).reshape(channels, height, width)
    source = np.pad(numbers, ((0, 0), (before, after), (before, after)), mode="reflect") if after else numbers
    found = np.zeros((source.size, numbers.size))
    found[np.arange(source.size), source.ravel()] = 1
    return found, source.shape[1:]


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (5, 2), (3, 3), (5, 3), (4, 1)])
@pytest.mark.parametrize("border", ["mirror", "none"])
@pytest.mark.parametrize("compiled", [True, False])
def test_implicit_is_the_dense_solve_on_the_active_set(kernel, stride, border, compiled, monkeypatch):
    monkeypatch.setattr(lca_active_set, "available", lambda device: compiled)
    height, width = (4 * stride, 3 * stride) if border == "mirror" else (kernel + 3 * stride, kernel + 2 * stride)
    images, dictionary = 2 * drawn(2, 2, max(height, 6), max(width, 6)), unit_norm(drawn(3, 2, kernel, kernel, seed=1))
    images = images[..., :height, :width]
    geometry = Geometry(kernel, stride, border)
    shape = (2, 3, *geometry.places(height, width))
    weights = drawn(*shape, seed=2)
    found, code, info = pulled(images, dictionary, weights, threshold=1.0, stride=stride, border=border, **TIGHT)
    assert code.shape == shape and bool(info.backward.converged.all()) and int(info.active.min()) >= 3
    mirror, sides = mirror_matrix(2, height, width, geometry)
    for own, wanted, grad in zip(code, weights, found, strict=True):
        matrix = atoms_matrix(own, dictionary, stride, sides)
        system = np.linalg.solve(matrix.T @ matrix, wanted[own != 0].numpy())
        assert np.allclose(grad.numpy().ravel(), mirror.T @ (matrix @ system), atol=1e-7)


@pytest.mark.parametrize("threshold", [soft(0.8), hard(0.8), firm(0.8, width=2.0)], ids=lambda rule: rule.kind)
@pytest.mark.parametrize("border", ["mirror", "none"])
def test_implicit_agrees_with_finite_differences(threshold, border):
    images, dictionary = 2 * drawn(1, 2, 8, 8), unit_norm(drawn(4, 2, 4, 4, seed=1))
    settings = {"threshold": threshold, "stride": 2, "border": border}
    code, _ = encode(images, dictionary, solver=EXACT, **settings)
    weights = drawn(*code.shape, seed=2)
    found, code, info = pulled(images, dictionary, weights, start=code, **settings, **TIGHT)
    assert bool(info.converged.all())
    for place in [(0, 0, 0), (1, 7, 7), (0, 4, 3), (1, 2, 5)]:
        ends = []
        for sign in (1, -1):
            moved = images.clone()
            moved[(0, *place)] += sign * 1e-5
            near = Solver("working_set", tolerance=1e-11, steps=5000, start=code)
            ends.append(encode(moved, dictionary, solver=near, **settings)[0])
        assert torch.equal(ends[0] != 0, ends[1] != 0)
        slope = float(((ends[0] - ends[1]) * weights).sum()) / 2e-5
        assert found[(0, *place)].item() == pytest.approx(slope, abs=2e-4)


@pytest.mark.parametrize("threshold", [soft(0.8), hard(0.8), firm(0.8, width=2.0)], ids=lambda rule: rule.kind)
@pytest.mark.parametrize("warm", [False, True])
def test_unrolled_is_autograd_through_the_iterations(threshold, warm):
    images, dictionary = 2 * drawn(2, 2, 8, 6), unit_norm(drawn(4, 2, 5, 5, seed=1))
    start = encode(images + 0.3, dictionary, threshold=1.0, stride=2)[0] if warm else None
    solver = Solver("lca", tolerance=0, steps=7, tau=3.0, start=start)
    weights = drawn(2, 4, 4, 3, seed=2)
    found, code, info = pulled(
        images, dictionary, weights, threshold=threshold, stride=2, solver=solver, gradient="unrolled"
    )
    own = images.clone().requires_grad_(True)
    canvas = Geometry(5, 2, "mirror").canvas(own)
    now = torch.zeros_like(code) if start is None else start
    drive = torch.zeros_like(code)
    for step in range(7):
        residual = canvas - torch.nn.functional.conv_transpose2d(now, dictionary, stride=2)
        target = torch.nn.functional.conv2d(residual, dictionary, stride=2) + now
        drive = target if warm and step == 0 else drive + (target - drive) / 3.0
        now = threshold.apply(drive)
    (now * weights).sum().backward()
    assert torch.allclose(code, now.detach(), atol=1e-12) and info.backward.iterations.tolist() == [7, 7]
    assert torch.allclose(found, own.grad, atol=1e-12)


def test_long_unrolling_comes_to_the_implicit_gradient():
    images, dictionary = 2 * drawn(1, 2, 8, 8), unit_norm(drawn(4, 2, 4, 4, seed=1))
    weights = drawn(1, 4, 4, 4, seed=2)
    exact, code, _ = pulled(images, dictionary, weights, threshold=0.8, stride=2, **TIGHT)
    off = []
    for steps in (10, 100, 3000):
        settings = {"gradient": "unrolled", "steps": steps, "tau": 4.0}
        found, same, _ = pulled(images, dictionary, weights, threshold=0.8, stride=2, **settings)
        assert torch.equal(same, code)
        off.append(float((found - exact).norm() / exact.norm()))
    assert off[0] > off[1] > off[2] and off[0] > 0.05 and off[2] < 1e-6


def test_straight_and_one_step_in_closed_form():
    images, dictionary = 2 * drawn(1, 2, 9, 9), unit_norm(drawn(4, 2, 5, 5, seed=1))
    weights = drawn(1, 4, 3, 3, seed=2)
    settings = {"threshold": firm(0.8, width=2.0), "stride": 2, "border": "none"}
    found, code, info = pulled(images, dictionary, weights, gradient="straight", **settings)
    whole = torch.nn.functional.conv_transpose2d(weights * (code != 0), dictionary, stride=2)
    assert torch.allclose(found, whole, atol=1e-12) and info.backward.iterations.tolist() == [0]
    found, _, _ = pulled(images, dictionary, weights, gradient="one_step", **settings)
    own = images.clone().requires_grad_(True)
    (settings["threshold"].apply(torch.nn.functional.conv2d(own, dictionary, stride=2)) * weights).sum().backward()
    assert torch.allclose(found, own.grad, atol=1e-12) and not torch.allclose(found, whole)


def test_no_gradient_under_none():
    images = drawn(1, 2, 8, 8).requires_grad_(True)
    code, info = code_with_gradient(images, unit_norm(drawn(4, 2, 4, 4)), threshold=0.8, stride=2, gradient="none")
    assert not code.requires_grad and info.backward.mode == "none" and info.notes() == []


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "none"])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_batch_mates_and_repeats_change_nothing(mode, kind):
    images, dictionary = 2 * drawn(3, 2, 8, 8, kind=kind), unit_norm(drawn(4, 2, 4, 4, seed=1, kind=kind))
    weights = drawn(3, 4, 4, 4, seed=2, kind=kind)
    settings = {"threshold": 0.8, "stride": 2, "solver": "fast", "gradient": mode}
    whole, code, _ = pulled(images, dictionary, weights, **settings)
    again, same, _ = pulled(images, dictionary, weights, **settings)
    assert torch.equal(whole, again) and torch.equal(code, same) and float(whole.abs().max()) > 0
    for place in range(3):
        one = slice(place, place + 1)
        alone, own, _ = pulled(images[one], dictionary, weights[one], **settings)
        assert torch.equal(alone, whole[one]) and torch.equal(own, code[one])


def test_an_empty_code_has_gradient_zero_and_is_told():
    images = torch.stack([torch.zeros(2, 8, 8), 2 * drawn(2, 8, 8, kind=torch.float32)])
    dictionary = unit_norm(drawn(4, 2, 4, 4, seed=1, kind=torch.float32))
    for mode in ("implicit", "straight"):
        found, _, info = pulled(
            images, dictionary, drawn(2, 4, 4, 4, kind=torch.float32), threshold=0.8, stride=2,
            solver="fast", gradient=mode,
        )  # fmt: skip
        assert torch.equal(found[0], torch.zeros(2, 8, 8)) and float(found[1].abs().max()) > 0
        assert info.backward.empty.tolist() == [True, False] and info.backward.converged.all()
        assert "image 0: the code is empty" in info.notes() and "image 0: empty code, gradient 0" in info.notes()


def test_a_gradient_that_did_not_converge_is_told():
    images, dictionary = 2 * drawn(2, 2, 8, 8), unit_norm(drawn(4, 2, 4, 4, seed=1))
    weights = drawn(2, 4, 4, 4, seed=2)
    weights[1] = 0
    found, _, info = pulled(images, dictionary, weights, threshold=0.4, stride=2, cg_tolerance=1e-9, cg_steps=2)
    assert info.backward.converged.tolist() == [False, True] and info.backward.iterations.tolist() == [2, 0]
    assert float(info.backward.rest[0]) > 1e-9 and torch.equal(found[1], torch.zeros_like(found[1]))
    assert [note.split(":")[0] for note in info.notes()] == ["image 0"] and "2 iterations" in info.notes()[0]


def test_damping_is_on_the_diagonal():
    images, dictionary = 2 * drawn(1, 2, 9, 9), unit_norm(drawn(4, 2, 5, 5, seed=1))
    weights = drawn(1, 4, 3, 3, seed=2)
    settings = {"threshold": 0.8, "stride": 2, "border": "none", "damping": 0.5, **TIGHT}
    found, code, _ = pulled(images, dictionary, weights, **settings)
    matrix = atoms_matrix(code[0], dictionary, 2, (9, 9))
    system = np.linalg.solve(matrix.T @ matrix + 0.5 * np.eye(matrix.shape[1]), weights[code != 0].numpy())
    assert np.allclose(found.numpy().ravel(), matrix @ system, atol=1e-9)


def test_conjugate_gradients_tell_what_they_cannot_solve():
    flat = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    answer = conjugate_gradients(
        lambda v: flat @ v, torch.tensor([3.0, 4.0], dtype=torch.float64), tolerance=0.01, steps=50
    )
    assert answer.rest > 0.5 and bool(torch.isfinite(answer.vector).all())
    downhill = conjugate_gradients(lambda v: -v, torch.ones(2, dtype=torch.float64), tolerance=0.01, steps=50)
    assert downhill.rest == pytest.approx(1.0) and downhill.iterations == 1
    nothing = conjugate_gradients(lambda v: v, torch.full((2,), float("nan")), tolerance=0.01, steps=50)
    assert np.isnan(nothing.rest) and bool(nothing.vector.isnan().all())


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_compiled_and_dense_atoms_agree(kind):
    code = torch.relu(drawn(6, 5, 7, kind=kind) - 1)
    dictionary = unit_norm(drawn(6, 3, 5, 5, seed=1, kind=kind))
    kernel, active = synthesis_kernel(dictionary, 2), code.nonzero()
    pair = (
        DenseAtoms(dictionary, kernel, 2, (5, 7), active),
        SparseAtoms(dictionary, stride=2, places=(5, 7), active=active),
    )
    vector, canvas = drawn(len(active), kind=kind), drawn(3, 13, 17, kind=kind)
    near = {"atol": 1e-5 if kind == torch.float32 else 1e-12}
    for one, other in itertools.pairwise(pair):
        assert torch.allclose(one.spread(vector), other.spread(vector), **near)
        assert torch.allclose(one.gather(canvas), other.gather(canvas), **near)
        assert torch.allclose(one.normal(vector), other.normal(vector), **near)


def test_a_warm_start_gives_the_same_code_and_gradient():
    images, dictionary = 2 * drawn(2, 3, 16, 16), unit_norm(drawn(8, 3, 6, 6, seed=1))
    settings = {"threshold": 1.0, "stride": 2, "solver": Solver("working_set", tolerance=1e-8), **TIGHT}
    weights = drawn(2, 8, 8, 8, seed=2)
    cold, code, first = pulled(images, dictionary, weights, **settings)
    near = encode(images + 0.02 * drawn(*images.shape, seed=5), dictionary, threshold=1.0, stride=2)[0]
    warm, again, second = pulled(images, dictionary, weights, start=near, **settings)
    assert torch.allclose(code, again, atol=1e-6) and torch.allclose(cold, warm, atol=1e-5)
    assert int(second.iterations.max()) < int(first.iterations.min())


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"gradient": "exact"}, "implicit, unrolled, straight, one_step, none"),
        ({"cg_tol": 1.0}, "cg_tolerance"),
        ({"cg_tolerance": 0.0}, "cg_tolerance"),
        ({"damping": -1.0}, "damping"),
        ({"tau": 0.5}, "tau"),
        ({"steps": 0}, "steps"),
        ({"cg_steps": 1.5}, "cg_steps"),
    ],
)
def test_settings_out_of_range_are_errors(settings, match):
    with pytest.raises(UsageError, match=match):
        code_with_gradient(drawn(1, 2, 8, 8), unit_norm(drawn(4, 2, 4, 4)), threshold=0.8, stride=2, **settings)


def test_settings_of_a_record_can_be_overridden():
    _, info = code_with_gradient(
        drawn(1, 2, 8, 8), unit_norm(drawn(4, 2, 4, 4)), threshold=0.8, stride=2, gradient=Gradient("unrolled"), steps=3
    )
    assert info.backward.mode == "unrolled"


def test_a_rest_that_rises_at_first_gives_no_zero_back():
    stiff, right = torch.tensor([1.0, 100.0]), torch.tensor([1.0, 0.1])
    one = conjugate_gradients(lambda vector: stiff * vector, right, tolerance=1e-6, steps=1)
    assert one.rest > 1 and float(one.vector @ right) > 0, "a gradient of 0 would make an attack stand still"
    two = conjugate_gradients(lambda vector: stiff * vector, right, tolerance=1e-6, steps=5)
    assert two.rest <= 1e-6 and torch.allclose(two.vector, right / stiff)
