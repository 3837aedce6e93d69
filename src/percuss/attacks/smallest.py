"""percuss.smallest: the smallest change that flips each image, without a budget, from plain tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from percuss.attacks.engine import check_task, split_settings
from percuss.attacks.eval_mode import frozen
from percuss.attacks.job import Job, choose_search, clean_logits, given_rows, in_chunks
from percuss.attacks.narrow import wrong_share
from percuss.attacks.target import Batch, no_gradient
from percuss.attacks.tensors import ready
from percuss.core import catalogue
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError, nearest
from percuss.core.images import DENSE, PixelRange
from percuss.core.model import is_right
from percuss.core.norms import distance
from percuss.core.seeds import ImageRandom

#: The attack that finds the smallest changes of single decisions under each norm.
AUTO = {Norm.LINF: "fmn", Norm.L2: "fmn", Norm.L1: "fmn", Norm.L0: "sigma_zero"}
ATTACKS = ("auto", "fmn", "ddn", "sigma_zero", "narrow")
#: The one for masks, under every norm.
MASKS = "narrow"


@dataclass(frozen=True)
class Smallest:
    """The smallest change found for each image; each flip is confirmed by the model as given, in float32.

    Attributes:
        norm: how changes are measured.
        attack: the attack that searched.
        sizes: float64 ``[N]`` in [0, 1] units (l0: share of pixels, or of values where values were counted); 0 where
            the image is wrong from the start, infinity where no flip was found.
        images: attacked images ``[N, C, H, W]``, on the device of the clean ones; where none was found, the try that
            came nearest.
        success: bool ``[N]``, right before and wrong after.
        gradient_evaluations, model_evaluations: int64 ``[N]``, what the search of each image cost.
        notes: what the user should know of the search.
    """

    norm: Norm
    attack: str
    sizes: Tensor
    images: Tensor
    success: Tensor
    gradient_evaluations: Tensor
    model_evaluations: Tensor
    notes: tuple[str, ...] = ()


def smallest_change(  # noqa: PLR0913
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    norm: Norm | str,
    *,
    attack: str = "auto",
    seed: int = 0,
    steps: int = 100,
    batch_size: int = 32,
    region: Tensor | None = None,
    **settings: Any,
) -> Smallest:
    """Search the smallest change of each rightly decided image (``docs/attacks/smallest.md``).

    Args:
        model: a Percuss model, or any module from images in [0, 1] to logits.
        images: float32 ``[N, C, H, W]`` in [0, 1].
        targets: class indices ``[N]``, 0/1 labels ``[N, K]``, or class maps ``[N, H, W]``: of heat maps
            of cells, and a map is flipped when its Dice at one half falls below 0.5, which says little of AUC-PR.
        norm: linf, l2, l1 or l0.
        attack: ``fmn``, ``ddn`` (l2), ``sigma_zero`` (l0), for class maps ``narrow``; ``auto``: the best one.
        seed: decides all randomness, with the position of each image.
        steps: gradient evaluations of each image, at most.
        batch_size: images at once; results do not depend on it.
        region: bool ``[H, W]`` or ``[N, H, W]``, where pixels may change; everywhere where None.
        settings: of the attack and of every attack (``target``, ``confidence``, ...); with ``early_stop=False``
            images go through all steps, although nothing smaller has been found for long.

    Raises:
        PercussError: images, targets, norm, attack or settings that cannot be used; a model that cannot be judged.
    """
    one, name = _norm(norm), attack
    if attack not in ATTACKS:
        raise AttackError("unknown attack for smallest changes", value=attack, allowed=nearest(attack, ATTACKS))
    judged, batch = ready(model, images, targets, pixels=settings.pop("pixels", PixelRange()), region=region)
    if attack == "auto":
        name = MASKS if judged.task in DENSE else AUTO[one]
    function = catalogue.function("attacks", name)
    check_task(name, function, judged)
    goal, own = split_settings(name, function, {"steps": steps, **settings})
    budget = Budget(one, math.inf, "share" if one is Norm.L0 else "unit", f"smallest {one}")
    job = Job(name, function, judged, batch, [budget], goal, own, seed, batch_size)
    with frozen(judged):
        return _searched(job, one, images.device)


def _norm(norm: Norm | str) -> Norm:
    known = [item.value for item in AUTO]
    if norm not in known:
        raise AttackError("unknown norm for smallest changes", value=norm, allowed=nearest(str(norm), known))
    return Norm(norm)


def _searched(job: Job, norm: Norm, device: torch.device) -> Smallest:
    batch = job.batch
    clean = clean_logits(job)
    choose_search(job, clean)
    right = ~_wrong(job, clean, batch.targets)
    found, flipped = batch.images.clone(), torch.zeros(len(right), dtype=torch.bool)
    gradients, forwards = (torch.zeros(len(right), dtype=torch.long) for _ in range(2))
    for rows, (attacked, wrong, cost) in in_chunks(job, right.nonzero().flatten().tolist(), _search(job)):
        at = torch.tensor(rows)
        found[at], flipped[at], gradients[at], forwards[at] = attacked, wrong, cost[0], cost[1]
    if job.asked and not job.heard:
        raise no_gradient()
    change = found.double() - batch.images.double()
    sizes = (change != 0).flatten(1).double().mean(1) if job.own.get("count") == "values" else distance(norm, change)
    sizes = torch.where(flipped, sizes, torch.where(right, torch.full_like(sizes, math.inf), torch.zeros_like(sizes)))
    return Smallest(norm, job.name, sizes, found.to(device), flipped, gradients, forwards, tuple(job.notes))


def _search(job: Job) -> Callable[[Sequence[int]], tuple[Tensor, Tensor, tuple[Tensor, Tensor]]]:
    """Work for some rows: attacked images, whether the user's own model decides wrongly on them, and the cost."""

    def work(rows: Sequence[int]) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        given = given_rows(job, rows)
        target = job.target(Batch(given.images.clone(), given.targets, given.region))
        ids = [job.batch.ids[i] for i in rows]
        rng = ImageRandom(job.seed, ids, f"{job.name}|{job.budgets[0].text}")
        limits = Batch(given.images, given.targets, given.region)
        attacked = job.attack(target, limits, job.budgets[0], rng=rng, **job.own).images
        attacked = given_rows(job, rows).within(attacked.detach().clamp(0, 1))
        with torch.no_grad():
            wrong = _wrong(job, job.model(attacked), given.targets)
        job.heed(ids, target)
        return attacked.cpu(), wrong.cpu(), (target.gradient_evaluations, target.model_evaluations)

    return work


def _wrong(job: Job, logits: Tensor, targets: Tensor) -> Tensor:
    """Which decisions are wrong: of masks with the setting share, those with so many wrong pixels."""
    share = job.own.get("share")
    if share is not None and job.goal.target is None:
        return wrong_share(logits, targets) >= float(share)
    return ~is_right(logits, targets, job.model.task)
