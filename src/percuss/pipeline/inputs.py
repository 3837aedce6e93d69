"""Opening what an audit judges: the images, the model, and whether they fit each other."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.budget import Budget, Norm
from percuss.core.class_maps import cells_of, check_map
from percuss.core.errors import BudgetError, DataError, ModelError
from percuss.core.images import (
    DENSE,
    BadImage,
    Case,
    ImageSet,
    PixelRange,
    Tensors,
    noted,
    stacked_instances,
    stacked_targets,
)
from percuss.core.model import Model
from percuss.data.one_label import OneLabel
from percuss.data.region import Region, open_region
from percuss.data.spec import load_data
from percuss.models.one_label import one_label
from percuss.models.spec import load_model
from percuss.pipeline.plan import CHUNK, AuditPlan


@dataclass(frozen=True)
class Chosen:
    """The images to judge: the set, its split (None for all), the ids, the shape and range that most have, and the
    region in which pixels may change (None for everywhere).
    """

    images: ImageSet
    split: str | None
    ids: tuple[str, ...]
    shape: tuple[int, ...]
    pixels: PixelRange
    region: Region | None = None

    @property
    def chunks(self) -> list[tuple[str, ...]]:
        """The ids in fixed portions."""
        return [self.ids[i : i + CHUNK] for i in range(0, len(self.ids), CHUNK)]


def open_images(plan: AuditPlan, data: ImageSet | None) -> Chosen:
    """The images of a plan, or of a set that is open already; DataError where none can be read."""
    images = load_data(plan.data) if data is None else data
    images = images if plan.label is None else OneLabel(images, plan.label)
    split = plan.split
    if split == "auto":
        split = "test" if "test" in images.splits else "all"
    if split != "all":
        images = images.subset(split=split)
    if not len(images):
        raise DataError("the set has no images", value=plan.data, next_step="look at the folder or table and --split")
    ids = images.ids if plan.limit is None else images.spread(plan.limit)
    found = _usual(images, None if split == "all" else split, ids)
    if plan.region is None:
        return found
    found = replace(found, region=open_region(plan.region))
    _some_region(found)
    return found


def _some_region(chosen: Chosen) -> None:
    """DataError where no image has a region in which pixels may change."""
    first: DataError | None = None
    for name in chosen.ids:
        case, values, _ = _read(chosen.images, name)
        if case is None or values is None or chosen.region is None or tuple(values.shape) != chosen.shape:
            continue
        try:
            chosen.region.of(case, values)
            return
        except DataError as error:
            first = first or error
    if first is not None:
        text = f"none of {len(chosen.ids)} images can be attacked there: {first.thing}"
        raise DataError(text, value=first.value, allowed=first.allowed, next_step=first.next_step)


def _usual(images: ImageSet, split: str | None, ids: tuple[str, ...]) -> Chosen:
    first: BadImage | None = None
    for start in range(0, len(ids), CHUNK):
        seen: Counter[tuple[tuple[int, ...], PixelRange]] = Counter()
        for name in ids[start : start + CHUNK]:
            case, _, bad = _read(images, name)
            first = first or bad
            if case is not None:
                seen[(tuple(case.pixels.shape), case.range)] += 1
        if seen:
            (shape, pixels), _ = seen.most_common(1)[0]
            return Chosen(images, split, ids, shape, pixels)
    raise DataError(
        f"none of the {len(ids)} images can be read, first",
        value=first and f"{first.id} ({first.reason})",
        next_step="mend the files or the data spec",
    )


def _read(images: ImageSet, name: str) -> tuple[Case | None, Tensor | None, BadImage | None]:
    try:
        case = images.read(name)
        pixels = case.unit()
        if images.task in DENSE:
            size, count = cells_of(case.pixels.shape[1:], images.cell), len(images.classes)
            check_map(case.id, case.target, case.instances, size=size, classes=count)
        return case, pixels, None
    except DataError as error:
        return None, None, BadImage(name, str(error))


def read_chunk(chosen: Chosen, ids: Sequence[str]) -> Tensors:
    """The images of one portion; what cannot be read, or has not the usual shape and range, is listed as bad."""
    cases: list[Case] = []
    pixels: list[Tensor] = []
    regions: list[Tensor] = []
    bad: list[BadImage] = []
    for name in ids:
        case, values, wrong = _read(chosen.images, name)
        if case is None or values is None:
            bad += [wrong] if wrong else []
        elif (tuple(values.shape), case.range) != (chosen.shape, chosen.pixels):
            bad.append(BadImage(name, _odd(name, tuple(values.shape), case.range, chosen)))
        else:
            try:
                regions += [chosen.region.of(case, values)] if chosen.region else []
            except DataError as error:
                bad.append(BadImage(name, str(error)))
                continue
            cases.append(case)
            pixels.append(values)
    return Tensors(
        ids=[case.id for case in cases],
        images=torch.stack(pixels) if pixels else torch.zeros(0, *chosen.shape),
        targets=stacked_targets([case.target for case in cases], chosen.images.task),
        groups=[case.group for case in cases],
        range=chosen.pixels,
        bad=bad,
        region=torch.stack(regions) if regions else None,
        instances=stacked_instances(cases),
        notes=noted(cases),
        scored=chosen.images.task == "heatmap",
    )


def _odd(name: str, shape: tuple[int, ...], pixels: PixelRange, chosen: Chosen) -> str:
    if shape[0] != chosen.shape[0]:
        advice = "give ?channels=grey or ?channels=rgb behind the data spec"
    elif shape != chosen.shape:
        advice = "give one size explicitly, for instance ?size=224 behind the data spec"
    else:
        advice = "store all images in one depth, or audit each depth by itself"
    return (
        f"image {name} is {shape} in {pixels.levels} levels; most are {chosen.shape} in {chosen.pixels.levels}. "
        f"Next: {advice}"
    )


def check_sizes(budgets: Mapping[Norm, Sequence[Budget]], chosen: Chosen) -> None:
    """BudgetError where a size is larger than any change of these images can be."""
    values = math.prod(chosen.shape)
    most = {Norm.LINF: 1.0, Norm.L2: math.sqrt(values), Norm.L1: float(values), Norm.L0: 1.0, Norm.NONE: math.inf}
    for norm, sizes in budgets.items():
        for budget in sizes:
            if budget.eps(chosen.shape, chosen.pixels) > most[norm] * (1 + 1e-9):
                raise BudgetError(
                    f"the budget is larger than any change of images of shape {chosen.shape} can be",
                    value=budget.text,
                    allowed=f"{norm.value} up to {most[norm]:.6g} in [0, 1] units",
                    next_step="give a smaller size, or none for no limit",
                )


def open_model(plan: AuditPlan, model: Model | nn.Module | None, chosen: Chosen) -> Model:
    """The model of a plan, or one that is loaded already, checked against the images."""
    if isinstance(model, Model):
        ready = model
    else:
        known = model is None and Path(plan.model).is_dir()
        whole = chosen.images.whole if isinstance(chosen.images, OneLabel) else chosen.images
        options: dict[str, Any] = {} if known else {"classes": whole.classes, "task": whole.task}
        if not known:
            options["channels"] = chosen.shape[0]
        with torch.random.fork_rng(devices=[]):
            # A random start must be the same when a killed run goes on.
            torch.manual_seed(plan.seed)
            ready = load_model(
                plan.model if model is None else model,
                weights=plan.weights,
                allow_code=plan.allow_code,
                grey_inside=plan.grey_inside,
                **options,
            )
    if isinstance(chosen.images, OneLabel):
        match(chosen.images.whole, ready)
        ready = one_label(ready, chosen.images.place, chosen.images.label)
    match(chosen.images, ready)
    return ready


def match(images: ImageSet, model: Model) -> None:
    """ModelError or DataError where task or classes of images and model differ."""
    if images.task != model.task:
        raise ModelError(
            "model and images have different tasks",
            value=f"model {model.task}, images {images.task}",
            next_step="audit a model of the images' task",
        )
    if images.cell != model.info.cell:
        raise ModelError(
            "model and images have cells of different sizes",
            value=f"model {model.info.cell} pixels, images {images.cell}",
            next_step="cut tiles with --cell of the model, or train a model for these",
        )
    ours, theirs = tuple(images.classes), tuple(model.classes)
    if ours == theirs or (len(ours) == len(theirs) and theirs == tuple(str(i) for i in range(len(theirs)))):
        return
    unknown = [name for name in ours if name not in theirs]
    if len(ours) != len(theirs) and not unknown:
        raise DataError(
            "the images have fewer classes than the model",
            value=f"images {', '.join(ours)}; model {', '.join(theirs)}",
            next_step="add images of the missing classes, so that class numbers agree",
        )
    if unknown:
        raise DataError(
            "a label is not in the model",
            value=", ".join(unknown[:5]),
            allowed=f"the model's classes: {', '.join(theirs[:12])}",
            next_step="rename the labels, or train the model on these classes",
        )
    raise DataError(
        "images and model have the same classes in another order",
        value=f"images {', '.join(ours[:12])}; model {', '.join(theirs[:12])}",
        next_step="number the classes of the table as the model does",
    )


def data_fingerprint(chosen: Chosen) -> str:
    """SHA-256 (hex) over ids, contents and region of the chosen images; one that cannot be read counts as such."""
    digest = hashlib.sha256(repr((chosen.images.task, chosen.images.classes)).encode())
    for name in chosen.ids:
        try:
            found = chosen.images.fingerprint(name)
        except DataError:
            found = "unreadable"
        digest.update(f"{name}\0{found}\n".encode())
    if chosen.region is not None:
        digest.update(f"region {chosen.region.key}".encode())
    return digest.hexdigest()
