"""The size of a threshold under which a given share of a sparse code's coefficients is active, found by bisection."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from percuss.core.errors import ModelError
from percuss.models.lca import encode
from percuss.models.lca_geometry import Geometry, correlate
from percuss.models.lca_solvers import Solver
from percuss.models.lca_thresholds import Kind, Threshold

#: Halvings below the size that leaves codes empty, and bisections after them.
_DOWN, _STEPS = 14, 12
#: How near to the wanted share is near enough, as a share of it.
NEAR = 0.03


def threshold_of(kind: Kind, size: float) -> Threshold:
    """A threshold of one size; a firm one's line is as wide as its size."""
    return Threshold(kind, size, size if kind == "firm" else 0.0)


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Args:
        kind: of threshold.
        active: share of coefficients that are not 0, above 0, below 1.
        stride: of the code; borders are mirrored.
        tolerance: of the solver (``percuss.models.lca_solvers.Solver``).
    """

    kind: Kind
    active: float
    stride: int
    tolerance: float = 1e-3


def find_size(images: Tensor, dictionary: Tensor, wanted: Wanted) -> tuple[float, float]:
    """The size of the threshold and the share that is active under it, over all images together.

    From the size that leaves every code empty downwards by halves until enough is active, then bisection in the
    logarithm, until the share is within 3 % of the wanted one; the nearest one seen otherwise.

    Args:
        images: ``[N, C, H, W]``, standardised.
        dictionary: atoms of length 1.
        wanted: what is looked for.

    Raises:
        ModelError: images without anything that the atoms see, or a share that is not reached.
    """
    geometry = Geometry(dictionary.shape[-1], wanted.stride, "mirror")
    size = float(correlate(geometry.canvas(images), dictionary, wanted.stride).max())
    if not size > 0:
        raise ModelError("no atom sees anything in the images", next_step="learn on tiles that are not flat")
    solver, seen = Solver(tolerance=wanted.tolerance), {}

    def share(at: float) -> float:
        rule = threshold_of(wanted.kind, at)
        info = encode(images, dictionary, threshold=rule, stride=wanted.stride, solver=solver)[1]
        seen[at] = 1 - float(info.sparsity.mean())
        return seen[at]

    for _ in range(_DOWN):
        size /= 2
        if share(size) >= wanted.active:
            break
    else:
        raise ModelError(
            "no threshold makes so many coefficients active",
            value=f"{wanted.active:g} wanted, {max(seen.values()):.3g} reached at size {size:.2g}",
            next_step="give a smaller active=, a larger stride= or fewer atoms=",
        )
    low, high = size, 2 * size
    for _ in range(_STEPS):
        best = min(seen, key=lambda at: abs(seen[at] - wanted.active))
        if abs(seen[best] - wanted.active) <= NEAR * wanted.active:
            break
        middle = (low * high) ** 0.5
        if share(middle) >= wanted.active:
            low = middle
        else:
            high = middle
    best = min(seen, key=lambda at: abs(seen[at] - wanted.active))
    return best, seen[best]
