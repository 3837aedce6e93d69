"""Norms as data: distance, exact projection onto ball and box, best change for a linear loss, random start.

Everything works per image: row i of a result depends on row i of the inputs alone, and scales of gradients
do not matter. Shapes: changes, gradients and rooms are ``[N, C, H, W]``; ``low <= 0 <= high`` is the room
each value has (``low = -images``, ``high = 1 - images`` for pixels in [0, 1]). Sizes: linf, l2, l1 in
[0, 1] units, l0 the share of pixels (all channels of a position count as one), none takes no size. A size is one
number for all images, or one per image ``[N]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.core.budget import Norm
from percuss.core.seeds import ImageRandom

_ROUNDS = 100  # the active sets below settle in a few rounds; this only bounds the loop


Size = float | Tensor


@dataclass(frozen=True)
class Room:
    """How far each value may go down (``low <= 0``) and up (``high >= 0``), both ``[N, C, H, W]``."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, images: Tensor, region: Tensor | None = None) -> Room:
        """Room of pixels in [0, 1]; none outside ``region``, bool ``[N, H, W]``, where there is one."""
        if region is None:
            return cls(-images, 1 - images)
        inside = region.unsqueeze(1)
        return cls(-images * inside, (1 - images) * inside)

    def clip(self, change: Tensor) -> Tensor:
        """The change, cut to the room."""
        return torch.minimum(torch.maximum(change, self.low), self.high)

    def corner(self, gradient: Tensor) -> Tensor:
        """The end of the room that the gradient points to; 0 where the gradient is 0."""
        zero = gradient.new_zeros(())
        return torch.where(gradient > 0, self.high, torch.where(gradient < 0, self.low, zero))

    def rows(self, index: Tensor) -> Room:
        """The room of some images."""
        return Room(self.low[index], self.high[index])


def distance(norm: Norm, change: Tensor) -> Tensor:
    """Size of each change, float64 ``[N]``; for the norm none the largest absolute change."""
    flat = change.flatten(1)
    if norm is Norm.L2:
        return flat.double().square().sum(1).sqrt()
    if norm is Norm.L1:
        return flat.double().abs().sum(1)
    if norm is Norm.L0:
        return (change != 0).any(1).flatten(1).double().mean(1)
    return flat.abs().amax(1).double()


def project(norm: Norm, change: Tensor, eps: Size, room: Room) -> Tensor:
    """The nearest change (Euclidean) within both the ball of size ``eps`` and the room."""
    return _PROJECTIONS[norm](change, eps, room)


def maximiser(norm: Norm, gradient: Tensor, eps: Size, room: Room) -> Tensor:
    """The change within ball and room that raises a linear loss with this gradient most; 0 for a zero gradient."""
    return _MAXIMISERS[norm](gradient, eps, room)


def steepest(norm: Norm, gradient: Tensor) -> Tensor:
    """Direction of the steepest ascent, of unit size: sign for linf, Euclidean unit for the others (none: unit rms)."""
    if norm is Norm.LINF:
        return gradient.sign()
    scaled = _unit_peak(gradient)
    length = _column(scaled.flatten(1).norm(dim=1)).clamp_min(0.5)  # at least 1 unless the gradient is zero
    size = math.sqrt(gradient[0].numel()) if norm is Norm.NONE else 1.0
    return scaled * (size / length)


def random_start(norm: Norm, eps: Size, room: Room, rng: ImageRandom) -> Tensor:
    """A random change: uniform in the ball, then projected onto the room.

    linf: each value uniform in ``[-eps, eps]``. l2, l1: uniform in the ball. l0: a uniformly drawn set of
    pixels, each value uniform in its room. none: normal noise of rms 1/255.
    """
    shape = room.low.shape[1:]
    return project(norm, _STARTS[norm](shape, eps, room, rng).to(room.low.device), eps, room)


def pixels_allowed(share: Size, change: Tensor) -> Tensor:
    """How many pixels a share allows, long ``[N]``: ``floor(share * height * width)``."""
    pixels = math.prod(change.shape[2:])
    return (_each(share, change) * pixels + 1e-9).floor().clamp_max(pixels).long()


def _each(size: Size, like: Tensor) -> Tensor:
    """The size of each image, float64 ``[N]``."""
    return torch.as_tensor(size, dtype=torch.float64, device=like.device).expand(len(like))


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _unit_peak(gradient: Tensor) -> Tensor:
    """Each image's gradient over its largest absolute value, so that no scale is too small (zero stays zero)."""
    peak = gradient.flatten(1).abs().amax(1)
    return gradient / _column(torch.where(peak > 0, peak, torch.ones_like(peak)))


def _project_linf(change: Tensor, eps: Size, room: Room) -> Tensor:
    most = _column(_each(eps, change)).to(change.dtype)
    return room.clip(torch.minimum(torch.maximum(change, -most), most))


def _project_none(change: Tensor, eps: Size, room: Room) -> Tensor:
    return room.clip(change)


def _project_l2(change: Tensor, eps: Size, room: Room) -> Tensor:
    inside = room.clip(change)
    size = inside.flatten(1).norm(dim=1)
    return inside if bool((size <= _each(eps, change)).all()) else _fill_l2(change, inside, eps, room, limit=1.0)


def _fill_l2(direction: Tensor, corner: Tensor, eps: Size, room: Room, *, limit: float) -> Tensor:
    """``clip(t * direction)`` with the largest ``t <= limit`` that stays in the ball; ``corner`` where all fits.

    The size grows with t. For the values now at their ends, t follows in closed form from the rest; it only
    grows from round to round and never beyond the answer, so the rounds end exactly, and early ends are safe.
    """
    eps = _each(eps, direction)
    fits = corner.flatten(1).norm(dim=1) <= eps
    squares = direction.flatten(1).square()
    whole = squares.sum(1, dtype=torch.float64)
    scale = (eps / whole.clamp_min(1e-300).sqrt()).clamp_max(limit)
    for _ in range(_ROUNDS):
        moved = direction * _column(scale).to(direction.dtype)
        clipped = room.clip(moved)
        bound = (clipped != moved).flatten(1)
        spent = clipped.flatten(1).square().masked_fill(~bound, 0).sum(1, dtype=torch.float64)
        free = squares.masked_fill(bound, 0).sum(1, dtype=torch.float64)
        better = ((eps**2 - spent).clamp_min(0) / free.clamp_min(1e-300)).sqrt().clamp_max(min(limit, 1e30))
        grow = ~fits & bound.any(1) & (free > 0) & (better > scale * (1 + 1e-6))
        if not bool(grow.any()):
            break
        scale = torch.where(grow, better, scale)
    return torch.where(_column(fits), corner, room.clip(direction * _column(scale).to(direction.dtype)))


def _project_l1(change: Tensor, eps: Size, room: Room) -> Tensor:
    inside = room.clip(change)
    fits = inside.flatten(1).double().abs().sum(1) <= _each(eps, change)
    if bool(fits.all()):
        return inside
    cut = _column(_soft_cut(change, eps, room))
    soft = room.clip(change.sign() * (change.abs().double() - cut).clamp_min(0).to(change.dtype))
    return torch.where(_column(fits), inside, soft)


def _soft_cut(change: Tensor, eps: Size, room: Room) -> Tensor:
    """The cut mu with ``sum |clip(soft(change, mu))| = eps``, by walking the sorted corners of that sum."""
    limit = _each(eps, change).unsqueeze(1)
    size = change.flatten(1).double().abs()
    reach = torch.where(change > 0, room.high, -room.low).flatten(1).double()
    corners = torch.cat([size, (size - reach).clamp_min(0)], dim=1)
    signs = torch.cat([torch.ones_like(size), -torch.ones_like(size)], dim=1)
    corners, order = corners.sort(dim=1, descending=True)
    signs = signs.gather(1, order)
    slope, height = signs.cumsum(1), (signs * corners).cumsum(1)
    reached = height - slope * corners >= limit
    first = torch.where(reached.any(1), reached.int().argmax(1), torch.full_like(order[:, 0], corners.shape[1]))
    before = (first - 1).clamp_min(0).unsqueeze(1)
    cut = (height.gather(1, before) - limit) / slope.gather(1, before).clamp_min(1)
    return cut.squeeze(1).clamp_min(0)


def _keep_pixels(change: Tensor, gain: Tensor, share: Size) -> Tensor:
    """The change on the pixels of largest gain ``[N, H, W]``; 0 elsewhere."""
    counts = pixels_allowed(share, change)
    most = int(counts.max()) if len(counts) else 0
    chosen = gain.flatten(1).topk(most, dim=1).indices
    within = torch.arange(most, device=gain.device) < counts.unsqueeze(1)
    kept = torch.zeros_like(gain.flatten(1), dtype=torch.bool).scatter_(1, chosen, within)
    return change * kept.view_as(gain).unsqueeze(1)


def _project_l0(change: Tensor, eps: Size, room: Room) -> Tensor:
    inside = room.clip(change)
    return _keep_pixels(inside, (change.square() - (change - inside).square()).sum(1), eps)


def _best_linf(gradient: Tensor, eps: Size, room: Room) -> Tensor:
    return room.clip(gradient.sign() * _column(_each(eps, gradient)).to(gradient.dtype))


def _best_none(gradient: Tensor, eps: Size, room: Room) -> Tensor:
    return room.corner(gradient)


def _best_l2(gradient: Tensor, eps: Size, room: Room) -> Tensor:
    return _fill_l2(_unit_peak(gradient), room.corner(gradient), eps, room, limit=math.inf)


def _best_l1(gradient: Tensor, eps: Size, room: Room) -> Tensor:
    """Spends the size on the values of largest gradient, each to the end of its room."""
    corner = room.corner(gradient).flatten(1)
    gain = gradient.flatten(1).abs().masked_fill(corner == 0, 0)
    values, eps = gain.shape[1], _each(eps, gradient).unsqueeze(1)
    count = min(values, 64 + 4 * math.ceil(min(float(eps.max()) if len(eps) else 0.0, values)))
    while True:
        index = gain.topk(count, dim=1).indices
        reach = corner.gather(1, index).double()
        before = reach.abs().cumsum(1) - reach.abs()
        if count == values or bool((before[:, -1:] >= eps).all()):
            break
        count = min(values, count * 8)
    spent = torch.minimum(reach.abs(), (eps - before).clamp_min(0)) * reach.sign()
    return torch.zeros_like(corner).scatter_(1, index, spent.to(corner.dtype)).view_as(gradient)


def _best_l0(gradient: Tensor, eps: Size, room: Room) -> Tensor:
    corner = room.corner(gradient)
    return _keep_pixels(corner, (_unit_peak(gradient) * corner).sum(1), eps)


def _wide(eps: Size) -> Size:
    """Sizes in the shape of draws, which are made on the CPU."""
    return _column(eps.detach().cpu().float()) if isinstance(eps, Tensor) else eps


def _free(room: Room) -> Tensor:
    """1 where a value has any room, 0 else, on the CPU as draws are: no share of a draw is lost outside a region."""
    return (room.high > room.low).cpu().float()


def _start_linf(shape: torch.Size, eps: Size, room: Room, rng: ImageRandom) -> Tensor:
    return rng.uniform(shape, -1, 1) * _wide(eps)


def _start_l2(shape: torch.Size, eps: Size, room: Room, rng: ImageRandom) -> Tensor:
    direction = rng.normal(shape) * _free(room)
    radius = _wide(eps) * rng.uniform((1, 1, 1)) ** (1 / math.prod(shape))
    length = direction.flatten(1).norm(dim=1)
    return direction * (radius / _column(torch.where(length > 0, length, torch.ones_like(length))))


def _start_l1(shape: torch.Size, eps: Size, room: Room, rng: ImageRandom) -> Tensor:
    # Exponential sizes over their sum are uniform on the simplex; one more of them makes the ball's inside.
    size = -rng.uniform(shape).clamp_min(1e-12).log() * _free(room)
    extra = -rng.uniform((1, 1, 1)).clamp_min(1e-12).log()
    sign = rng.uniform(shape, -1, 1).sign()
    return sign * size * (_wide(eps) / (size.sum((1, 2, 3), keepdim=True) + extra))


def _start_l0(shape: torch.Size, eps: Size, room: Room, rng: ImageRandom) -> Tensor:
    share = rng.uniform(shape).to(room.low.device)
    values = room.low + (room.high - room.low) * share
    order = rng.uniform(shape[1:]) * _free(room).amax(1)
    return _keep_pixels(values, order.to(room.low.device), eps)


def _start_none(shape: torch.Size, eps: Size, room: Room, rng: ImageRandom) -> Tensor:
    return rng.normal(shape) / 255


_Step = Callable[[Tensor, Size, Room], Tensor]
_PROJECTIONS: dict[Norm, _Step] = {
    Norm.LINF: _project_linf,
    Norm.L2: _project_l2,
    Norm.L1: _project_l1,
    Norm.L0: _project_l0,
    Norm.NONE: _project_none,
}
_MAXIMISERS: dict[Norm, _Step] = {
    Norm.LINF: _best_linf,
    Norm.L2: _best_l2,
    Norm.L1: _best_l1,
    Norm.L0: _best_l0,
    Norm.NONE: _best_none,
}
_STARTS: dict[Norm, Callable[[torch.Size, Size, Room, ImageRandom], Tensor]] = {
    Norm.LINF: _start_linf,
    Norm.L2: _start_l2,
    Norm.L1: _start_l1,
    Norm.L0: _start_l0,
    Norm.NONE: _start_none,
}
