"""The gradient of a fixed number of LCA iterations in the canvas, without keeping the iterations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.models.lca_solvers import Problem


@dataclass(frozen=True)
class _Slopes:
    """Where one iteration's threshold has a slope other than 0, and which."""

    place: Tensor
    slope: Tensor

    @classmethod
    def of(cls, slopes: Tensor) -> _Slopes:
        place = slopes.flatten().nonzero().flatten()
        return cls(place, slopes.flatten()[place])

    def times(self, given: Tensor) -> Tensor:
        found = torch.zeros_like(given)
        found.view(-1)[self.place] = given.reshape(-1)[self.place] * self.slope
        return found


def unrolled(problem: Problem, gradient: Tensor, *, steps: int, tau: float, start: Tensor | None) -> Tensor:
    """The canvas's gradient ``[C, H, W]`` through ``steps`` iterations of ``lca``.

    The iterations ``u += (D'(x - D a) + a - u) / tau``, ``a = threshold(u)`` run once forward. What their transpose
    needs of them is the slope of each threshold alone, which is 0 for all but the active coefficients: only those are
    kept, so memory grows with ``steps`` times the active coefficients and no checkpoint is needed.

    Args:
        problem: one image.
        gradient: ``[M, h, w]``, of what is to be differentiated, in the code of the last iteration.
        steps: iterations, at least 1.
        tau: their time constant.
        start: the code from which they begin, None for the drive 0; no gradient goes into it.
    """
    kept = _forward(problem, steps=steps, tau=tau, start=start)
    back = kept[-1].times(gradient)
    found = torch.zeros_like(problem.canvas)
    for step in range(steps - 1, -1, -1):
        first = step == 0 and start is not None
        share = 1.0 if first else 1 / tau
        made = problem.synthesise(back)
        found += share * made
        if step == 0:
            break
        back = (1 - 1 / tau) * back + kept[step - 1].times(back - problem.correlate(made)) / tau
    return found


def _forward(problem: Problem, *, steps: int, tau: float, start: Tensor | None) -> list[_Slopes]:
    """The slopes of the threshold after each iteration."""
    code = torch.zeros_like(problem.correlate(problem.canvas)) if start is None else start
    drive = None if start is not None else torch.zeros_like(code)
    kept = []
    for _ in range(steps):
        target = problem.correlate(problem.canvas - problem.synthesise(code)) + code
        drive = target if drive is None else drive + (target - drive) / tau
        code = problem.threshold.apply(drive)
        kept.append(_Slopes.of(problem.threshold.slopes(drive)))
    return kept
