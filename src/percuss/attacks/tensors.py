"""Attacks on plain tensors: images in, attacked images out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from percuss.attacks.engine import run_attack
from percuss.attacks.eval_mode import device_of, frozen
from percuss.attacks.foreign import Foreign, adopt
from percuss.core import catalogue
from percuss.core.budget import Budget, parse_budget
from percuss.core.dense import IGNORE
from percuss.core.errors import DataError, ModelError
from percuss.core.images import DENSE, PixelRange, Task, Tensors
from percuss.core.model import Model, ModelInfo, class_names


def attack(
    name: str | Callable[..., Any],
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    budget: Budget | str,
    *,
    seed: int = 0,
    **settings: Any,
) -> Tensor:
    """Attack images and give the attacked ones back, in order, on the device of ``images``.

    Args:
        name: an attack of the catalogue (``percuss list attacks``), one of another library (``foolbox:LinfPGD``), or
            any callable ``f(model, images, targets, eps=...) -> images`` (docs/attacks/foreign.md).
        model: a Percuss model, or any module from images in [0, 1] to logits.
        images: float32 ``[N, C, H, W]`` in [0, 1].
        targets: class indices ``[N]``, 0/1 labels ``[N, K]``, or class maps ``[N, H, W]`` (of heat maps: of cells).
        budget: a Budget or its text, ``linf=2/255``.
        seed: decides all randomness, with the position of each image.
        settings: of the attack; ``batch_size``, ``pixels`` (native range, 8 bit by default), ``region`` (bool
            ``[H, W]`` or ``[N, H, W]``: only there pixels may change) and ``allow_code`` (let ``factory:`` import the
            code it names) are taken out first.

    Images that are wrong from the start come back as they are; so do those that an attack not of Percuss changes
    beyond the budget, with a warning. Heat maps can always get worse: their attacks go on, as in an audit, unless
    ``early_stop=True``.

    Raises:
        PercussError: images, targets, budget or settings that cannot be used; a model that cannot be judged.
    """
    one = parse_budget(budget) if isinstance(budget, str) else budget
    pixels = settings.pop("pixels", PixelRange())
    size, allowed = settings.pop("batch_size", 32), settings.pop("allow_code", False)
    region = settings.pop("region", None)
    judged, batch = ready(model, images, targets, pixels=pixels, region=region)
    found = catalogue.function("attacks", name, allow_code=allowed) if isinstance(name, str) else adopt(name)
    if judged.task == "heatmap":
        settings.setdefault("early_stop", False)
    swept = run_attack(found, judged, batch, [one], seed=seed, batch_size=size, settings=settings)
    for note in swept.notes if isinstance(found, Foreign) else ():
        warnings.warn(note, stacklevel=2)
    return swept.images[one.text].to(images.device)


def ready(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    pixels: PixelRange,
    groups: Sequence[str | None] | None = None,
    region: Tensor | None = None,
) -> tuple[Model, Tensors]:
    """What the engine takes, from what a user has: DataError or ModelError where something cannot be used.

    ``region``, bool ``[H, W]`` or ``[N, H, W]``, is where pixels may change; everywhere where None.
    """
    _check_images(images, targets)
    judged = as_model(model, images, targets)
    _check_targets(targets, judged)
    if judged.task in DENSE:
        _check_maps(targets, images, judged.info.cell)
    ids, kept = [str(i) for i in range(len(images))], list(groups or [None] * len(images))
    batch = Tensors(ids, images.detach().cpu().float(), targets.cpu(), kept, pixels)
    batch.scored = judged.task == "heatmap"
    batch.region = None if region is None else _region(region, images)
    return judged, batch


def _check_images(images: Tensor, targets: Tensor) -> None:
    """DataError unless these are images in [0, 1], each with a target."""
    if not isinstance(images, Tensor) or images.dim() != 4 or not images.is_floating_point():
        told = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise _unfit("images", told, "a floating-point tensor [N, C, H, W]")
    if not bool(torch.isfinite(images).all()):
        raise _unfit("images", "NaN or infinite values", "finite values in [0, 1]")
    if len(images) and (float(images.min()) < 0 or float(images.max()) > 1):
        told = f"values from {float(images.min()):.4g} to {float(images.max()):.4g}"
        raise _unfit("images", told, "values in [0, 1]; normalisation belongs inside the model")
    if not isinstance(targets, Tensor) or targets.dim() not in (1, 2, 3) or len(targets) != len(images):
        told = str(tuple(targets.shape)) if isinstance(targets, Tensor) else type(targets).__name__
        count = len(images)
        wanted = f"a tensor [{count}] of class indices, [{count}, K] of 0/1 labels, or class maps [{count}, H, W]"
        raise _unfit("targets", told, wanted)


def _region(region: Tensor, images: Tensor) -> Tensor:
    """A region for each image, bool ``[N, H, W]`` on the CPU; DataError where it does not fit the images."""
    wanted = (len(images), *images.shape[2:])
    fits = isinstance(region, Tensor) and region.dtype == torch.bool and tuple(region.shape) in (wanted, wanted[1:])
    if not fits:
        told = f"{region.dtype} {tuple(region.shape)}" if isinstance(region, Tensor) else type(region).__name__
        raise DataError(
            "the region cannot be used",
            value=told,
            allowed=f"a bool tensor {wanted[1:]} for all images, or {wanted}",
            next_step="compare a mask with a number, for instance mask > 0",
        )
    return region.detach().cpu().expand(wanted).clone()


def _check_targets(targets: Tensor, model: Model) -> None:
    """DataError unless the targets are classes, or rows of labels, of this model."""
    count = len(model.classes)
    if model.task == "classify":
        fine = targets.dim() == 1 and not targets.is_floating_point() and not targets.is_complex()
        if not fine or bool(((targets < 0) | (targets >= count)).any()):
            raise _unfit("targets", _told(targets), f"whole class indices [N] from 0 to {count - 1}")
    elif model.task in DENSE:
        known = (targets >= 0) & (targets < count) | (targets == IGNORE)
        if targets.dim() != 3 or targets.is_floating_point() or not bool(known.all()):
            raise _unfit(
                "targets", _told(targets), f"class maps [N, H, W], 0 to {count - 1}, and {IGNORE} for not judged"
            )
    elif targets.dim() != 2 or targets.shape[1] != count or bool(((targets != 0) & (targets != 1)).any()):
        raise _unfit("targets", _told(targets), f"0/1 labels [N, {count}]")


def _check_maps(targets: Tensor, images: Tensor, cell: int) -> None:
    """DataError unless each class map has the size of its image in cells and a place that is judged."""
    wanted = [len(images), *(side // cell for side in images.shape[2:])]
    if not len(images) or list(targets.shape) != wanted:
        raise _unfit("targets", _told(targets), f"class maps {wanted} of at least one image, as the images")
    empty = (targets == IGNORE).flatten(1).all(1).nonzero().flatten().tolist()
    if empty:
        raise _unfit("targets", f"no pixel of map {empty[0]} is judged", f"a pixel that is not {IGNORE} in each map")


def _told(targets: Tensor) -> str:
    found = f"{targets.dtype} {tuple(targets.shape)}"
    return f"{found}, {targets.min().item():g} to {targets.max().item():g}" if targets.numel() else found


def _unfit(what: str, found: str, allowed: str) -> DataError:
    return DataError(
        f"the {what} cannot be used",
        value=found,
        allowed=allowed,
        next_step="percuss.load_data(SPEC).tensors() gives both in this form",
    )


def as_model(module: nn.Module, images: Tensor, targets: Tensor) -> Model:
    """A module as a Percuss model; classes are counted from its output on one image, the task from the targets.

    One logit for each place, with class maps as targets, is a heat map; cells are as large as the logits are fewer.
    """
    if isinstance(module, Model):
        return module
    task: Task = ("classify", "multilabel", "segment")[targets.dim() - 1]
    cell = 1
    with frozen(module), torch.no_grad():
        logits = module(images[:1].to(device_of(module)))
    sides = ", height, width" if task == "segment" else ""
    if not isinstance(logits, Tensor) or logits.dim() != (4 if sides else 2):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError("the model's output has the wrong shape", value=shape, allowed=f"logits [N, outputs{sides}]")
    width = int(logits.shape[1])
    if sides and width == 1:  # one logit for each cell: a heat map
        task, cell = "heatmap", max(1, images.shape[2] // max(int(logits.shape[2]), 1))
    names = class_names(2 if task in ("classify", "heatmap") and width == 1 else width, None)
    training = [(part, part.training) for part in module.modules()]
    model = Model(module, ModelInfo("module", task, names, int(images.shape[1]), cell=cell)).to(device_of(module))
    for part, mode in training:  # making the Model set eval mode; the caller's module stays as it was
        part.training = mode
    return model
