"""Somebody else's attack under our engine: any callable, or one of foolbox, torchattacks or adv-lib by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from percuss.attacks.eval_mode import frozen
from percuss.attacks.measured import OVER, breaches
from percuss.attacks.metered import MeteredModel, seeded, weights_mark
from percuss.attacks.target import Attempt, Batch, Goal, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError, PercussError, nearest
from percuss.core.model import out_of_memory
from percuss.core.seeds import ImageRandom, seed_of

LIBRARIES = ("foolbox", "torchattacks", "advlib")
#: How the note of an image ends whose change was refused.
LEFT_OUT = "counted as not flipped"
SOURCES = (*(f"{name}:NAME" for name in LIBRARIES), "factory:MODULE:FUNCTION")


@dataclass(frozen=True)
class Question:
    """What a foreign attack is asked.

    Attributes:
        model: counts its passes; images ``[B, C, H, W]`` in [0, 1] to logits.
        images, targets: copies that the attack may write on, on the model's device.
        norm, eps: the budget; eps in [0, 1] units (l0: share of pixels; none: infinite).
        aim: the wanted class of each image ``[N]``, or None for any wrong decision.
        seed: 0 to 2**32 - 1, for attacks that take one.
    """

    model: MeteredModel
    images: Tensor
    targets: Tensor
    norm: Norm
    eps: float
    aim: Tensor | None
    seed: int


class Foreign:
    """A foreign attack as one of ours: an object to call as ``(target, batch, budget, *, rng, **settings)``.

    What comes back is measured, never clipped: an image outside budget or range, or with NaN, counts as not flipped
    and is named in the notes.

    Args:
        name: what rows and errors call it.
        ask: answers a question with images; takes the settings as keywords.
        own: its settings; those named like a setting of every attack (``Goal``) are ours.
        norms: the norms it works under; None for any.
        labels: whether it can take several labels per image.
        smallest: whether it looks for the smallest change and knows no budget: a larger one is then no fault of its.
    """

    on_own_model = True  # a copy's logits differ a little, and smallest changes end at the very boundary

    def __init__(
        self,
        name: str,
        ask: Callable[..., Any],
        own: list[inspect.Parameter],
        *,
        norms: tuple[Norm, ...] | None = None,
        labels: bool = False,
        smallest: bool = False,
    ) -> None:
        self.__name__, self._ask, self._norms, self._labels, self._smallest = name, ask, norms, labels, smallest
        self.__doc__ = f"The attack {name}, not of Percuss."
        given = [inspect.Parameter(key, inspect.Parameter.POSITIONAL_ONLY) for key in ("target", "batch", "budget")]
        rng = inspect.Parameter("rng", inspect.Parameter.KEYWORD_ONLY)
        together = inspect.Parameter("together", inspect.Parameter.KEYWORD_ONLY, default=False)
        taken = {item.name for item in (*given, rng, together)} | {item.name for item in fields(Goal)}
        late = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own if item.name not in taken]
        self.__signature__ = inspect.Signature([*given, rng, together, *late])

    def __call__(
        self,
        target: Target,
        batch: Batch,
        budget: Budget,
        *,
        rng: ImageRandom,
        together: bool = False,
        **settings: Any,
    ) -> Attempt:
        """Attack the batch.

        Args:
            target, batch, budget, rng: as for every attack.
            together: all images of the batch in one call, which is faster; then what an image gets may depend on its
                mates, and so on the batch size. By default each image is attacked alone.
            settings: of the foreign attack itself.

        Raises:
            AttackError: a goal or norm it cannot have; an error of its own; images of another shape; changed weights.
            NoGradientError: it asks for a gradient that the model cannot give.
        """
        self._refuse(target, budget)
        mark = weights_mark(target.model)
        rows = torch.arange(len(batch.images))
        images = batch.images.clone()
        with frozen(target.model):
            for part in [rows] if together else torch.split(rows, 1):
                images[part] = self._strike(target, batch, budget, (part, rng.subset(part.tolist()), settings))
        if weights_mark(target.model) != mark:
            raise AttackError(
                f"the attack {self.__name__} wrote on the weights of the model, which is no longer the one under audit",
                next_step="load the model anew, and mend the attack",
            )
        return self._kept(target, batch, budget, (images, rng.ids))

    def _strike(
        self, target: Target, batch: Batch, budget: Budget, given: tuple[Tensor, ImageRandom, dict[str, Any]]
    ) -> Tensor:
        rows, rng, settings = given
        clean = batch.images[rows]
        model = MeteredModel(target, rows)
        seed = seed_of("foreign", *rng.uniform((2,)).flatten().tolist()) % 2**32
        aim = target.goal.target
        eps = budget.eps(clean.shape[1:], target.pixels)
        question = Question(model, clean.clone(), batch.targets[rows].clone(), budget.norm, eps, None, seed)
        if isinstance(aim, int):
            question = replace(question, aim=torch.full_like(question.targets, aim))
        try:
            with seeded(seed, clean.device), torch.enable_grad():
                found = self._ask(question, **settings)
        except Exception as error:  # foreign code may raise anything; the user must learn whose it was
            if isinstance(error, PercussError) or out_of_memory(error):
                raise
            raise AttackError(
                f"the attack {self.__name__} failed",
                value=f"{type(error).__name__}: {error}",
                next_step="look into its own documentation; it must work on one image at a time, or with together=True",
            ) from error
        model.settle()
        return self._images(found, clean)

    def _images(self, found: Any, clean: Tensor) -> Tensor:
        if isinstance(found, np.ndarray):
            found = torch.as_tensor(found)
        if not isinstance(found, Tensor) or found.shape != clean.shape or not found.is_floating_point():
            told = f"{tuple(found.shape)} {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
            raise AttackError(
                f"the attack {self.__name__} returned something other than attacked images",
                value=told,
                allowed=f"floating point {tuple(clean.shape)}, one image for each given, in order",
            )
        return found.detach().to(clean)

    def _kept(self, target: Target, batch: Batch, budget: Budget, found: tuple[Tensor, tuple[str, ...]]) -> Attempt:
        """The images; those that break the rules give way to the clean ones, and are named."""
        (images, ids), notes = found, []
        eps = budget.eps(batch.images.shape[1:], target.pixels)
        for bad, fault in breaches(batch.images, images, budget=budget, eps=eps):
            if bool(bad.any()):
                images[bad] = batch.images[bad]
                where = bad.nonzero().flatten().tolist()
                named = ids[where[0]] + (f" and {len(where) - 1} more" if len(where) > 1 else "")
                if not (self._smallest and fault.startswith(OVER)):
                    notes.append(f"the attack {self.__name__} {fault}: image {named}; {LEFT_OUT}")
        return Attempt(images, tuple(notes))

    def _refuse(self, target: Target, budget: Budget) -> None:
        goal, task = target.goal, target.model.task
        if goal.confidence is not None or goal.keep != "best":
            raise AttackError(f"the attack {self.__name__} is not of Percuss and takes no confidence or keep")
        if self._norms is not None and budget.norm not in self._norms:
            raise AttackError(
                f"the attack {self.__name__} does not work under this norm",
                value=budget.text,
                allowed=", ".join(self._norms),
                next_step="name budgets of that norm alone, or another attack",
            )
        if not self._labels and task != "classify":
            raise AttackError(f"the attack {self.__name__} takes one class per image", value=task, allowed="classify")
        if goal.target is not None and task != "classify":
            raise AttackError(f"the attack {self.__name__} takes a target only where images have one class")


def adopt(attack: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """Any callable ``f(model, images, targets, ...) -> images`` as an attack of ours; one of ours stays as it is.

    Args:
        attack: called with a counted model, images ``[N, C, H, W]`` in [0, 1] and targets; by keyword, where it takes
            them, with ``eps`` (float), ``norm`` (``"linf"``...), ``target_classes`` (``[N]``) and ``seed`` (int). Its
            other keywords are settings.
        name: what rows and errors call it; its own name where None.

    Raises:
        AttackError: something that cannot be called so.
    """
    try:
        parameters = list(inspect.signature(attack).parameters.values())
    except (TypeError, ValueError) as error:
        raise _unfit(attack) from error
    if [item.name for item in parameters[:3]] == ["target", "batch", "budget"]:
        return attack
    place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) < 3 or any(item.kind not in place for item in parameters[:3]):
        raise _unfit(attack)
    late = [item for item in parameters[3:] if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
    takes, offered = {item.name for item in late}, ("eps", "norm", "target_classes", "seed")
    title = name or str(getattr(attack, "__name__", type(attack).__name__))

    def ask(question: Question, **settings: Any) -> Any:
        facts = (question.eps, question.norm.value, question.aim, question.seed)
        more = {key: value for key, value in zip(offered, facts, strict=True) if key in takes}
        if question.aim is not None and "target_classes" not in takes:
            raise AttackError(f"the attack {title} takes no target_classes, so it cannot aim at a target")
        return attack(question.model, question.images, question.targets, **more, **settings)

    return Foreign(title, ask, [item for item in late if item.name not in offered], labels=True)


def check_source(name: str) -> None:
    """AttackError unless the text before the colon is a source of foreign attacks."""
    source, _, rest = name.partition(":")
    if source not in (*LIBRARIES, "factory") or not rest:
        raise AttackError("unknown source of attacks", value=name, allowed=", ".join(SOURCES))


def resolve(name: str, *, allow_code: bool = False) -> Callable[..., Any]:
    """The attack named ``foolbox:NAME``, ``torchattacks:NAME``, ``advlib:NAME`` or ``factory:MODULE:FUNCTION``.

    Raises:
        AttackError: unknown source or name; a library that is not installed; a factory without ``allow_code``.
    """
    check_source(name)
    source, _, rest = name.partition(":")
    if source == "factory":
        return adopt(_from_factory(name, rest, allow_code=allow_code), name)
    module = importlib.import_module(f"percuss.attacks.from_{source}")
    found: dict[str, Any] = module.known()
    if rest not in found:
        raise AttackError(
            f"{source} has no such attack",
            value=rest,
            allowed=nearest(rest, found),
            next_step=f"write one of them behind {source}:",
        )
    made: Foreign = module.foreign(name, found[rest])
    return made


def _from_factory(name: str, rest: str, *, allow_code: bool) -> Callable[..., Any]:
    if not allow_code:
        raise AttackError(
            "a factory runs code of its own",
            value=name,
            next_step="give --allow-code (allow_code=True) if you trust it",
        )
    module_name, _, function_name = rest.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise AttackError(
            "the factory cannot be imported",
            value=f"{name} ({error})",
            allowed="factory:MODULE:FUNCTION on the Python path",
            next_step="set PYTHONPATH to the folder that holds the module",
        ) from error
    return found


def _unfit(attack: object) -> AttackError:
    told = getattr(attack, "__name__", type(attack).__name__)
    return AttackError("this is no attack", value=told, allowed="f(model, images, targets, eps=...) -> images")
