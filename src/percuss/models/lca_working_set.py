"""The fast solver of one image's sparse code: coordinate descent on the few coefficients that matter."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from percuss.core.errors import UsageError
from percuss.models.lca_solvers import STEPS, Problem, Solved, Solver
from percuss.models.lca_thresholds import Threshold

Array = NDArray[Any]


def available(device: torch.device) -> bool:
    """Whether the solver can run: on a processor, with numba installed."""
    return device.type == "cpu" and importlib.util.find_spec("numba") is not None


@dataclass
class _Members:
    """The working set: place ``[n, 3]`` (atom, row, column of the code) and value ``[n]``, sorted by block."""

    place: Array
    value: Array


def working_set(problem: Problem, solver: Solver, start: Tensor | None) -> Solved:
    """Rounds of one dense correlation, which finds violators, and coordinate descent on those and the active ones.

    In each round every place of the code adds at most four atoms beyond the threshold; the members are visited block by
    block of ceil(K / stride) places, in a fixed order, and zeros leave. Each coordinate step is the exact minimum in
    that coefficient, so the energy never rises from round to round, under any of the thresholds. The residual is made
    anew from the coefficients in every round, and a code is returned only after a dense correlation with its own
    residual: the violation is that of all coefficients.

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
    number = canvas.dtype.type
    goal, steps = solver.tolerance * problem.scale(), solver.steps or STEPS["working_set"]
    # What stays below would violate its threshold by no more than the goal.
    hard = problem.threshold.kind == "hard"
    floor = number(problem.threshold.size + (0.0 if hard else goal / problem.threshold.slope))
    members = _started(start, canvas.dtype)
    for step in range(steps + 1):
        residual = canvas.reshape(len(canvas), -1).copy()
        lca_kernels.subtract(
            residual, atoms, corners(members.place, problem.stride, len(problem.canvas)), members.value
        )
        seen = _correlations(problem, residual.reshape(canvas.shape))
        inside = np.zeros(seen.shape, dtype=np.bool_)
        inside[members.place[:, 1], members.place[:, 2], members.place[:, 0]] = True
        flat = (seen.reshape(-1, seen.shape[2]), inside.reshape(-1, seen.shape[2]))
        added, outside = lca_kernels.candidates(*flat, floor)
        violation = _violation(problem.threshold, seen, members, float(outside))
        if violation <= goal or step == steps:
            break
        members = _joined(problem, members, added, seen.shape[1])
        blocks = _blocks(problem, members.place)
        rule[3] = violation / 10
        lca_kernels.descend(
            residual, atoms, corners(members.place, problem.stride, len(problem.canvas)), members.value, blocks, rule
        )
        kept = members.value != 0
        members = _Members(members.place[kept], members.value[kept])
    code = np.zeros((seen.shape[2], *seen.shape[:2]), dtype=canvas.dtype)
    code[tuple(members.place.T)] = members.value
    left = torch.from_numpy(residual.reshape(canvas.shape)).permute(2, 0, 1)
    return Solved(torch.from_numpy(code), left, violation, float(seen.max()), step)


def _rule(threshold: Threshold, kind: np.dtype[Any]) -> Array:
    """Size, slope of the line above, where the line ends and the drive itself begins, and room for a goal."""
    end = {"soft": np.inf, "hard": threshold.size, "firm": threshold.size + threshold.width}[threshold.kind]
    return np.array([threshold.size, threshold.slope, end, 0], dtype=kind)


def _started(start: Tensor | None, kind: np.dtype[Any]) -> _Members:
    if start is None:
        return _Members(np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=kind))
    place: Array = start.nonzero().numpy()
    return _Members(place, start.numpy()[tuple(place.T)])


def _correlations(problem: Problem, residual: Array) -> Array:
    """``[h, w, M]``, contiguous."""
    seen = problem.correlate(torch.from_numpy(residual).permute(2, 0, 1))
    return seen.permute(1, 2, 0).contiguous().numpy()


def corners(place: Array, stride: int, channels: int) -> Array:
    """Atom, first row, and first value of that row, in a residual of ``[H, W * C]``."""
    found: Array = place * np.array([1, stride, stride * channels])
    return found


def _violation(threshold: Threshold, seen: Array, members: _Members, outside: float) -> float:
    """How far the coefficient that is furthest off lies from where its own threshold would put it."""
    worst = float(threshold.apply(torch.tensor(outside, dtype=torch.float64)))
    if len(members.value):
        own = torch.from_numpy(members.value)
        drive = torch.from_numpy(seen[members.place[:, 1], members.place[:, 2], members.place[:, 0]]) + own
        worst = max(worst, float((threshold.apply(drive) - own).abs().max()))
    return worst


def _joined(problem: Problem, members: _Members, added: Array, columns: int) -> _Members:
    """Members and candidates (``[P, EACH]`` atoms, -1 for none) in the order of their blocks."""
    spot, rank = np.nonzero(added >= 0)
    fresh = np.stack([added[spot, rank], spot // columns, spot % columns], axis=1)
    place = np.concatenate([members.place, fresh])
    value = np.concatenate([members.value, np.zeros(len(fresh), dtype=members.value.dtype)])
    block = place[:, 1:] // _reach(problem)
    order = np.lexsort((place[:, 0], place[:, 2], place[:, 1], block[:, 1], block[:, 0]))
    return _Members(place[order], value[order])


def _blocks(problem: Problem, place: Array) -> Array:
    """Starts of the blocks in sorted members, and their number."""
    block = place[:, 1:] // _reach(problem)
    new = np.ones(len(block), dtype=np.bool_)
    new[1:] = (block[1:] != block[:-1]).any(1)
    return np.append(np.flatnonzero(new), len(block))


def _reach(problem: Problem) -> int:
    """Places that an atom spans."""
    return -(-problem.dictionary.shape[-1] // problem.stride)
