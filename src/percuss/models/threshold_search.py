"""The size of a threshold under which a given share of a sparse code's coefficients is active."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from percuss.core.errors import ModelError
from percuss.models.lca import encode
from percuss.models.lca_geometry import Geometry, correlate
from percuss.models.lca_solvers import Solver
from percuss.models.lca_thresholds import Kind, Threshold

#: Halvings below the size that leaves codes empty, and steps between two sizes after them.
_DOWN, _STEPS = 14, 12
#: Looks in a row without more active coefficients after which there will be no more.
_STALLED = 3
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


def find_size(images: Tensor, dictionary: Tensor, wanted: Wanted, *, guess: float | None = None) -> tuple[float, float]:
    """The size of the threshold and the share that is active under it, over all images together.

    From the size that leaves every code empty downwards (or from a guess both ways) until the wanted share lies between
    two sizes, then false position in the logarithms of size and share, until the share is within 3 % of the wanted one;
    the nearest one seen otherwise. Each soft code begins from that of the next larger size.

    Args:
        images: ``[N, C, H, W]``, standardised.
        dictionary: atoms of length 1.
        wanted: what is looked for.
        guess: a size that may be near.

    Raises:
        ModelError: images without anything that the atoms see, or a share that is not reached.
    """
    geometry = Geometry(dictionary.shape[-1], wanted.stride, "mirror")
    top = float(correlate(geometry.canvas(images), dictionary, wanted.stride).max())
    if not top > 0:
        raise ModelError("no atom sees anything in the images", next_step="learn on tiles that are not flat")
    look = _Look(images, dictionary, wanted)
    low, high = _between(look, top, guess)
    weigh_low, weigh_high = 1.0, 1.0
    for _ in range(_STEPS):
        if abs(look.seen[look.best] - wanted.active) <= NEAR * wanted.active:
            break
        middle = _middle(look, low, high, (weigh_low, weigh_high))
        # Where the same end stays twice, what it says counts half (the Illinois rule), or steps would grow small.
        if look.share(middle) >= wanted.active:
            low, weigh_low, weigh_high = middle, 1.0, weigh_high / 2
        else:
            high, weigh_low, weigh_high = middle, weigh_low / 2, 1.0
    return look.best, look.seen[look.best]


@dataclass
class _Look:
    """Shares that were seen, by size, and the codes of a size, to begin others from."""

    images: Tensor
    dictionary: Tensor
    wanted: Wanted
    seen: dict[float, float] = field(default_factory=dict)
    codes: dict[float, Tensor] = field(default_factory=dict)

    @property
    def best(self) -> float:
        return min(self.seen, key=lambda size: abs(self.seen[size] - self.wanted.active))

    def share(self, size: float) -> float:
        wanted = self.wanted
        larger = [other for other in self.codes if other > size]
        start = self.codes[min(larger)] if larger else None
        solver = Solver(tolerance=wanted.tolerance, start=start)
        rule = threshold_of(wanted.kind, size)
        code, info = encode(self.images, self.dictionary, threshold=rule, stride=wanted.stride, solver=solver)
        if rule.convex:
            self.codes = {other: kept for other, kept in self.codes.items() if other == min(larger, default=None)}
            self.codes[size] = code
        self.seen[size] = 1 - float(info.sparsity.mean())
        return self.seen[size]


def _between(look: _Look, top: float, guess: float | None) -> tuple[float, float]:
    """Two sizes: one under which enough is active, and a larger one under which too little is."""
    wanted, factor = look.wanted.active, 2.0 if guess is None else 1.25
    size = top / 2 if guess is None else min(guess, top)
    if look.share(size) < wanted:
        stalled = 0
        for _ in range(_DOWN if guess is None else 3 * _DOWN):
            above, size = size, size / factor
            if look.share(size) >= wanted:
                return size, above
            # A code has no more active coefficients than it needs: below some size their number hardly grows.
            stalled = stalled + 1 if 0 < look.seen[size] <= 1.02 * look.seen[above] else 0
            if stalled == _STALLED:
                break
        raise ModelError(
            "no threshold makes so many coefficients active",
            value=f"{wanted:g} wanted, {max(look.seen.values()):.3g} reached at size {size:.2g}",
            next_step="give a smaller active=, a larger stride= or fewer atoms=",
        )
    while size < top:
        below, size = size, min(size * factor, top)
        if look.share(size) < wanted:
            return below, size
    return below, top


def _middle(look: _Look, low: float, high: float, weigh: tuple[float, float]) -> float:
    """Where a straight line through both, in logarithms, meets the wanted share; never near an end."""
    wanted = look.wanted.active
    if look.seen[high] <= 0:
        return math.sqrt(low * high)
    above, below = weigh[0] * math.log(look.seen[low] / wanted), weigh[1] * math.log(wanted / look.seen[high])
    part = min(max(above / max(above + below, 1e-12), 0.05), 0.95)
    return math.exp(math.log(low) + part * math.log(high / low))
