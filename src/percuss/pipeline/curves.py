"""percuss.curve: robust accuracy over sizes and the smallest size that flips each image, from plain tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from percuss.attacks.engine import run_attack
from percuss.attacks.job import Swept
from percuss.attacks.tensors import ready
from percuss.core.budget import Norm, parse_budgets
from percuss.core.errors import DataError
from percuss.core.images import PixelRange, Tensors
from percuss.core.results import Interval
from percuss.evaluate.intervals import Clusters, proportion


@dataclass(frozen=True)
class Curve:
    """What one search over all sizes found; every flip is confirmed by the model as it was given, in float32.

    Attributes:
        norm: how changes are measured.
        sizes: ascending, as ``Budget.eps`` has them: [0, 1] units, under l0 a share of pixels.
        smallest, smallest_stored: float64 ``[N]``, the smallest of the sizes that flips each image, as float and
            after rounding to native levels; 0 where the image is wrong from the start, infinity where no size does.
        robust_accuracy, robust_accuracy_stored: for each size the share of all images that stay right, with interval.
        images: for each size the attacked images ``[N, C, H, W]``, on the CPU.
        gradient_evaluations, model_evaluations: int64 ``[N]``, the cost of the whole curve for each image.
    """

    norm: Norm
    sizes: tuple[float, ...]
    smallest: Tensor
    smallest_stored: Tensor
    robust_accuracy: tuple[Interval, ...]
    robust_accuracy_stored: tuple[Interval, ...]
    images: tuple[Tensor, ...]
    gradient_evaluations: Tensor
    model_evaluations: Tensor


def curve(  # noqa: PLR0913
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    norm: Norm | str,
    sizes: str | Sequence[float | str],
    *,
    effort: str = "standard",
    seed: int = 0,
    batch_size: int = 32,
    pixels: PixelRange | None = None,
    groups: Sequence[str | None] | None = None,
    region: Tensor | None = None,
) -> Curve:
    """Attack at all sizes of a norm in one search (``docs/attacks/curve.md``).

    Args:
        model: a Percuss model, or any module from images in [0, 1] to logits.
        images: float32 ``[N, C, H, W]`` in [0, 1].
        targets: class indices ``[N]``, or 0/1 labels ``[N, K]``.
        norm: linf, l2, l1 or l0.
        sizes: numbers, or texts as in a budget: ``2/255``, ``0.25/255:8/255:8`` (from, to, number), ``5%``.
        effort: ``quick``, ``standard`` or ``thorough``.
        seed: decides all randomness, with the position of each image.
        batch_size: images at once; results do not depend on it.
        pixels: native range, 8 bit by default.
        groups: the patient of each image, so that intervals are over patients.
        region: bool ``[H, W]`` or ``[N, H, W]``, where pixels may change; everywhere where None.

    Raises:
        PercussError: images, targets, norm, sizes or effort that cannot be used; a model that cannot be judged.
    """
    if groups is not None and len(groups) != len(images):
        raise DataError("the groups do not fit the images", value=len(groups), allowed=f"{len(images)}, one per image")
    if not len(images):
        raise DataError("no image is given", value=0, allowed="1 or more")
    name = norm.value if isinstance(norm, Norm) else norm
    texts = [sizes] if isinstance(sizes, str) else [size if isinstance(size, str) else repr(size) for size in sizes]
    budgets = {budget.text: budget for text in texts for budget in parse_budgets(f"{name}={text}")}
    judged, batch = ready(model, images, targets, pixels=pixels or PixelRange(), groups=groups, region=region)
    swept = run_attack(
        "curve", judged, batch, list(budgets.values()), seed=seed, batch_size=batch_size, settings={"effort": effort}
    )
    return _made(swept, batch, budgets[swept.outcomes[0].budget].norm, seed)


def _made(swept: Swept, batch: Tensors, norm: Norm, seed: int) -> Curve:
    clusters = Clusters.of([group or "" for group in batch.groups], seed)
    names = list(dict.fromkeys(row.budget for row in swept.outcomes))
    right, flips, stored = _table(swept, names)
    ends = torch.tensor([row.eps for row in swept.outcomes[:: len(batch.ids)]], dtype=torch.float64)
    gradients, forwards = (
        torch.tensor([getattr(row, key) for row in swept.outcomes]).view(len(names), -1).sum(0)
        for key in ("gradient_evaluations", "model_evaluations")
    )
    return Curve(
        norm=norm,
        sizes=tuple(ends.tolist()),
        smallest=_smallest(right, flips, ends),
        smallest_stored=_smallest(right, stored, ends),
        robust_accuracy=tuple(proportion(right & ~row, clusters) for row in flips),
        robust_accuracy_stored=tuple(proportion(right & ~row, clusters) for row in stored),
        images=tuple(swept.images[text] for text in names),
        gradient_evaluations=gradients,
        model_evaluations=forwards,
    )


def _table(swept: Swept, names: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right from the start ``[N]``; flipped as float and as stored ``[sizes, N]``."""
    found = [
        np.array([getattr(row, key) for row in swept.outcomes], dtype=bool).reshape(len(names), -1)
        for key in ("correct", "success", "success_stored")
    ]
    return found[0][0], found[1], found[2]


def _smallest(right: np.ndarray, flips: np.ndarray, sizes: Tensor) -> Tensor:
    first = np.where(flips.any(0), flips.argmax(0), len(sizes))
    ends = np.append(sizes.numpy(), np.inf)
    return torch.from_numpy(np.where(right, ends[first], 0.0))
