"""Convolutional sparse codes (LCA, Rozell et al. 2008): non-negative, with tied weights, in residual form.

The code of an image x is a point where every coefficient is what its own threshold makes of its drive:
``a = threshold(D'(x - D a) + a)`` for atoms D of length 1. For soft thresholds this is the minimum of
``|x - D a|^2 / 2 + size * sum(a)`` over a >= 0. The products of atoms with each other are never formed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from percuss.core.errors import UsageError
from percuss.models.lca_geometry import Border, Geometry, synthesis_kernel, synthesise, unit_norm
from percuss.models.lca_solvers import Name, Problem, Solved, Solver, fista, lca
from percuss.models.lca_thresholds import Threshold, as_threshold, firm, hard, soft
from percuss.models.lca_working_set import available, working_set

__all__ = [
    "Border", "Info", "Solver", "Threshold", "decode", "encode", "firm", "hard", "soft", "standardise", "unit_norm",
]  # fmt: skip

#: The stride that the paper's shapes imply.
STRIDE = 2
_SOLVERS = {"working_set": working_set, "fista": fista, "lca": lca}
_LENGTH = 1e-3


@dataclass(frozen=True)
class Info:
    """What became of each image; tensors ``[N]`` on the processor.

    Args:
        energy: half the squared residual of the canvas plus the penalty, float64.
        sparsity: share of coefficients that are 0.
        active: how many are not.
        iterations: of lca and fista, or rounds of the working set.
        converged: whether the violation came down to the tolerance.
        violation: how far the coefficient that is furthest off lies from where its own threshold would put it, as a
            share of the threshold's size (of the largest correlation where that is 0). The working set leaves out what
            lies outside it and within the tolerance.
        gap: how far the energy can lie above the least possible one, as a share of itself, from the dual problem; soft
            thresholds only, else NaN. Loose: the true distance is usually far smaller.
        solver: which one ran.
    """

    energy: Tensor
    sparsity: Tensor
    active: Tensor
    iterations: Tensor
    converged: Tensor
    violation: Tensor
    gap: Tensor
    solver: str

    @property
    def empty(self) -> Tensor:
        """Images whose code has no coefficient at all: no gradient on the code's active set exists there."""
        return self.active == 0

    def notes(self) -> list[str]:
        """A sentence for each image with an empty code or one that did not converge."""
        found = [f"image {i}: the code is empty" for i in self.empty.nonzero().flatten().tolist()]
        for i in (~self.converged).nonzero().flatten().tolist():
            found.append(
                f"image {i}: not converged after {int(self.iterations[i])} iterations of {self.solver}, violation "
                f"{float(self.violation[i]):.2g}: more steps, or for lca another tau"
            )
        return found


def encode(
    images: Tensor,
    dictionary: Tensor,
    *,
    threshold: float | Threshold,
    stride: int = STRIDE,
    solver: Name | Solver = "fast",
    border: Border = "mirror",
) -> tuple[Tensor, Info]:
    """The sparse code of each image, found for each by itself: batch mates change nothing.

    Images are taken as they are; ``standardise`` makes thresholds comparable between images. No gradient is recorded.

    Args:
        images: ``[N, C, H, W]``, float32 or float64, finite. H and W fit ``Geometry``.
        dictionary: atoms ``[M, C, K, K]`` of length 1, of the same type, on the same device.
        threshold: ``soft``, ``hard`` or ``firm``; a number is a soft one's size.
        stride: pixels between places of the code, 1 to K.
        solver: a name, or a ``Solver`` with its settings. Hard and firm thresholds have many fixed points; which one is
            reached depends on the solver.
        border: ``mirror`` or ``none``, see ``Geometry``.

    Returns:
        The code ``[N, M, h, w]``, at least 0, and what became of each image.

    Raises:
        UsageError: shapes, types or values that do not fit, atoms of another length, a solver that cannot run here, or
            a step of lca so large that the code diverges.
    """
    rule = as_threshold(threshold)
    chosen = _ready(Solver(solver) if isinstance(solver, str) else solver, images.device, rule)
    geometry = _geometry(images, dictionary, stride, border)
    places = geometry.places(images.shape[2], images.shape[3])
    shape = (len(images), len(dictionary), *places)
    _check_start(chosen.start, shape, images)
    codes, rows = [], []
    with torch.no_grad():
        canvas, atoms = geometry.canvas(images.detach()), dictionary.detach()
        problem = Problem.of(canvas[:1], atoms, stride=stride, threshold=rule)
        for place in range(len(images)):
            own = replace(problem, canvas=canvas[place])
            begin = None if chosen.start is None else chosen.start[place].detach()
            solved = _SOLVERS[chosen.name](own, chosen, begin)
            codes.append(solved.code)
            rows.append(_row(own, solved, chosen.tolerance))
    code = torch.stack(codes) if codes else images.new_zeros(shape)
    return code, _info(rows, chosen.name)


def decode(code: Tensor, dictionary: Tensor, *, stride: int = STRIDE, border: Border = "mirror") -> Tensor:
    """The images that codes stand for; differentiable in both.

    Args:
        code: ``[N, M, h, w]``.
        dictionary: atoms ``[M, C, K, K]``.
        stride, border: those of ``encode``.

    Returns:
        Images ``[N, C, H, W]``, without the mirrored border.

    Raises:
        UsageError: shapes or types that do not fit.
    """
    _check_dictionary(dictionary)
    if code.ndim != 4 or code.shape[1] != len(dictionary):
        raise UsageError(
            "a code does not fit its dictionary", value=tuple(code.shape), allowed=f"[N, {len(dictionary)}, h, w]"
        )
    _check_same(code, dictionary, "code")
    geometry = Geometry(dictionary.shape[-1], stride, border)
    made = synthesise(code, synthesis_kernel(dictionary, stride), stride=stride, side=geometry.kernel)
    return geometry.crop(made)


def standardise(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each image with mean 0 and standard deviation 1 over all its values, its mean and its deviation ``[N, 1, 1, 1]``.

    A flat image becomes zeros with deviation 1; its code is empty, and ``Info.empty`` says so.
    """
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    centred = images - mean
    deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    flat = deviation <= 10 * torch.finfo(images.dtype).eps * mean.abs()
    deviation = torch.where(flat, torch.ones_like(deviation), deviation)
    return torch.where(flat, torch.zeros_like(centred), centred / deviation), mean, deviation


def _ready(solver: Solver, device: torch.device, threshold: Threshold) -> Solver:
    """The solver with ``fast`` replaced by the one that can run."""
    if solver.name != "fast":
        return solver
    return replace(solver, name="working_set" if available(device) or not threshold.convex else "fista")


def _geometry(images: Tensor, dictionary: Tensor, stride: int, border: Border) -> Geometry:
    """Checks images and dictionary, and says how they lie."""
    _check_dictionary(dictionary)
    if images.ndim != 4 or images.shape[1] != dictionary.shape[1]:
        raise UsageError(
            "images do not fit the dictionary",
            value=tuple(images.shape),
            allowed=f"[N, {dictionary.shape[1]}, H, W]",
        )
    _check_same(images, dictionary, "images")
    if not bool(torch.isfinite(images).all()):
        place = int((~torch.isfinite(images)).flatten(1).any(1).nonzero()[0])
        raise UsageError("an image holds NaN or infinite values", value=f"image {place}", next_step="leave it out")
    lengths = torch.linalg.vector_norm(dictionary.detach().flatten(1), dim=1)
    off = (lengths - 1).abs()
    if not bool((off <= _LENGTH).all()):
        place = int((~(off <= _LENGTH)).nonzero()[0])
        raise UsageError(
            "an atom's length is not 1",
            value=f"atom {place}, length {float(lengths[place]):.4g}",
            allowed="atoms of length 1",
            next_step="give unit_norm(dictionary)",
        )
    return Geometry(dictionary.shape[-1], stride, border)


def _check_dictionary(dictionary: Tensor) -> None:
    if dictionary.ndim != 4 or 0 in dictionary.shape or dictionary.shape[2] != dictionary.shape[3]:
        raise UsageError("not a dictionary", value=tuple(dictionary.shape), allowed="[atoms, channels, K, K], none 0")


def _check_same(given: Tensor, dictionary: Tensor, thing: str) -> None:
    if given.dtype not in (torch.float32, torch.float64) or given.dtype != dictionary.dtype:
        raise UsageError(
            f"the types of {thing} and dictionary",
            value=f"{given.dtype} and {dictionary.dtype}",
            allowed="both float32 or both float64",
        )
    if given.device != dictionary.device:
        raise UsageError(
            f"{thing} and dictionary are on two devices",
            value=f"{given.device} and {dictionary.device}",
            next_step="move one of them with .to(device)",
        )


def _check_start(start: Tensor | None, shape: tuple[int, ...], images: Tensor) -> None:
    if start is None:
        return
    if tuple(start.shape) != shape or start.dtype != images.dtype or start.device != images.device:
        raise UsageError(
            "a start does not fit the images",
            value=f"{tuple(start.shape)}, {start.dtype}, {start.device}",
            allowed=f"{shape}, {images.dtype}, {images.device}",
        )
    if not bool(torch.isfinite(start).all()) or bool((start < 0).any()):
        raise UsageError("a start holds values that no code has", allowed="finite values of at least 0")


def _row(problem: Problem, solved: Solved, tolerance: float) -> tuple[float, float, int, int, bool, float, float]:
    energy = 0.5 * float(solved.residual.double().square().sum()) + problem.threshold.penalty(solved.code)
    active, scale = int(torch.count_nonzero(solved.code)), problem.scale()
    off = solved.violation / scale
    sparsity = 1 - active / solved.code.numel()
    done = solved.violation <= tolerance * scale
    return energy, sparsity, active, solved.iterations, done, off, _gap(problem, solved, energy)


def _gap(problem: Problem, solved: Solved, energy: float) -> float:
    """From the residual, shortened until no atom correlates with it beyond the threshold: a feasible dual point."""
    if not problem.threshold.convex:
        return float("nan")
    left, whole = solved.residual.double(), problem.canvas.double()
    square = float(left.square().sum())
    if square == 0 or energy == 0:
        return 0.0
    best = float((whole * left).sum()) / square
    allowed = problem.threshold.size / solved.correlation if solved.correlation > 0 else float("inf")
    share = max(0.0, min(best, allowed))
    bound = 0.5 * float(whole.square().sum()) - 0.5 * float((whole - share * left).square().sum())
    return max(0.0, energy - bound) / energy


def _info(rows: list[tuple[float, float, int, int, bool, float, float]], name: str) -> Info:
    columns = list(zip(*rows, strict=True)) or [()] * 7
    kinds = (torch.float64, torch.float64, torch.int64, torch.int64, torch.bool, torch.float64, torch.float64)
    energy, sparsity, active, iterations, done, off, gap = (
        torch.tensor(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)
    )
    return Info(energy, sparsity, active, iterations, done, off, gap, name)
