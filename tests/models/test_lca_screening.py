"""The looks for violators against a dense correlation, and the blocks against plain loops."""

import numpy as np
import pytest
import torch

from percuss.models.lca import Solver, encode, soft, unit_norm
from percuss.models.lca_geometry import Geometry, correlate, synthesis_kernel, synthesise
from percuss.models.lca_members import Layout, Members, colours
from percuss.models.lca_screening import Looks
from percuss.models.lca_solvers import Problem

LEAST = 2.5


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def one_by_one(function, jobs):
    return [function(*job) for job in jobs]


@pytest.fixture
def looks():
    dictionary = unit_norm(drawn(20, 3, 12, 12, seed=1))
    problem = Problem.of(drawn(3, 40, 36), dictionary, stride=2, threshold=soft(LEAST))
    atoms = dictionary.permute(0, 2, 3, 1).flatten(2).contiguous().numpy()
    return problem, Looks(problem, atoms, floor=np.float32(LEAST), run=one_by_one)


def flat(canvas):
    return canvas.permute(1, 2, 0).reshape(canvas.shape[1], -1).contiguous().numpy().copy()


def dense(problem, residual, members):
    """Correlations ``[places, M]``, members at -1."""
    canvas = torch.from_numpy(residual.reshape(len(residual), -1, 3)).permute(2, 0, 1)
    seen = problem.correlate(canvas).permute(1, 2, 0).flatten(0, 1).numpy().copy()
    shape = (15, 13, 20)
    seen[members.inside(shape)] = -1
    return seen


def test_a_screened_look_finds_what_a_dense_one_finds(looks):
    problem, look = looks
    members = Members(np.array([[3, 2, 5], [7, 14, 12], [0, 0, 0]]), np.ones(3, dtype=np.float32))
    first = flat(problem.canvas)
    look.sure(first, members)
    changed = first.copy()
    changed[10:14, 30:42] += 0.1 * flat(drawn(3, 4, 4, seed=3))
    # A small change needs no dense look.
    look._problem = type("Refuses", (), {"correlate": lambda *_: 1 / 0})()
    found = look.sure(changed, members)
    assert found.certain
    seen = dense(problem, changed, members)
    assert found.outside == pytest.approx(seen.max(), rel=1e-5)
    for own, row in zip(found.added, seen, strict=True):
        wanted = [atom for atom in np.argsort(-row)[:4] if row[atom] > LEAST]
        assert [atom for atom in own if atom >= 0] == wanted


def test_a_large_change_is_looked_at_everywhere(looks):
    problem, look = looks
    nobody = Members(np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=np.float32))
    look.sure(flat(problem.canvas), nobody)
    other = flat(3 * drawn(3, 40, 36, seed=9))
    assert look.sure(other, nobody).outside == pytest.approx(dense(problem, other, nobody).max(), rel=1e-6)


def test_half_the_resolution_finds_smooth_atoms_and_certifies_nothing(looks):
    _, _ = looks
    small = unit_norm(drawn(20, 3, 6, 6, seed=1))
    dictionary = unit_norm(small.repeat_interleave(2, 2).repeat_interleave(2, 3))
    problem = Problem.of(drawn(3, 40, 36), dictionary, stride=2, threshold=soft(LEAST))
    look = Looks(problem, dictionary.permute(0, 2, 3, 1).flatten(2).numpy(), floor=np.float32(LEAST), run=one_by_one)
    nobody = Members(np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=np.float32))
    residual = flat(problem.canvas)
    found = look.coarse(residual, nobody)
    assert not found.certain and found.outside == pytest.approx(dense(problem, residual, nobody).max(), rel=1e-5)


@pytest.mark.parametrize(("side", "stride"), [(8, 2), (5, 2), (3, 3), (24, 4), (1, 1), (7, 3)])
def test_blocks_of_a_colour_do_not_touch(side, stride):
    layout = Layout((23, 17), stride, side, 3)
    place = np.array([[0, i, j] for i in range(23) for j in range(17)])
    members = Members(place[:0], np.zeros(0, dtype=np.float32)).joined(np.zeros((23 * 17, 4), dtype=np.int64), layout)
    assert len(members.place) == 4 * len(place)
    seen = 0
    for blocks in colours(members.place, layout):
        taken = np.zeros((22 * stride + side, 16 * stride + side), dtype=int)
        for first, last, *_ in blocks:
            own = np.zeros_like(taken)
            for _, i, j in members.place[first:last]:
                own[i * stride : i * stride + side, j * stride : j * stride + side] = 1
            taken += own
            seen += last - first
        assert taken.max() <= 1
    assert seen == len(members.place)


def test_threads_change_not_one_bit():
    images, dictionary = drawn(1, 3, 96, 96), unit_norm(drawn(64, 3, 12, 12, seed=1))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            code, info = encode(images, dictionary, threshold=1.5, stride=2)
            found.append((code, info.violation, info.iterations))
    finally:
        torch.set_num_threads(before)
    assert int(torch.count_nonzero(found[0][0])) > 4000  # else no second thread runs
    assert bool((found[0][1] <= 1e-3).all())
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_what_the_looks_pass_over_is_within_its_threshold(kind):
    images, dictionary = drawn(1, 3, 48, 48).to(kind), unit_norm(drawn(32, 3, 12, 12, seed=1).to(kind))
    code, info = encode(images, dictionary, threshold=1.5, stride=2, solver=Solver("working_set", tolerance=1e-4))
    canvas = Geometry(12, 2, "mirror").canvas(images)
    left = canvas - synthesise(code, synthesis_kernel(dictionary, 2), stride=2, side=12)
    drive = correlate(left, dictionary, 2) + code
    off = float((soft(1.5).apply(drive) - code).abs().max()) / 1.5
    assert off <= 1e-4 + (1e-5 if kind == torch.float32 else 0)
    assert bool(info.converged)
    plain = encode(images, dictionary, threshold=1.5, stride=2, solver=Solver("fista", tolerance=1e-4))[0]
    assert torch.allclose(code, plain, atol=5e-3) and float((code - plain).norm() / plain.norm()) < 2e-3
