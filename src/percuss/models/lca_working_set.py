"""The fast solver of one image's sparse code: coordinate descent on the few coefficients that matter."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from percuss.core.errors import UsageError
from percuss.models.lca_members import Members, corners, descended, runner
from percuss.models.lca_screening import Looks
from percuss.models.lca_solvers import STEPS, Problem, Solved, Solver
from percuss.models.lca_thresholds import Threshold

Array = NDArray[Any]
#: Looks at half the resolution, at most; they end when the members grew by no more than this share.
_COARSE, _FEW = 3, 0.15


def available(device: torch.device) -> bool:
    """Whether the solver can run: on a processor, with numba installed."""
    return device.type == "cpu" and importlib.util.find_spec("numba") is not None


def working_set(problem: Problem, solver: Solver, start: Tensor | None) -> Solved:
    """Rounds of a look for violators, and coordinate descent on those and the active ones.

    In each round every place of the code adds at most four atoms beyond the threshold; the members are visited block by
    block of ceil(K / stride) places, in a fixed order, and zeros leave. Each coordinate step is the exact minimum in
    that coefficient, so the energy never rises from round to round, under any of the thresholds. The residual is made
    anew from the coefficients in every round. Under a soft threshold and without a start the first rounds look at half
    the resolution; a code is returned only after a look with its own residual at all coefficients (see
    ``lca_screening``): the violation is that of all of them.

    Raises:
        UsageError: not on a processor, or numba is missing.
    """
    if not available(problem.canvas.device):
        raise UsageError(
            "the solver 'working_set' needs a processor and the package numba",
            value=problem.canvas.device,
            allowed="fista (soft thresholds), lca",
            next_step="pip install 'percuss[sparse]', or take one of these solvers",
        )
    from percuss.models import lca_kernels

    canvas = problem.canvas.permute(1, 2, 0).contiguous().numpy()
    atoms = problem.dictionary.permute(0, 2, 3, 1).flatten(2).contiguous().numpy()
    rule = _rule(problem.threshold, canvas.dtype)
    goal, steps = solver.tolerance * problem.scale(), solver.steps or STEPS["working_set"]
    # What stays below would violate its threshold by no more than the goal.
    hard = problem.threshold.kind == "hard"
    floor = canvas.dtype.type(problem.threshold.size + (0.0 if hard else goal / problem.threshold.slope))
    members = Members.of(start, canvas.dtype)
    with runner() as run:
        looks = Looks(problem, atoms, floor=floor, run=run)
        coarse = looks.halved and problem.threshold.convex and not len(members.value)
        for step in range(steps + 1):
            residual = canvas.reshape(len(canvas), -1).copy()
            corner = corners(members.place, problem.stride, len(problem.canvas))
            lca_kernels.subtract(residual, atoms, corner, members.value)
            seen = (looks.coarse if coarse and step < steps else looks.sure)(residual, members)
            own = np.empty_like(members.value)
            lca_kernels.gather(residual, atoms, corner, own)
            violation = _violation(problem.threshold, own, members, seen.outside)
            if step == steps or (seen.certain and violation <= goal):
                break
            before = len(members.value)
            rule[3] = max(violation / 10, goal / 4)  # closer than the goal asks is lost work
            joined = members.joined(seen.added, looks.layout)
            members = descended(joined, residual, atoms, rule=rule, layout=looks.layout, run=run)
            coarse = coarse and step + 1 < _COARSE and len(members.value) > (1 + _FEW) * before
    code = np.zeros((len(atoms), *looks.layout.places), dtype=canvas.dtype)
    code[tuple(members.place.T)] = members.value
    left = torch.from_numpy(residual.reshape(canvas.shape)).permute(2, 0, 1)
    largest = max([seen.outside, float(floor), *own.max(keepdims=True, initial=0).tolist()])
    return Solved(torch.from_numpy(code), left, violation, largest, step)


def _rule(threshold: Threshold, kind: np.dtype[Any]) -> Array:
    """Size, slope of the line above, where the line ends and the drive itself begins, and room for a goal."""
    end = {"soft": np.inf, "hard": threshold.size, "firm": threshold.size + threshold.width}[threshold.kind]
    return np.array([threshold.size, threshold.slope, end, 0], dtype=kind)


def _violation(threshold: Threshold, own: Array, members: Members, outside: float) -> float:
    """How far the coefficient that is furthest off lies from where its own threshold would put it.

    ``own`` are the members' correlations with the residual.
    """
    worst = float(threshold.apply(torch.tensor(outside, dtype=torch.float64)))
    if len(members.value):
        value = torch.from_numpy(members.value)
        worst = max(worst, float((threshold.apply(torch.from_numpy(own) + value) - value).abs().max()))
    return worst
