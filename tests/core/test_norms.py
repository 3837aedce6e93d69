"""Projections are feasible, idempotent and nearest; maximisers are best; starts stay within."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from percuss.core.budget import Norm
from percuss.core.norms import Room, distance, maximiser, pixels_allowed, project, random_start, steepest
from percuss.core.seeds import ImageRandom

SIZES = {Norm.LINF: (0.001, 0.3), Norm.L2: (0.01, 3), Norm.L1: (0.01, 10), Norm.L0: (0.05, 0.9), Norm.NONE: (1, 1)}


@st.composite
def cases(draw, norms=tuple(Norm)):
    norm = draw(st.sampled_from(norms))
    seed, scale = draw(st.integers(0, 10**6)), draw(st.sampled_from([1e-3, 0.1, 1.0, 50.0]))
    eps = draw(st.floats(*SIZES[norm]))
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(3, 2, 4, 4, generator=rng)
    images = torch.where(torch.rand(images.shape, generator=rng) < 0.3, images.round(), images)
    return norm, eps, Room.of(images), torch.randn(images.shape, generator=rng) * scale


def within(norm, change, eps, room):
    inside = bool((change >= room.low).all() and (change <= room.high).all())
    return inside and (norm is Norm.NONE or bool((distance(norm, change) <= eps * (1 + 1e-5)).all()))


@settings(max_examples=80, deadline=None)
@given(cases())
def test_projection_is_feasible_and_idempotent(case):
    norm, eps, room, change = case
    once = project(norm, change, eps, room)
    assert within(norm, once, eps, room)
    assert torch.allclose(project(norm, once, eps, room), once, atol=2e-6)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_projection_is_nearer_than_other_feasible_changes(case):
    norm, eps, room, change = case
    best = (project(norm, change, eps, room) - change).flatten(1).norm(dim=1)
    for seed in range(20):
        other = random_start(norm, eps, room, ImageRandom(seed, ["a", "b", "c"], "test"))
        assert bool((best <= (other - change).flatten(1).norm(dim=1) + 1e-5).all())


@settings(max_examples=8, deadline=None)
@given(cases(norms=(Norm.L2, Norm.L1)))
def test_projection_matches_a_general_solver(case):
    norm, eps, room, change = case
    goal = change[0].double().flatten().numpy().clip(-2, 2)
    found = project(norm, torch.tensor(goal).float().view(1, 2, 4, 4), eps, room.rows(torch.tensor([0])))
    low, high = room.low[0].double().flatten().numpy(), room.high[0].double().flatten().numpy()
    start = np.zeros_like(goal)
    if norm is Norm.L2:
        limit = {"type": "ineq", "fun": lambda d: eps**2 - d @ d, "jac": lambda d: -2 * d}
        split, merge, bounds = start, lambda d: d, list(zip(low, high, strict=True))
    else:  # up and down parts, so that the sum of sizes is smooth
        split, merge = np.concatenate([start, start]), lambda d: d[: len(goal)] - d[len(goal) :]
        limit = {"type": "ineq", "fun": lambda d: eps - d.sum(), "jac": lambda d: -np.ones_like(d)}
        bounds = [(0, h) for h in high] + [(0, -v) for v in low]
    answer = minimize(
        lambda d: float(((merge(d) - goal) ** 2).sum()),
        split,
        bounds=bounds,
        constraints=[limit],
        method="SLSQP",
        options={"maxiter": 300, "ftol": 1e-12},
    )
    ours = float(((found.double().flatten().numpy() - goal) ** 2).sum())
    assert ours <= answer.fun * (1 + 1e-4) + 1e-5


@settings(max_examples=60, deadline=None)
@given(cases())
def test_maximiser_is_feasible_best_and_scale_free(case):
    norm, eps, room, gradient = case
    best = maximiser(norm, gradient, eps, room)
    assert within(norm, best, eps, room)
    gain = (best * gradient).flatten(1).double().sum(1)
    for seed in range(10):
        other = random_start(norm, eps, room, ImageRandom(seed, ["a", "b", "c"], "test"))
        climbed = project(norm, other + gradient / gradient.abs().max(), eps, room)
        for rival in (other, climbed):
            assert bool((gain >= (rival * gradient).flatten(1).double().sum(1) * (1 - 1e-5) - 1e-6).all())
    tiny = maximiser(norm, gradient * 2.0**-80, eps, room)
    assert torch.allclose(tiny, best, atol=1e-5)


@pytest.mark.parametrize("norm", list(Norm))
def test_each_image_alone_gives_the_same(norm):
    rng = torch.Generator().manual_seed(1)
    room = Room.of(torch.rand(4, 3, 5, 5, generator=rng))
    change = torch.randn(4, 3, 5, 5, generator=rng) * torch.tensor([1e-6, 0.1, 1, 1e4]).view(4, 1, 1, 1)
    for work in (project, maximiser):
        whole = work(norm, change, 0.2, room)
        for i in range(4):
            row = torch.tensor([i])
            assert torch.equal(work(norm, change[row], 0.2, room.rows(row)), whole[row])


@pytest.mark.parametrize("norm", list(Norm))
def test_zero_gradient_moves_nothing(norm):
    room = Room.of(torch.rand(2, 1, 4, 4))
    zero = torch.zeros(2, 1, 4, 4)
    assert not maximiser(norm, zero, 0.5, room).any()
    assert not steepest(norm, zero).any()


def test_known_distances():
    change = torch.zeros(1, 2, 2, 2)
    change[0, :, 0, 0] = torch.tensor([0.3, -0.4])
    found = {norm.value: float(distance(norm, change)) for norm in Norm}
    assert found == pytest.approx({"linf": 0.4, "l2": 0.5, "l1": 0.7, "l0": 0.25, "none": 0.4})


def test_l0_counts_whole_pixels_and_rounds_down():
    assert pixels_allowed(0.2, torch.zeros(1, 3, 4, 4)) == 3
    assert pixels_allowed(0.3, torch.zeros(1, 3, 10, 10)) == 30
    room = Room.of(torch.full((1, 3, 4, 4), 0.5))
    assert int((project(Norm.L0, torch.rand(1, 3, 4, 4), 0.2, room) != 0).any(1).sum()) == 3


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2, Norm.L1])
def test_random_start_fills_the_ball_uniformly(norm):
    room = Room(torch.full((400, 1, 2, 1), -9.0), torch.full((400, 1, 2, 1), 9.0))
    start = random_start(norm, 1.0, room, ImageRandom(0, [str(i) for i in range(400)], "start"))
    inner = float((distance(norm, start) <= 0.5).double().mean())
    assert inner == pytest.approx(0.25, abs=0.08)  # half the radius holds a quarter of a plane's ball


@pytest.mark.parametrize("norm", list(Norm))
def test_a_size_of_its_own_for_each_image(norm):
    rng = torch.Generator().manual_seed(3)
    images = torch.rand(5, 3, 6, 6, generator=rng)
    room, gradient = Room.of(images), torch.randn(5, 3, 6, 6, generator=rng)
    sizes = torch.tensor([0.02, 0.3, 0.1, 0.05, 0.6], dtype=torch.float64)
    for work in (project, maximiser):
        together = work(norm, gradient, sizes, room)
        for i in range(5):
            row = slice(i, i + 1)
            alone = work(norm, gradient[row], float(sizes[i]), room.rows(row))
            torch.testing.assert_close(together[row], alone, rtol=0, atol=1e-7)
