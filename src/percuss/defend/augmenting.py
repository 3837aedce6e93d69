"""Defences that change the training images once, before the training, and then train as usual (Avramidis et al.)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from percuss.attacks.eval_mode import device_of, frozen
from percuss.attacks.measured import refuse_breach
from percuss.attacks.pixels import mean_absolute_error
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import Budget, Norm
from percuss.core.dense import cross_entropy
from percuss.core.images import Tensors
from percuss.core.model import Model
from percuss.core.norms import distance
from percuss.defend.hardening import Checked, Ground, Hardening
from percuss.defend.recipe import Done, Turn

#: Images of a target and a batch, changed.
Make = Callable[[Target, Batch], Tensor]


class Augmented(Checked):
    """Settings of every such defence.

    Attributes:
        protocol: ``corrected`` keeps every change within the budget; ``paper`` makes the images as published.
    """

    protocol: Literal["corrected", "paper"] = "corrected"


@dataclass(frozen=True)
class Method:
    """One way to change images, and everything that decides what comes out for a model and an image.

    Attributes:
        name: ``layered`` or ``hypothesis``.
        settings: as they take effect, none left open.
        budget: what no change may leave; the norm none for no ball.
        make: changes images.
    """

    name: str
    settings: dict[str, Any]
    budget: Budget
    make: Make


@dataclass(frozen=True)
class Made:
    """Changed images, float32 ``[n, C, H, W]`` on the CPU, and what is recorded of each.

    ``rows``: id, size of the change (``linf``, ``l2``), and mean cross-entropy of the pixels (``loss_``) and mean
    absolute error of the softmax (``mae_``) against the truth, ``before`` and ``after``.
    """

    images: Tensor
    rows: list[dict[str, Any]]


class Augmenting(Hardening):
    """A defence whose training images are made from a given model before the training begins.

    The training itself is plain. It is judged, and its best epoch chosen, as that of every defence.
    """

    settings: Augmented
    tasks = ("segment",)
    #: Whether the images as they are stay in the set.
    keeps_plain: ClassVar[bool] = False

    def __init__(self, settings: Augmented, ground: Ground) -> None:
        super().__init__(settings, ground)
        self._changed: frozenset[str] = frozenset()

    @abstractmethod
    def methods(self, classes: int) -> tuple[Method, ...]:
        """How the training images are changed, for a model with so many classes."""

    def epochs(self, asked: int) -> int:
        """How many epochs are trained where so many were asked for."""
        return asked

    def joined(self, plain: Tensors, sets: Mapping[str, Tensor]) -> Tensors:
        """The training set of the plain images and those of each method; changed ones have ``id|method`` as ids."""
        names = [name for method in sets for name in _ids(plain, method)]
        self._changed = frozenset(names)
        copies = len(sets) + self.keeps_plain
        first = [plain.images] if self.keeps_plain else []
        return Tensors(
            ids=[*(plain.ids if self.keeps_plain else ()), *names],
            images=torch.cat([*first, *sets.values()]),
            targets=torch.cat([plain.targets] * copies),
            groups=plain.groups * copies,
            range=plain.range,
            bad=plain.bad,
            instances=None if plain.instances is None else torch.cat([plain.instances] * copies),
        )

    def turn(self, turn: Turn) -> Done:
        """Learn from one batch; changed images count as attacked."""
        done, changed = super().turn(turn), sum(name in self._changed for name in turn.ids)
        return Done(done.loss, done.clean - changed, changed)


def changed(method: Method, model: Model, part: Tensors, *, rows: Sequence[int]) -> Made:
    """Some images of a set, changed and measured; on the model's device, the model frozen and in eval mode.

    AttackError where a change leaves its budget or the range of the pixels.
    """
    place, device = list(rows), device_of(model)
    images, truth = part.images[place].to(device), part.targets[place].to(device)
    ids = [part.ids[row] for row in place]
    with frozen(model):
        batch = Batch(images.clone(), truth)
        found = method.make(Target(model, batch, Goal(early_stop=False, keep="last"), pixels=part.range), batch)
        found = found.detach()
        shape = tuple(images.shape[1:])
        eps = method.budget.eps(shape, part.range)
        refuse_breach(images, found, budget=method.budget, eps=eps, who=(method.name, ids))
        columns = {norm.value: distance(norm, found - images) for norm in (Norm.LINF, Norm.L2)}
        for when, shown in (("before", images), ("after", found)):
            with torch.no_grad():
                logits = model(shown).double()
            columns |= {f"loss_{when}": cross_entropy(logits, truth), f"mae_{when}": mean_absolute_error(logits, truth)}
    values = {name: column.tolist() for name, column in columns.items()}
    told = [{"id": name} | {key: values[key][row] for key in values} for row, name in enumerate(ids)]
    return Made(found.cpu().contiguous(), told)


def ball(ground: Ground) -> Budget:
    """The ball of a defence as a budget."""
    return Budget(ground.norm, ground.eps, "unit", f"{ground.norm.value}={ground.eps:.6g}")


def _ids(plain: Tensors, method: str) -> list[str]:
    return [f"{name}|{method}" for name in plain.ids]
