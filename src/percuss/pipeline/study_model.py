"""The run's images and model opened again for a study: to attack cases, and to judge the files that readers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from percuss.attacks.engine import run_attack
from percuss.attacks.eval_mode import device_of, frozen
from percuss.core import catalogue
from percuss.core.budget import Budget, Norm
from percuss.core.errors import PercussError, RunError
from percuss.core.images import ImageSet, PixelRange, Tensors
from percuss.core.model import Model, confidence, decide, is_right
from percuss.data.decode import Reading, decode
from percuss.pipeline import environment
from percuss.pipeline.finished import Finished
from percuss.pipeline.inputs import data_fingerprint, open_images, open_model, read_chunk
from percuss.pipeline.parts import Work, clean_logits, texts
from percuss.pipeline.study_cases import truth_of
from percuss.pipeline.survive import check_same, plan_of
from percuss.store.folder import RunFolder


@dataclass(frozen=True)
class Source:
    """Where data and model are now, if not where the run's plan says; ``options`` are those of ``survive.REPLACES``."""

    data: ImageSet | str | None = None
    model: Model | nn.Module | str | None = None
    options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Judged:
    """What the model says of some files: its decision, the probability of it, whether it is right."""

    label: str
    confidence: float
    right: bool


def reopen(found: Finished, source: Source) -> Work:
    """Images and model of the run, checked to be the same.

    RunError where they are gone, cannot be opened, or are others.
    """
    folder = RunFolder.existing(found.path)
    try:
        plan = plan_of(folder, data=source.data, model=source.model, options=source.options or {})
        with environment.threads(plan.threads):
            chosen = open_images(plan, source.data if isinstance(source.data, ImageSet) else None)
            model = open_model(plan, None if isinstance(source.model, str) else source.model, chosen)
            model = model.to(environment.pick_device(plan.device))
            check_same(folder, images=data_fingerprint(chosen), model=model.fingerprint())
    except PercussError as error:
        raise RunError(
            f"images or model of the run cannot be opened again: {error.thing}",
            value=error.value,
            next_step="name where they are now with --data, --model and --weights",
        ) from error
    return Work(plan, chosen, model, device_of(model), folder)


def read_cases(work: Work, ids: Sequence[str]) -> Tensors:
    """Some images of the run in this order; those that cannot be read any more are among its ``bad``."""
    return read_chunk(work.chosen, ids)


def attacked(work: Work, batch: Tensors, size: Budget) -> dict[str, tuple[Tensor, str]]:
    """Each image attacked within a size, as stored, with the attack that made it.

    The run's attacks are tried in its order until one flips the image as stored; where none does, what the first
    made is kept. They go on when an image flips, so that the change uses its size: what the audit kept for a size may
    be far smaller, and would say little of what readers see at this one.
    """
    found: dict[str, tuple[Tensor, str]] = {}
    left = list(range(len(batch.ids)))
    for name in attacks_of(work):
        settings = work.settings(name) | _to_the_end(work, size)
        swept = run_attack(
            catalogue.function("attacks", name, allow_code=work.plan.allow_code),
            work.model,
            batch.some(left),
            [size],
            seed=work.plan.seed,
            batch_size=work.plan.batch_size,
            settings=settings,
            allow_silent=True,
        )
        stored, flipped = swept.stored[size.text], [row.success_stored for row in swept.outcomes]
        for place, row in enumerate(left):
            if flipped[place] or batch.ids[row] not in found:
                found[batch.ids[row]] = (stored[place], name)
        left = [row for place, row in enumerate(left) if not flipped[place]]
        if not left:
            break
    return found


def attacks_of(work: Work) -> list[str]:
    """The run's attacks without their controls; RunError where it has none."""
    names = [name for name in work.plan.attacks if "noise" not in name]
    if not names:
        raise RunError(
            "the run has no attack", value=", ".join(work.plan.attacks), next_step="audit with --attack pgd,noise"
        )
    return names


def _to_the_end(work: Work, size: Budget) -> dict[str, Any]:
    """Settings with which an attack uses its size; without a limit on the size there is none to use up."""
    if size.norm is Norm.NONE:
        return {}
    # Of masks the best iterate may be the clean image, where no mask became worse.
    return {"early_stop": False} | ({"keep": "last"} if work.model.task == "segment" else {})


def as_seen(png: bytes, name: str, pixels: PixelRange) -> Tensor:
    """The image in the bytes of a file, float32 ``[C, H, W]`` in [0, 1], as the model is given it."""
    values, _ = decode(png, name, Reading())
    return torch.from_numpy((np.asarray(values) / pixels.levels).astype("float32"))


def judge(work: Work, found: Finished, files: Mapping[str, bytes], *, targets: Tensor) -> dict[str, Judged]:
    """What the model decides on the very bytes of some files, by id of their cases; ``targets`` in the same order."""
    images = torch.stack([as_seen(png, name, work.chosen.pixels) for name, png in files.items()])
    with frozen(work.model):
        logits = clean_logits(work, images)
    labels = [truth_of(text, found.results.data) for text in texts(decide(logits, work.model.task))]
    sure, right = confidence(logits, work.model.task), is_right(logits, targets, work.model.task)
    rows = zip(files, labels, sure.tolist(), right.tolist(), strict=True)
    return {name: Judged(*said) for name, *said in rows}
