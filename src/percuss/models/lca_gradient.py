"""Sparse codes that are differentiable in the image: the exact gradient on the active set, and three others.

The exact gradient is that of the fixed point: where the active set S does not change, ``a_S`` solves a linear system,
and its transpose is one more (implicit differentiation of the lasso, as in Bertrand et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from percuss.core.errors import UsageError
from percuss.models.lca import STRIDE, Info, encode
from percuss.models.lca_active_set import atoms_of, conjugate_gradients
from percuss.models.lca_geometry import Border, Geometry
from percuss.models.lca_solvers import Name, Problem, Solver
from percuss.models.lca_thresholds import Threshold, as_threshold
from percuss.models.lca_unrolled import unrolled

Mode = Literal["implicit", "unrolled", "straight", "one_step", "none"]
MODES: tuple[str, ...] = get_args(Mode)
#: Of unrolled, where the solver is not lca.
STEPS, TAU = 100, 50.0


@dataclass(frozen=True)
class Gradient:
    """Which gradient of a code is taken. The code's values are the solver's under every mode.

    With S the active coefficients, g the gradient in the code and v what is found from it, the image gets ``D v``:

    ``implicit``: ``(D_S' D_S) v = g_S``, by conjugate gradients: exact where S does not change. A firm threshold takes
    size / (size + width) off the diagonal on its line. Under a hard one this is the gradient between its jumps, of
    which it sees nothing.
    ``unrolled``: through ``steps`` iterations of lca: the gradient of an encoder deployed with so many, biased for a
    converged one. ``straight``: v = g_S (pass-through). ``one_step``: that of threshold(D'x), blind to
    how atoms compete. ``none``: no gradient is recorded.

    Args:
        mode: one of the five.
        cg_tolerance: of implicit: ends at this rest, as a share of g_S's length.
        cg_steps: of implicit: iterations at most. Too few give a weak gradient, and are reported.
        damping: of implicit: added to the diagonal, at least 0; above 0 the gradient is no longer exact.
        steps, tau: of unrolled; None takes what the solver did where it is lca (of each image its own iterations), else
            100 iterations and tau 50.
    """

    mode: Mode = "implicit"
    cg_tolerance: float = 1e-2
    cg_steps: int = 500
    damping: float = 0.0
    steps: int | None = None
    tau: float | None = None

    def __post_init__(self) -> None:
        """Refuses settings out of range with a UsageError."""
        if self.mode not in MODES:
            raise UsageError("unknown gradient of sparse codes", value=self.mode, allowed=", ".join(MODES))
        if not 0 < self.cg_tolerance < 1:
            raise UsageError("cg_tolerance of a sparse code's gradient", value=self.cg_tolerance, allowed="in (0, 1)")
        if not (math.isfinite(self.damping) and self.damping >= 0):
            raise UsageError("damping of a sparse code's gradient", value=self.damping, allowed="at least 0")
        if self.tau is not None and not (math.isfinite(self.tau) and self.tau >= 1):
            raise UsageError("tau of a sparse code's gradient", value=self.tau, allowed="at least 1 iteration")
        for name, count in (("cg_steps", self.cg_steps), ("steps", self.steps)):
            if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
                raise UsageError(f"{name} of a sparse code's gradient", value=count, allowed="a whole number above 0")


@dataclass
class Backward:
    """What the last gradient through a code took; tensors ``[N]``, None until then.

    Args:
        mode: which gradient.
        iterations: of conjugate gradients (implicit) or lca (unrolled), else 0.
        rest: of conjugate gradients, as a share of the right side's length, else 0.
        converged: whether ``rest`` came down to the tolerance.
        empty: whether there was no active coefficient, hence no gradient (0) under implicit and straight.
    """

    mode: Mode
    iterations: Tensor | None = None
    rest: Tensor | None = None
    converged: Tensor | None = None
    empty: Tensor | None = None

    def notes(self) -> list[str]:
        """A sentence for each image whose gradient is not what the mode promises."""
        if self.converged is None or self.rest is None or self.iterations is None or self.empty is None:
            return []
        found = []
        if self.mode in ("implicit", "straight"):
            found = [f"image {i}: empty code, gradient 0" for i in self.empty.nonzero().flatten().tolist()]
        for i in (~self.converged).nonzero().flatten().tolist():
            found.append(
                f"image {i}: gradient not converged after {int(self.iterations[i])} iterations of conjugate gradients, "
                f"rest {float(self.rest[i]):.2g}: more cg_steps, or damping"
            )
        return found


@dataclass(frozen=True)
class GradientInfo(Info):
    """``Info`` of the code, and ``backward``: what the last gradient through it took."""

    backward: Backward = field(default_factory=lambda: Backward("none"))

    def notes(self) -> list[str]:
        """Of the code, then of its gradient."""
        return super().notes() + self.backward.notes()


def code_with_gradient(  # noqa: PLR0913
    images: Tensor,
    dictionary: Tensor,
    *,
    threshold: float | Threshold,
    stride: int = STRIDE,
    solver: Name | Solver = "fast",
    border: Border = "mirror",
    gradient: Mode | Gradient = "implicit",
    start: Tensor | None = None,
    **settings: Any,
) -> tuple[Tensor, GradientInfo]:
    """``encode``, differentiable in the images (not in the atoms), through the mirrored border.

    Each image's gradient is found by itself. Implicit gradients want a code that converged (a tolerance of 1e-3 or
    less); ``info.converged`` says so, and after a backward pass ``info.backward`` what became of the gradient.

    Args:
        images, dictionary, threshold, stride, solver, border: as for ``encode``.
        gradient: a mode, or a ``Gradient`` with its settings.
        start: a code ``[N, M, h, w]`` to begin from, instead of the solver's own.
        settings: those of ``Gradient``, by name: cg_tolerance, cg_steps, damping, steps, tau.

    Returns:
        The code ``[N, M, h, w]`` and its info.

    Raises:
        UsageError: as ``encode``, and for an unknown mode or setting.
    """
    way = gradient_of(gradient, settings)
    chosen = Solver(solver) if isinstance(solver, str) else solver
    chosen = chosen if start is None else replace(chosen, start=start)
    code, info = encode(images, dictionary, threshold=threshold, stride=stride, solver=chosen, border=border)
    backward = Backward(way.mode)
    told = GradientInfo(**vars(info), backward=backward)
    if way.mode == "none" or not len(images):
        return code, told
    canvas = Geometry(dictionary.shape[-1], stride, border).canvas(images)
    problem = Problem.of(canvas[0].detach(), dictionary.detach(), stride=stride, threshold=as_threshold(threshold))
    attached: Tensor = _Attached.apply(canvas, code, _Plan(problem, way, chosen, info.iterations, backward))
    return attached, told


def gradient_of(gradient: Mode | Gradient, settings: dict[str, Any]) -> Gradient:
    """The settings as a record; UsageError for an unknown name."""
    names = [name for name in Gradient.__dataclass_fields__ if name != "mode"]
    unknown = sorted(set(settings) - set(names))
    if unknown:
        raise UsageError("unknown setting of a sparse code's gradient", value=unknown[0], allowed=", ".join(names))
    return replace(gradient if isinstance(gradient, Gradient) else Gradient(gradient), **settings)


@dataclass(frozen=True)
class _Pulled:
    """One image's gradient in its canvas, and what it took."""

    canvas: Tensor
    iterations: int = 0
    rest: float = 0.0


@dataclass(frozen=True)
class _Plan:
    """What the backward pass needs beside canvas and code."""

    problem: Problem
    gradient: Gradient
    solver: Solver
    iterations: Tensor
    backward: Backward


class _Attached(torch.autograd.Function):
    """The code as it is, with the gradient of the plan towards the canvas."""

    @staticmethod
    def forward(ctx: Any, canvas: Tensor, code: Tensor, plan: _Plan) -> Tensor:
        ctx.save_for_backward(canvas, code)
        ctx.plan = plan
        return code.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        canvas, code = ctx.saved_tensors
        plan: _Plan = ctx.plan
        pull = _PULLS[plan.gradient.mode]
        pulled = []
        for place in range(len(code)):
            begin = None if plan.solver.start is None else plan.solver.start[place].detach()
            own = replace(plan, problem=replace(plan.problem, canvas=canvas[place]))
            own = replace(own, solver=replace(plan.solver, start=begin), iterations=plan.iterations[place])
            pulled.append(pull(own, code[place], gradient[place]))
        record = plan.backward
        record.iterations = torch.tensor([one.iterations for one in pulled])
        record.rest = torch.tensor([one.rest for one in pulled], dtype=torch.float64)
        record.converged = record.rest <= plan.gradient.cg_tolerance
        record.empty = (code == 0).flatten(1).all(1).cpu()
        return torch.stack([one.canvas for one in pulled]), None, None


def _implicit(plan: _Plan, code: Tensor, gradient: Tensor) -> _Pulled:
    problem, way = plan.problem, plan.gradient
    on = code != 0
    if not bool(on.any()):
        return _Pulled(torch.zeros_like(problem.canvas))
    atoms = atoms_of(code, problem)
    diagonal = problem.threshold.bend(code[on]) + way.damping
    found = conjugate_gradients(
        lambda vector: atoms.normal(vector) + diagonal * vector,
        gradient[on],
        tolerance=way.cg_tolerance,
        steps=way.cg_steps,
    )
    return _Pulled(atoms.spread(found.vector), found.iterations, found.rest)


def _straight(plan: _Plan, code: Tensor, gradient: Tensor) -> _Pulled:
    problem = plan.problem
    atoms = atoms_of(code, problem)
    return _Pulled(atoms.spread(gradient[code != 0]))


def _one_step(plan: _Plan, code: Tensor, gradient: Tensor) -> _Pulled:
    problem = plan.problem
    slopes = problem.threshold.slopes(problem.correlate(problem.canvas))
    return _Pulled(problem.synthesise(gradient * slopes))


def _unrolled(plan: _Plan, code: Tensor, gradient: Tensor) -> _Pulled:
    done, tau = (int(plan.iterations), plan.solver.tau) if plan.solver.name == "lca" else (STEPS, TAU)
    steps, tau = plan.gradient.steps or max(1, done), plan.gradient.tau or tau
    found = unrolled(plan.problem, gradient, steps=steps, tau=tau, start=plan.solver.start)
    return _Pulled(found, steps)


_PULLS: dict[str, Callable[[_Plan, Tensor, Tensor], _Pulled]] = {
    "implicit": _implicit,
    "straight": _straight,
    "one_step": _one_step,
    "unrolled": _unrolled,
}
