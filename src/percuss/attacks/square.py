"""Square attack: random squares kept where they help, by logits alone; finds what masked gradients hide."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from percuss.attacks.keeper import Keeper
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.norms import Room, pixels_allowed, project
from percuss.core.seeds import ImageRandom

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of the share of pixels, at these of 10000 queries
_GAIN = 1e-5  # the least gain, over the largest logit, that counts
_DOUBT = 5e-6  # nearer to it than this, batch mates might decide by their rounding: the image is asked about alone
_TILE = 5  # l2 and l1 start with the image tiled by windows of a fifth of its shorter side


@dataclass(frozen=True)
class _Search:
    """Images still searched: rows of the batch, clean images, where they may go, change and margin so far, randomness.

    ``region``, bool ``[N, 1, H, W]``, is where pixels may change; everywhere where None.
    """

    rows: Tensor
    clean: Tensor
    room: Room
    region: Tensor | None
    change: Tensor
    margin: Tensor
    rng: ImageRandom

    def keep(self, left: Tensor) -> _Search:
        """The rows where ``left``."""
        rng = self.rng.subset(left.nonzero().flatten().tolist())
        region, room = None if self.region is None else self.region[left], self.room.rows(left)
        return _Search(self.rows[left], self.clean[left], room, region, self.change[left], self.margin[left], rng)

    def limited(self, change: Tensor) -> Tensor:
        """The change, 0 outside the region."""
        return change if self.region is None else change * self.region


def square(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    queries: int = 1000,
    share: float = 0.8,
) -> Attempt:
    """Random search over squares (Andriushchenko et al. 2020, arXiv 1912.00049); asks for logits only.

    linf (and none, as linf of the whole range): a square of one random corner of the ball per channel. l2 and l1: a
    bump takes the size of another window and what is left of the budget. l0: part of the pixels move elsewhere, each
    at random ends of its range. What raises the margin is kept.

    Args:
        target, batch, budget: as for every attack.
        rng: draws stripes, squares and signs, per image.
        queries: images tried per image, at least 1 (passes on rounded images for the stored check come on top).
        share: of the pixels, that the first squares cover; halved at fixed parts of the queries.

    Raises:
        AttackError: a setting without meaning.
    """
    if queries < 1:
        raise AttackError("the setting queries is too small", value=queries, allowed="1 or more")
    if not 0 < share <= 1:
        raise AttackError("the setting share is no share", value=share, allowed="above 0, at most 1")
    norm, eps = budget.norm, budget.eps(batch.images.shape[1:], target.pixels)
    if norm is Norm.NONE:
        norm, eps = Norm.LINF, 1.0
    keeper, rows = Keeper(target, batch, budget), torch.arange(len(batch.images), device=batch.images.device)
    low = torch.full((len(rows),), -torch.inf, dtype=torch.float64, device=rows.device)
    region, start = None if batch.region is None else batch.region.unsqueeze(1), torch.zeros_like(batch.images)
    search = _Search(rows, batch.images, batch.room(), region, start, low, rng)
    for query in range(queries):
        if not len(search.rows):
            break
        if query == 0:
            change = _begin(norm, eps, search)
        else:
            change = _proposal(norm, eps, search, covered(query - 1, queries, share))
        search = _judge(target, keeper, search, project(norm, change, eps, search.room))
    return keeper.attempt()


def covered(query: int, queries: int, share: float) -> float:
    """The share of pixels that a square covers at a query: halved at fixed parts of all queries."""
    return float(share / 2 ** sum(query * 10000 > at * queries for at in _HALVINGS))


def _judge(target: Target, keeper: Keeper, search: _Search, change: Tensor) -> _Search:
    """Ask for the logits, take what is better, let go what is done."""
    images = (search.clean + change).clamp_(0, 1)
    logits = target.logits(images, search.rows)
    margin = target.margin(logits, search.rows)
    over = (margin - search.margin) / target.scale(logits).clamp_min(1e-30) - _GAIN
    better = over > 0
    for doubtful in (over.abs() < _DOUBT).nonzero().flatten().tolist():
        better[doubtful] = _alone(target, search, images, doubtful)
    if not bool(better.any()):
        return search
    left = torch.ones_like(better)
    left[better] = ~keeper.see(search.rows[better], images[better], logits[better])
    kept = torch.where(better.view(-1, 1, 1, 1), change, search.change)
    search = replace(search, change=kept, margin=torch.where(better, margin, search.margin))
    return search if bool(left.all()) else search.keep(left)


def _alone(target: Target, search: _Search, images: Tensor, at: int) -> Tensor:
    """Whether one image is better, by passes without batch mates."""
    row, now = search.rows[at : at + 1], (search.clean[at] + search.change[at]).clamp(0, 1).unsqueeze(0)
    after, before = target.logits(images[at : at + 1], row), target.logits(now, row)
    return target.margin(after, row) - target.margin(before, row) > _GAIN * after.abs().amax()


def _begin(norm: Norm, eps: float, search: _Search) -> Tensor:
    clean = search.clean
    channels, height, width = clean.shape[1:]
    if norm is Norm.LINF:  # vertical stripes
        return _signs(search.rng.uniform((channels, 1, width)), clean).expand_as(clean) * eps
    if norm is Norm.L0:
        return _scatter(eps, search, 1.0)
    side = max(1, min(height, width) // _TILE)
    high, wide = math.ceil(height / side), math.ceil(width / side)
    tiles = _bump(side).to(clean).repeat(high, wide)[:height, :width]
    signs = _signs(search.rng.uniform((channels, high, wide)), clean)
    signs = signs.repeat_interleave(side, 2).repeat_interleave(side, 3)[:, :, :height, :width]
    return _sized(
        norm, search.limited(signs * tiles), torch.full((len(clean),), eps, dtype=torch.float64, device=clean.device)
    )


def _proposal(norm: Norm, eps: float, search: _Search, share: float) -> Tensor:
    if norm is Norm.L0:
        return _scatter(eps, search, share)
    channels, height, width = search.clean.shape[1:]
    side = max(1, min(round(math.sqrt(share * height * width)), height, width))
    draw = search.rng.uniform((4 + channels,)).to(search.clean.device)
    window = _window(search, draw[:, :2], side)
    signs = _signs(draw[:, 4:], search.clean).view(-1, channels, 1, 1)
    if norm is Norm.LINF:
        return torch.where(window >= 0, _fresh(search, window >= 0, signs, draw[:, 2]) * eps, search.change)
    bump = _bump(side).to(search.clean).flatten()[window.clamp_min(0)] * (window >= 0)
    taken = (window >= 0) | (_window(search, draw[:, 2:4], side) >= 0)
    rest = search.change.masked_fill(taken, 0)
    order = 2 if norm is Norm.L2 else 1
    spent = rest.flatten(1).double().norm(p=order, dim=1)
    free = (eps**order - spent**order).clamp_min(0) ** (1 / order)
    # As in the paper, the window keeps the way its values already lie, beside the new bump.
    old = _sized(norm, search.change * (window >= 0), torch.ones_like(free))
    return rest + _sized(norm, old + _sized(norm, search.limited(signs * bump), torch.ones_like(free)), free)


def _fresh(search: _Search, window: Tensor, signs: Tensor, draw: Tensor) -> Tensor:
    """The signs, one channel of them turned where the window holds just these already: else a query would be lost."""
    same = ((search.change * signs > 0) | ~window).flatten(1).all(1)
    channel = (draw * signs.shape[1]).long().clamp_max(signs.shape[1] - 1).view(-1, 1, 1, 1)
    turned = signs.scatter(1, channel, -signs.gather(1, channel))
    return torch.where(same.view(-1, 1, 1, 1), turned, signs)


def _window(search: _Search, corner: Tensor, side: int) -> Tensor:
    """Place within a square window, -1 outside, ``[N, 1, H, W]``, drawn by ``corner``, uniform ``[N, 2]``.

    Any window within the image; with a region, one around any of its pixels as far as the image allows.
    """
    height, width = search.clean.shape[2:]
    ends = torch.tensor([height - side + 1, width - side + 1], device=corner.device)
    if search.region is None:
        first = torch.minimum((corner * ends).long(), ends - 1)
    else:
        ranks = search.region.flatten(1).cumsum(1)
        wanted = (corner[:, :1] * ranks[:, -1:]).long() + 1
        pixel = torch.searchsorted(ranks, wanted).clamp_max(height * width - 1)
        first = torch.cat([pixel // width, pixel % width], dim=1) - side // 2
        first = torch.minimum(first.clamp_min(0), ends - 1)
    first = first.view(-1, 2, 1, 1)
    down = torch.arange(height, device=corner.device).view(-1, 1) - first[:, :1]
    along = torch.arange(width, device=corner.device) - first[:, 1:]
    inside = ((down >= 0) & (down < side)) & ((along >= 0) & (along < side))
    return (down * side + along).masked_fill_(~inside, -1)


def _bump(side: int) -> Tensor:
    """Two hills side by side, one up and one down, highest in their middle, ``[side, side]``; one value is 1."""
    if side == 1:
        return torch.ones(1, 1)
    half = side // 2
    return torch.cat([_hill(side, half), -_hill(side, side - half)], dim=1)


def _hill(height: int, width: int) -> Tensor:
    """Falls from the middle by rings: the k-th ring inward adds ``1 / (rings + 1 - k)**2``."""
    row = torch.arange(height).minimum(torch.arange(height).flip(0))
    column = torch.arange(width).minimum(torch.arange(width).flip(0))
    ring = torch.minimum(row.view(-1, 1), column.view(1, -1))
    rings = int(ring.max()) + 1
    steps = torch.tensor([1 / (rings - k) ** 2 for k in range(rings)])
    return steps.cumsum(0)[ring]


def _sized(norm: Norm, change: Tensor, size: Tensor) -> Tensor:
    """The change scaled to a size of its norm per image; zero stays zero."""
    length = change.flatten(1).double().norm(p=2 if norm is Norm.L2 else 1, dim=1)
    factor = torch.where(length > 0, size / length.clamp_min(1e-30), torch.zeros_like(length))
    return change * factor.to(change.dtype).view(-1, 1, 1, 1)


def _scatter(eps: float, search: _Search, share: float) -> Tensor:
    """l0: the given share of the allowed pixels moves to others, each value to a random end of its range."""
    clean, (channels, height, width) = search.clean, search.clean.shape[1:]
    allowed = pixels_allowed(eps, clean)
    moving = (share * allowed).ceil().clamp_min(1)
    draw = search.rng.uniform((1 + channels, height, width)).to(clean.device)
    held = (search.change != 0).any(1).flatten(1)
    stays = _drawn(draw[:, 0], held, held.sum(1) - moving)
    others = ~held if search.region is None else ~held & search.region.flatten(1)
    joins = _drawn(draw[:, 0], others, allowed - stays.sum(1))
    shape = (-1, 1, height, width)
    ends = torch.where(draw[:, 1:] < 0.5, -clean, 1 - clean)
    return torch.where(stays.view(shape), search.change, ends * joins.view(shape))


def _drawn(draw: Tensor, among: Tensor, count: Tensor) -> Tensor:
    """The pixels with the highest draws among some, so many of each image, bool ``[N, H * W]``."""
    order = draw.flatten(1).masked_fill(~among, -1).argsort(dim=1, descending=True)
    rank = torch.empty_like(order)
    rank.scatter_(1, order, torch.arange(order.shape[1], device=order.device).expand_as(order))
    return among & (rank < count.unsqueeze(1))


def _signs(draw: Tensor, like: Tensor) -> Tensor:
    """Fair signs from uniform draws."""
    return torch.where(draw < 0.5, -1.0, 1.0).to(like)
