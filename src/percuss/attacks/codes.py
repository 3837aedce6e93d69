"""What attacks on the code of an image share: the network asked for one, its head's gradient, changes at their size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from percuss.attacks.keeper import Keeper
from percuss.attacks.target import Attempt, Batch, Target, no_gradient
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.latent import Coder, SparseCoder
from percuss.core.model import wide_logits
from percuss.core.norms import distance, maximiser

#: Values of codes held at once; more images than fit are attacked one after the other.
_HELD = 2**25
#: How the note of an image ends whose code has no active unit.
EMPTY_CODE = "no active unit in the code to attack: left unchanged"


def coder_of(target: Target, who: str) -> Coder:
    """The network under attack, which judges a code; AttackError where it has none."""
    network: object = target.model.network
    if not isinstance(network, Coder):
        raise _without(
            target, who, "a network with a code of the image (code, judge and rebuild of percuss.core.latent)"
        )
    return network


def sparse_coder_of(target: Target, who: str) -> SparseCoder:
    """The network under attack, whose code has several gradients; AttackError where it has none such."""
    network: object = target.model.network
    if not isinstance(network, SparseCoder):
        raise _without(target, who, "a network with a sparse code (gradients(mode) of percuss.core.latent.SparseCoder)")
    return network


def _without(target: Target, who: str, wanted: str) -> AttackError:
    return AttackError(
        f"the attack {who} does not fit this model",
        value=f"{target.model.info.spec}, a {type(target.model.network).__name__}",
        allowed=wanted,
        next_step="pgd, apgd and rescaled_fgsm attack every model; percuss:sparse_detector has a sparse code",
    )


def only_l2(budget: Budget, who: str) -> None:
    """AttackError where the budget is of another norm than l2."""
    if budget.norm is not Norm.L2:
        raise AttackError(
            f"the attack {who} does not know this norm",
            value=budget.norm.value,
            allowed="l2: its change is brought to a Euclidean length at the end",
            next_step="give a budget such as l2=25, or use pgd, which knows every norm",
        )


def counted(name: str, number: int) -> None:
    """AttackError where a setting that counts something is below 1."""
    if number < 1:
        raise AttackError(f"the setting {name} is too small", value=number, allowed="1 or more")


@contextmanager
def through(target: Target, who: str, mode: str, **settings: Any) -> Iterator[SparseCoder]:
    """Within, gradients through the code are made this way; settings that are None are left to the network."""
    network = sparse_coder_of(target, who)
    with network.gradients(mode, **{key: value for key, value in settings.items() if value is not None}):
        yield network


@dataclass(frozen=True)
class Coded:
    """Some rows of a batch with their codes ``[n, M, h, w]``, and which units may change, bool alike."""

    rows: Tensor
    clean: Tensor
    code: Tensor
    active: Tensor

    def keep(self, left: Tensor) -> Coded:
        """The rows where ``left``."""
        return Coded(self.rows[left], self.clean[left], self.code[left], self.active[left])


#: Another code for each image, from the codes they have.
Way = Callable[[Coded], Tensor]


def search(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    ways: Sequence[Way],
    ids: Sequence[str],
    turn: float = 1.0,
) -> tuple[Attempt, list[list[float]]]:
    """Try other codes of each image: rebuilt as a change, brought to the l2 budget, encoded anew and judged.

    Args:
        target, batch, budget: as for every attack; a network with a code, l2.
        ways: what is tried in turn; the best image is kept. Images without an active unit stay as they are.
        ids: of the images.
        turn: factor on every change.

    Returns:
        The best images, with a note for each that has no active unit, and for each way the lengths of the changes
        before they were brought to size.
    """
    coder, keeper = coder_of(target, "on codes"), Keeper(target, batch, budget)
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    natives, notes = [list[float]() for _ in ways], list[str]()
    for coded in _encoded(target, coder, batch):
        some = coded.active.flatten(1).any(1)
        notes += [f"{ids[row]}: {EMPTY_CODE}" for row in coded.rows[~some].tolist()]
        open_rows = coded.keep(some)
        for way, native in zip(ways, natives, strict=True):
            if not len(open_rows.rows):
                break
            change = turn * _rebuilt_change(coder, way(open_rows), open_rows)
            native.extend(distance(Norm.L2, change).tolist())
            images = at_size(change, eps, batch=batch, rows=open_rows.rows)
            logits = target.logits(images, open_rows.rows) if keeper.looks else images.new_zeros(0)
            open_rows = open_rows.keep(~keeper.see(open_rows.rows, images, logits))
    return Attempt(keeper.attempt().images, tuple(notes)), natives


def _encoded(target: Target, coder: Coder, batch: Batch) -> Iterator[Coded]:
    """The batch with its codes, some images at a time so that few codes are held at once."""
    rows, size = torch.arange(len(batch.images), device=batch.images.device), 1
    while len(rows):
        part, rows = rows[:size], rows[size:]
        target.model_evaluations[part.cpu()] += 1
        with torch.no_grad():
            code = coder.code(batch.images[part]).detach()
        size = max(1, _HELD // max(1, code[0].numel()))
        yield Coded(part, batch.images[part], code, active_units(coder, code))


def _rebuilt_change(coder: Coder, code: Tensor, before: Coded) -> Tensor:
    """What a changed code changes in the image: its reconstruction less that of the code before, ``[n, C, H, W]``."""
    with torch.no_grad():
        return coder.rebuild(code, before.clean) - coder.rebuild(before.code, before.clean)


def active_units(coder: Coder, code: Tensor) -> Tensor:
    """The units that may change, bool as the code: those above 0 of a sparse code, all of any other."""
    return code > 0 if isinstance(coder, SparseCoder) else torch.ones_like(code, dtype=torch.bool)


def lowest(code: Tensor) -> Tensor:
    """How far the values of each code may fall, ``[n, 1, 1, 1]``: to 0 where none is below 0, else without end."""
    signed = (code < 0).flatten(1).any(1).view(-1, 1, 1, 1)
    return torch.where(signed, -torch.inf, 0.0).to(code)


def head_gradient(target: Target, coder: Coder, code: Tensor, *, rows: Tensor) -> Tensor:
    """The direction on the codes of these rows along which the head's loss rises; its scale has no meaning.

    Booked as one gradient of each row, although the encoder is not run.
    """
    target.gradient_evaluations[rows.cpu()] += 1
    with torch.enable_grad():
        point = code.detach().requires_grad_(True)
        cells = coder.judge(point)
        if not cells.requires_grad:
            raise no_gradient()
        logits = wide_logits(cells.float())
        (found,) = torch.autograd.grad(logits, point, target.direction(logits.detach(), rows), allow_unused=True)
    if found is None:
        raise no_gradient()
    target.saw_gradient[rows.cpu()] |= (found != 0).flatten(1).any(1).cpu()
    return torch.nan_to_num(found)


def at_size(change: Tensor, eps: float, *, batch: Batch, rows: Tensor) -> Tensor:
    """The images of these rows plus the change, scaled so that after clipping to [0, 1] its length is ``eps``.

    Shorter only where every value that the change moves is at the end of its range; unchanged where the change is 0.
    """
    moved = maximiser(Norm.L2, change, eps, batch.room(rows))  # the longest clip(scale * change) within eps
    return (batch.images[rows] + moved).clamp_(0, 1)
