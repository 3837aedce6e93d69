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
from percuss.core.model import Model, wide_logits
from percuss.core.norms import distance, maximiser

#: Values of codes held at once, where images are attacked together.
_HELD = 2**25
#: How the note of an image ends whose code has no active unit.
EMPTY_CODE = "no active unit in the code to attack: left unchanged"


def coder_of(target: Target, who: str) -> Coder:
    """The network under attack, which judges a code; AttackError where it has none."""
    network: object = target.model.network
    if not isinstance(network, Coder):
        raise without(target.model, who, Coder)
    return network


def sparse_coder_of(target: Target, who: str) -> SparseCoder:
    """The network under attack, whose code has several gradients; AttackError where it has none such."""
    network: object = target.model.network
    if not isinstance(network, SparseCoder):
        raise without(target.model, who, SparseCoder)
    return network


def without(model: Model, who: str, needed: type) -> AttackError:
    """The error where an attack needs a Coder or a SparseCoder, and the model's network is none."""
    wanted = "a network with a code of the image (code, judge and rebuild of percuss.core.latent)"
    if needed is SparseCoder:
        wanted = "a network with a sparse code (gradients(mode) of percuss.core.latent.SparseCoder)"
    return AttackError(
        f"the attack {who} does not fit this model",
        value=f"{model.info.spec}, a {type(model.network).__name__}",
        allowed=wanted,
        next_step="pgd, apgd and rescaled_fgsm attack every model; percuss:sparse_detector has a sparse code",
    )


class Watched(Target):
    """A target that counts gradients through a sparse code that did not converge; costs go to the one it is made of."""

    def __init__(self, target: Target, batch: Batch) -> None:
        super().__init__(target.model, batch, target.goal, pixels=target.pixels, slack=target.slack)
        self.gradient_evaluations, self.model_evaluations = target.gradient_evaluations, target.model_evaluations
        self.saw_gradient = target.saw_gradient
        self.seen, self.poor = 0, 0

    def gradient(
        self, images: Tensor, rows: Tensor, *, raw: bool = False, slope: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """As ever; then the network is asked, where it tells, what became of the last image's gradient."""
        found = super().gradient(images, rows, raw=raw, slope=slope)
        backward = getattr(getattr(self.model.network, "info", None), "backward", None)
        converged = getattr(backward, "converged", None)
        if converged is not None:
            self.seen, self.poor = self.seen + 1, self.poor + int(not bool(converged.all()))
        return found

    def notes(self) -> tuple[str, ...]:
        """What the user should know: gradients that did not converge are weak, and make a model look robust."""
        if not self.poor:
            return ()
        text = (
            f"{self.poor} of {self.seen} gradients looked at did not converge, so the attack is weaker than it could be"
        )
        return (f"{text}: more cg_steps",)


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
    """Some images with their codes.

    Attributes:
        rows: their places in the batch, ``[n]``.
        clean: the images ``[n, C, H, W]``.
        active: the units that may change, bool ``[n, M, h, w]``: those above 0 of a sparse code, all of any other.
        values: of these units, image after image, ``[k]``.
        owner: the place among these images of each value, ``[k]``.
    """

    rows: Tensor
    clean: Tensor
    active: Tensor
    values: Tensor
    owner: Tensor

    @classmethod
    def of(cls, rows: Tensor, clean: Tensor, *, code: Tensor, active: Tensor) -> Coded:
        """From whole codes."""
        return cls(rows, clean, active, code[active], active.flatten(1).nonzero()[:, 0])

    @property
    def count(self) -> Tensor:
        """How many units of each image may change, ``[n]``."""
        return torch.bincount(self.owner, minlength=len(self.rows))

    def code(self, values: Tensor) -> Tensor:
        """The whole codes ``[n, M, h, w]`` with other values; differentiable in them."""
        return values.new_zeros(self.active.shape).masked_scatter(self.active, values)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the values of each image, float64 ``[n]``; 0 where it has none."""
        total = torch.zeros(len(self.rows), dtype=torch.float64, device=values.device)
        return total.index_add(0, self.owner, values.double()) / self.count.clamp_min(1)

    @property
    def lowest(self) -> Tensor:
        """How far each value may fall, ``[k]``: to 0 where none of its image is below 0, else without end."""
        signed = self.mean((self.values < 0).to(self.values)) > 0
        return torch.where(signed[self.owner], -torch.inf, 0.0).to(self.values)

    def keep(self, left: Tensor) -> Coded:
        """The images where ``left``."""
        places = left.cumsum(0) - 1
        stay = left[self.owner]
        return Coded(self.rows[left], self.clean[left], self.active[left], self.values[stay], places[self.owner[stay]])


#: Other values of the active units, ``[k]``.
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
    for encoded in _encoded(target, coder, batch):
        coded = encoded.keep(encoded.count > 0)
        notes += [f"{ids[row]}: {EMPTY_CODE}" for row in encoded.rows[encoded.count == 0].tolist()]
        for way, native in zip(ways, natives, strict=True):
            if not len(coded.rows):
                break
            change = turn * (_rebuilt(coder, coded, way(coded)) - _rebuilt(coder, coded, coded.values))
            native.extend(distance(Norm.L2, change).tolist())
            images = at_size(change, eps, batch=batch, rows=coded.rows)
            logits = target.logits(images, coded.rows) if keeper.looks else images.new_zeros(0)
            coded = coded.keep(~keeper.see(coded.rows, images, logits))
    return Attempt(keeper.attempt().images, tuple(notes)), natives


def _encoded(target: Target, coder: Coder, batch: Batch) -> Iterator[Coded]:
    """The batch with its codes: image by image where the head has a way of its own for one, else as many as fit."""
    rows, size = torch.arange(len(batch.images), device=batch.images.device), 1
    while len(rows):
        part, rows = rows[:size], rows[size:]
        target.model_evaluations[part.cpu()] += 1
        with torch.no_grad():
            code = coder.code(batch.images[part]).detach()
        if not hasattr(coder, "judging"):
            size = max(1, _HELD // max(1, code[0].numel()))
        active = code > 0 if isinstance(coder, SparseCoder) else torch.ones_like(code, dtype=torch.bool)
        yield Coded.of(part, batch.images[part], code=code, active=active)


def _rebuilt(coder: Coder, coded: Coded, values: Tensor) -> Tensor:
    with torch.no_grad():
        return coder.rebuild(coded.code(values), coded.clean)


def climb(target: Target, coded: Coded, *, steps: int, length: float, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """Values of the active units after steps up the head's loss, never below the lowest.

    Each step is booked as one gradient, although the encoder is not run.

    Args:
        target: the model under attack; a network with a code.
        coded: the images.
        steps: gradient steps.
        length: factor on each step.
        rule: the step for a gradient ``[k]``, whose scale has no meaning.
    """
    values, lowest, places = coded.values, coded.lowest, coded.rows.cpu()
    judge = _judging(coder_of(target, "on codes"), coded)
    for _ in range(steps):
        with torch.enable_grad():
            point = values.detach().requires_grad_(True)
            cells = judge(point)
            if not cells.requires_grad:
                raise no_gradient()
            logits = wide_logits(cells.float())
            uphill = target.direction(logits.detach(), coded.rows)
            (found,) = torch.autograd.grad(logits, point, uphill, allow_unused=True)
        if found is None:
            raise no_gradient()
        target.gradient_evaluations[places] += 1
        target.saw_gradient[places] |= (coded.mean((found != 0).to(found)) > 0).cpu()
        values = torch.maximum(values + length * rule(torch.nan_to_num(found)), lowest)
    return values


def _judging(coder: Coder, coded: Coded) -> Callable[[Tensor], Tensor]:
    """The head as a function of the active units' values; of one image the network's own way where it has one."""
    own = getattr(coder, "judging", None)
    quick: Callable[[Tensor], Tensor] | None = None
    if own is not None and len(coded.rows) == 1:
        quick = own(coded.active[0])
    return quick or (lambda values: coder.judge(coded.code(values)))


def at_size(change: Tensor, eps: float, *, batch: Batch, rows: Tensor) -> Tensor:
    """The images of these rows plus the change, scaled so that after clipping to [0, 1] its length is ``eps``.

    Shorter only where every value that the change moves is at the end of its range; unchanged where the change is 0.
    """
    moved = maximiser(Norm.L2, change, eps, batch.room(rows))  # the longest clip(scale * change) within eps
    return (batch.images[rows] + moved).clamp_(0, 1)
