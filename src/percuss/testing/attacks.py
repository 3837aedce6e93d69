"""The contract of an attack; run it on your own with ``check_attack(function)``."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from percuss.attacks.engine import run_attack, tasks_of
from percuss.attacks.job import Swept
from percuss.attacks.measured import refuse_breach
from percuss.attacks.target import Attempt, Batch, Goal, Target
from percuss.core import catalogue
from percuss.core.budget import Budget, Norm, parse_budget
from percuss.core.errors import NoGradientError
from percuss.core.images import DENSE, PixelRange, Tensors
from percuss.core.model import Model
from percuss.core.seeds import ImageRandom
from percuss.testing.codes import PatchCode
from percuss.testing.exact import KINDS, Kind, examples, linear_model

Attack = Callable[..., Any]
BUDGETS = ("linf=0.02", "l2=0.3", "l1=2", "l0=10%", "none")


def check_attack(
    attack: str | Attack, budgets: tuple[str, ...] = BUDGETS, *, settings: dict[str, Any] | None = None
) -> None:
    """Run every check on an attack, by name or as a function, for each task that its file's ``TASKS`` allow.

    Args:
        attack: ``name(target, batch, budget, *, rng, ...) -> Attempt``.
        budgets: what it is tried within; those of norms that the attack's file leaves out of ``NORMS`` are passed over.
        settings: of the attack's own, for all checks.

    Raises:
        AssertionError: naming the broken promise. AttackError, ModelError: from the engine.
    """
    function = catalogue.function("attacks", attack) if isinstance(attack, str) else attack
    check_signature(function)
    norms = getattr(sys.modules.get(function.__module__), "NORMS", tuple(Norm))
    function = _set(function, settings) if settings else function
    budgets = tuple(text for text in budgets if parse_budget(text).norm in norms)
    maps = _maps(function)
    wide = "classify" in tasks_of(function)
    within: list[Kind] = [*(KINDS if wide else ()), *maps]
    mixed: list[Kind] = [*(("three",) if wide else ()), *maps]
    for budget in map(parse_budget, budgets):
        for kind in within:
            check_within(function, kind, budget)
        for kind in mixed:
            check_repeats(function, budget, kind)
            check_alone(function, budget, kind)
            check_region(function, budget, kind)
    check_honest(function, budgets[0], "two" if wide else maps[0])
    for kind in mixed:
        check_no_gradient(function, budgets[0], kind)


def _maps(attack: Attack) -> list[Kind]:
    """The maps it is tried on: of pixels, of cells, and those of a network with a code where it needs one."""
    tasks = tasks_of(attack)
    if hasattr(sys.modules.get(attack.__module__), "NEEDS"):
        return ["codes"]
    return [*(("pixels",) if "segment" in tasks else ()), *(("cells",) if "heatmap" in tasks else ())]


def check_signature(attack: Attack) -> None:
    """Takes target, batch, budget and ``rng``, every setting with a default; has a docstring."""
    _hold(bool((attack.__doc__ or "").strip()), "the attack has no docstring, which listings show")
    parameters = inspect.signature(attack).parameters
    _hold(
        list(parameters)[:3] == ["target", "batch", "budget"],
        "the first parameters are not target, batch, budget",
    )
    _hold("rng" in parameters, "the attack takes no rng: all randomness must come from it")
    late = [key for key in list(parameters)[3:] if parameters[key].kind is not inspect.Parameter.KEYWORD_ONLY]
    _hold(not late, f"parameters are not keyword-only: {late}")
    bare = [key for key in list(parameters)[4:] if parameters[key].default is inspect.Parameter.empty and key != "rng"]
    _hold(not bare, f"settings have no default: {bare}")


def check_within(attack: Attack, kind: Kind, budget: Budget) -> None:
    """Stays within budget and range on each image, and changes neither its inputs nor the model."""
    model = linear_model(kind)
    data = examples(model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    clean, targets = data.images.clone(), data.targets.clone()
    batch = Batch(data.images, data.targets)
    target = Target(model, batch, Goal(), pixels=PixelRange())
    found = attack(target, batch, budget, rng=ImageRandom(0, data.ids, "contract"))
    _hold(isinstance(found, Attempt), "the attack does not return an Attempt")
    _hold(torch.equal(batch.images, clean) and torch.equal(batch.targets, targets), "the attack changed its inputs")
    eps = budget.eps(clean.shape[1:])
    refuse_breach(clean, found.images, budget=budget, eps=eps, who=(attack.__name__, data.ids))
    same = all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    _hold(same, "the attack changed the model's parameters")
    _hold(all(p.grad is None for p in model.parameters()), "the attack left gradients on the model's parameters")


def check_repeats(attack: Attack, budget: Budget, kind: Kind = "three") -> None:
    """Equal seeds give equal images, and the attack keeps no state from run to run."""
    model = linear_model(kind)
    data = examples(model)
    first, second = (_run(attack, model, data, budget) for _ in range(2))
    _hold(torch.equal(first.images[budget.text], second.images[budget.text]), "two runs with one seed differ")


def check_alone(attack: Attack, budget: Budget, kind: Kind = "three") -> None:
    """Each image fares the same alone, in another order and in other batches."""
    model = linear_model(kind)
    data = examples(model)
    whole = _run(attack, model, data, budget).images[budget.text]
    for size in (1, 3):
        _near(whole, _run(attack, model, data, budget, size=size).images[budget.text], f"batch size {size}")
    order = list(range(len(data.ids)))[::-1]
    turned = Tensors([data.ids[i] for i in order], data.images[order], data.targets[order], data.groups, data.range)
    _near(whole[order], _run(attack, model, turned, budget).images[budget.text], "another order")


def check_region(attack: Attack, budget: Budget, kind: Kind = "three") -> None:
    """Changes no pixel outside the region of an image, and inside it some of each image that holds it out."""
    model = linear_model(kind)
    data = examples(model)
    region = torch.zeros(len(data.ids), *data.images.shape[2:], dtype=torch.bool)
    side = 3 * model.info.cell
    for i in range(len(region)):  # a place of its own for each image, so that rows cannot be mixed up
        region[i, i % 3 : i % 3 + side, 1 : 1 + side] = True
    batch = Batch(data.images, data.targets, region)
    # The margin of a map moves in steps, so that the clean image may stay the best iterate.
    goal = Goal(early_stop=False, keep="last" if model.task in DENSE else "best")
    target = Target(model, batch, goal, pixels=PixelRange())
    found = attack(target, batch, budget, rng=ImageRandom(0, data.ids, "region")).images
    moved = (found != data.images).any(1)
    _hold(not bool((moved & ~region).any()), "the attack changed pixels outside the region (batch.region)")
    still = int((~moved.flatten(1).any(1)).sum())
    _hold(not still, f"the attack changed nothing inside the region of {still} of {len(moved)} images")


def check_honest(attack: Attack, text: str = "linf=0.1", kind: Kind = "two") -> None:
    """Images wrong from the start are left alone and never count as success."""
    model = linear_model(kind)
    data = examples(model)
    turned = (data.targets + 1) % len(model.classes)
    wrong = Tensors(data.ids, data.images, turned, data.groups, data.range)
    swept = _run(attack, model, wrong, parse_budget(text))
    _hold(not any(row.success or row.success_stored for row in swept.outcomes), "success on an image wrong before")
    _hold(not any(row.model_evaluations for row in swept.outcomes), "images wrong before were attacked")


def check_no_gradient(attack: Attack, text: str = "linf=0.1", kind: Kind = "three") -> None:
    """Where no gradient reaches the input, an attack that asks for one says so and calls no image robust."""
    model = linear_model(kind)
    data = examples(model)
    batch = Batch(data.images, data.targets)
    cut = _CutCode(model.network) if isinstance(model.network, PatchCode) else _Cut(model.network)
    target = Target(Model(cut, model.info), batch, Goal(), pixels=PixelRange())
    try:
        attack(target, batch, parse_budget(text), rng=ImageRandom(0, data.ids, "no gradient"))
    except NoGradientError:
        return
    _hold(
        not bool(target.gradient_evaluations.any()),
        "the attack asked for a gradient where there is none, and went on in silence",
    )


class _Cut(nn.Module):
    """A network cut off from its input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.network(images.detach()))


class _CutCode(_Cut):
    """A network with a code, cut off from its input and its head from the code."""

    def __init__(self, network: PatchCode) -> None:
        super().__init__(network)
        self.gradient, self.gradients, self.rebuild = network.gradient, network.gradients, network.rebuild
        self._own = network

    def code(self, images: torch.Tensor) -> torch.Tensor:
        return self._own.code(images.detach())

    def judge(self, code: torch.Tensor) -> torch.Tensor:
        return self._own.judge(code.detach())


def _set(attack: Attack, settings: dict[str, Any]) -> Attack:
    """The attack with some of its settings given."""

    @functools.wraps(attack)
    def given(*args: Any, **more: Any) -> Any:
        return attack(*args, **(settings | more))

    return given


def _run(attack: Attack, model: Model, data: Tensors, budget: Budget, *, size: int = 32) -> Swept:
    return run_attack(attack, model, data, [budget], seed=3, batch_size=size)


def _near(one: torch.Tensor, other: torch.Tensor, where: str) -> None:
    gap = float((one - other).abs().max())
    _hold(gap <= 1e-5, f"the result depends on batch mates: with {where} values differ by {gap:.3g}")


def _hold(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)
