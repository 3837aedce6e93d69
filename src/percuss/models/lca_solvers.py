"""Solvers of one image's sparse code with convolutions alone: LCA iterations and accelerated proximal gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from percuss.core.errors import UsageError
from percuss.models.lca_geometry import correlate, synthesis_kernel, synthesise
from percuss.models.lca_thresholds import Threshold

Name = Literal["fast", "working_set", "fista", "lca"]
NAMES: tuple[str, ...] = get_args(Name)
#: Rounds or iterations after which a solver gives up.
STEPS = {"working_set": 200, "fista": 2000, "lca": 2000}
#: A code whose squared error exceeds that of the empty code so often is taken to diverge.
_RUNAWAY = 10.0
#: Iterations of fista between two looks at the violation, which costs a pass.
_EVERY = 5


@dataclass(frozen=True)
class Solver:
    """How a code is found and when the search ends.

    Args:
        name: ``working_set`` (coordinate descent on the few coefficients that matter), ``fista`` (Beck and Teboulle
            2009, with backtracking and restarts; soft thresholds only), ``lca`` (the iterations of Rozell et al. 2008
            in residual form), or ``fast``: the working set where it can run (a processor, numba installed), else fista.
        tolerance: the search of an image ends when no coefficient is further than this from where its own threshold
            would put it, as a share of the threshold's size (of the largest correlation where that is 0).
        steps: iterations of lca and fista, rounds of the working set, at most; None for the solver's own limit.
        tau: time constant of lca in iterations, at least 1; each moves the drive by 1 / tau of the way. The exponential
            Euler step of time dt is ``tau = 1 / (1 - exp(-dt / time_constant))``.
        start: a code ``[N, M, h, w]`` to begin from, for instance of a nearly equal image; None for the empty code.
    """

    name: Name = "fast"
    tolerance: float = 1e-3
    steps: int | None = None
    tau: float = 50.0
    start: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuses settings out of range with a UsageError."""
        if self.name not in NAMES:
            raise UsageError("unknown solver of sparse codes", value=self.name, allowed=", ".join(NAMES))
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise UsageError("the tolerance of a sparse code", value=self.tolerance, allowed="at least 0")
        if self.steps is not None and self.steps < 1:
            raise UsageError("the steps of a sparse code", value=self.steps, allowed="at least 1")
        if not (math.isfinite(self.tau) and self.tau >= 1):
            raise UsageError("the time constant tau of lca", value=self.tau, allowed="at least 1 iteration")


@dataclass(frozen=True)
class Problem:
    """One image to be coded: canvas ``[C, H, W]``, atoms ``[M, C, K, K]`` of length 1, and how.

    ``made`` keeps the synthesis kernel once it was needed, for all problems that differ in their canvas alone.
    """

    canvas: Tensor
    dictionary: Tensor
    stride: int
    threshold: Threshold
    made: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, canvas: Tensor, dictionary: Tensor, *, stride: int, threshold: Threshold) -> Problem:
        """The problem."""
        return cls(canvas, dictionary, stride, threshold)

    @property
    def kernel(self) -> Tensor:
        """The synthesis kernel, see ``lca_geometry``."""
        if "kernel" not in self.made:
            self.made["kernel"] = synthesis_kernel(self.dictionary, self.stride)
        return self.made["kernel"]

    def correlate(self, residual: Tensor) -> Tensor:
        """``[C, H, W]`` to ``[M, h, w]``."""
        return correlate(residual[None], self.dictionary, self.stride)[0]

    def synthesise(self, code: Tensor) -> Tensor:
        """``[M, h, w]`` to ``[C, H, W]``."""
        return synthesise(code[None], self.kernel, stride=self.stride, side=self.dictionary.shape[-1])[0]

    def scale(self) -> float:
        """What a tolerance is a share of."""
        return self.threshold.size or float(self.correlate(self.canvas).max().clamp(min=0)) or 1.0


@dataclass(frozen=True)
class Solved:
    """A code ``[M, h, w]`` with the residual of this very code, its largest violation and correlation."""

    code: Tensor
    residual: Tensor
    violation: float
    correlation: float
    iterations: int


def lca(problem: Problem, solver: Solver, start: Tensor | None) -> Solved:
    """The iterations u += (D'(x - D a) + a - u) / tau, a = threshold(u), from u = 0 (or the drive of ``start``).

    Raises:
        UsageError: the code diverges; the error names a tau that would not.
    """
    code = torch.zeros_like(problem.correlate(problem.canvas)) if start is None else start
    drive = None if start is not None else torch.zeros_like(code)
    goal, steps = solver.tolerance * problem.scale(), solver.steps or STEPS["lca"]
    nothing = float(problem.canvas.square().sum())
    for step in range(steps + 1):
        residual = problem.canvas - problem.synthesise(code)
        error = float(residual.square().sum())
        if not math.isfinite(error) or error > _RUNAWAY * nothing or (step == steps and error > 2 * nothing):
            raise _diverges(problem, code, solver.tau)
        correlation = problem.correlate(residual)
        target = correlation + code
        violation = float((problem.threshold.apply(target) - code).abs().max())
        if violation <= goal or step == steps:
            break
        drive = target if drive is None else drive + (target - drive) / solver.tau
        code = problem.threshold.apply(drive)
    return Solved(code, residual, violation, float(correlation.max()), step)


def _diverges(problem: Problem, code: Tensor, tau: float) -> UsageError:
    """The error, with half of the largest eigenvalue of the active atoms' products, by power iteration, 5 % above."""
    on = (code != 0) & torch.isfinite(code)
    vector = on.to(code.dtype)
    length = 1.0
    for _ in range(30):
        vector = vector / torch.linalg.vector_norm(vector).clamp(min=torch.finfo(code.dtype).tiny)
        vector = problem.correlate(problem.synthesise(vector)) * on
        length = float(torch.linalg.vector_norm(vector))
    return UsageError(
        "the sparse code diverges: the step of lca is too large",
        value=f"tau {tau:g}",
        allowed=f"tau of {max(1.0, 1.05 * length / 2):.3g} or more holds for the atoms that were active",
        next_step="give a larger tau, or take the solver 'fast', which needs none",
    )


def fista(problem: Problem, solver: Solver, start: Tensor | None) -> Solved:
    """Accelerated proximal gradients with backtracking and restarts, for soft thresholds.

    The step is found by backtracking and tried longer again; momentum starts anew where it points uphill (O'Donoghue
    and Candes 2015). The energy may rise for a few iterations.

    Raises:
        UsageError: the threshold is not soft: the fixed points of proximal gradients would be others.
    """
    if not problem.threshold.convex:
        raise UsageError(
            "fista finds codes of soft thresholds only",
            value=problem.threshold.kind,
            allowed="soft",
            next_step="take the solver 'working_set' (needs numba and a processor) or 'lca'",
        )
    code = torch.zeros_like(problem.correlate(problem.canvas)) if start is None else start
    made = problem.synthesise(code)
    goal, steps = solver.tolerance * problem.scale(), solver.steps or STEPS["fista"]
    ahead, ahead_made, pace, curvature = code, made, 1.0, 1.0
    for step in range(steps + 1):
        if step % _EVERY == 0 or step == steps:
            correlation = problem.correlate(problem.canvas - made)
            violation = float((problem.threshold.apply(correlation + code) - code).abs().max())
            if violation <= goal or step == steps:
                break
        new, new_made, curvature = _proximal(problem, ahead, ahead_made, curvature)
        if float(((ahead - new) * (new - code)).sum()) > 0:
            pace = 1.0
        faster = (1 + math.sqrt(1 + 4 * pace * pace)) / 2
        push = (pace - 1) / faster
        ahead, ahead_made = new + push * (new - code), new_made + push * (new_made - made)
        code, made, pace, curvature = new, new_made, faster, curvature * 0.95
    return Solved(code, problem.canvas - made, violation, float(correlation.max()), step)


def _proximal(problem: Problem, code: Tensor, made: Tensor, curvature: float) -> tuple[Tensor, Tensor, float]:
    """One step from ``code``, with the curvature raised until the quadratic model lies above the energy."""
    slope = problem.correlate(problem.canvas - made) - problem.threshold.size
    # Below this a difference of two canvases is rounding: a curvature must not be read from it.
    rounding = 4 * torch.finfo(made.dtype).eps ** 2 * float(problem.canvas.square().sum())
    while True:
        new = torch.relu(code + slope / curvature)
        new_made = problem.synthesise(new)
        bent = float((new_made - made).square().sum())
        moved = float((new - code).square().sum())
        if bent <= curvature * moved * (1 + 1e-5) + rounding or moved == 0:
            return new, new_made, curvature
        curvature *= 1.5
