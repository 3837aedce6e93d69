"""Class maps judged pixel by pixel: confusion, Dice, IoU and accuracy per class, beside the all-background floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from percuss.core.dense import IGNORE, table_quality
from percuss.core.dense import confusion as counted
from percuss.core.errors import DataError

Counts = np.ndarray[Any, np.dtype[np.int64]]
Values = np.ndarray[Any, np.dtype[np.float64]]


def confusion(prediction: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], *, classes: int) -> Counts:
    """Pixels of each true and decided class, for each image.

    Tables of several batches are joined by ``np.concatenate``; the sum over images is the table of the whole set.

    Args:
        prediction: decided classes, whole numbers ``[N, H, W]``, 0 the background.
        truth: true classes of the same shape; 255 where there is no judgement.
        classes: number of classes with the background, 2 to 255.

    Returns:
        int64 ``[N, classes, classes]``: image, true class, decided class.

    Raises:
        DataError: shapes that differ, no whole numbers, or an unknown class.
    """
    if not 2 <= classes <= IGNORE:
        raise DataError("no such number of classes", value=classes, allowed="2 to 255, the background among them")
    check_maps(prediction, truth)
    judged = truth != IGNORE
    for name, values in (("truth", truth[judged]), ("prediction", prediction[judged])):
        if values.size and (int(values.min()) < 0 or int(values.max()) >= classes):
            raise DataError(
                f"the {name} holds an unknown class",
                value=int(values.min()) if int(values.min()) < 0 else int(values.max()),
                allowed=f"0 to {classes - 1}" + (f", and {IGNORE} for no judgement" if name == "truth" else ""),
            )
    decided, true = (torch.from_numpy(values.astype(np.int64)) for values in (prediction, truth))
    found: Counts = counted(decided, true, classes).numpy()
    return found


def check_maps(prediction: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], *, dims: int = 3) -> None:
    """DataError unless both are whole numbers of one shape with ``dims`` dimensions."""
    for name, values in (("prediction", prediction), ("truth", truth)):
        if values.dtype.kind not in "iu" or values.ndim != dims:
            raise DataError(
                f"the {name} is no map of whole numbers",
                value=f"{values.dtype} {values.shape}",
                allowed="whole numbers " + ("[N, height, width]" if dims == 3 else "[height, width]"),
                next_step="give decided classes or numbers, not logits or one map per class",
            )
    if prediction.shape != truth.shape:
        raise DataError(
            "the prediction and the truth differ in shape",
            value=f"{prediction.shape} and {truth.shape}",
            next_step="predict at the size of the truth",
        )


@dataclass(frozen=True)
class DenseScores:
    """What confusion tables say; leading dimensions are those of the tables.

    Attributes:
        dice, iou: ``[..., K]``; NaN where a class is neither true nor decided anywhere, 0 where only one of both.
        accuracy: share of a class's true pixels that were decided so, ``[..., K]``; NaN where it has none.
        pixel_accuracy: share of all judged pixels decided rightly, ``[...]``.
        floor: what deciding background everywhere would reach, ``[...]``.
        absent: classes without a true pixel, the background among them, ``[...]``.
    """

    dice: Values
    iou: Values
    accuracy: Values
    pixel_accuracy: Values
    floor: Values
    absent: Counts

    def mean(self, measure: Literal["dice", "iou", "accuracy"], *, background: bool = False) -> Values:
        """Mean over the classes that have a value, ``[...]``; NaN where none has. Without background by default."""
        values: Values = getattr(self, measure)
        return nanmean(values if background else values[..., 1:])


def scores(tables: Counts) -> DenseScores:
    """Scores of confusion tables ``[..., K, K]``: of each image, or of the sum over images."""
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    true, decided, pixels = tables.sum(-1), tables.sum(-2), tables.sum((-2, -1))
    return DenseScores(
        dice=_share(2 * hits, true + decided),
        iou=_share(hits, true + decided - hits),
        accuracy=_share(hits, true),
        pixel_accuracy=_share(hits.sum(-1), pixels),
        floor=_share(true[..., 0], pixels),
        absent=np.asarray((true == 0).sum(-1), dtype=np.int64),
    )


def qualities(tables: Counts) -> Values:
    """Quality of each image ``[N]`` from its table ``[N, K, K]``, as ``percuss.core.dense.quality`` has it."""
    found: Values = table_quality(torch.from_numpy(np.ascontiguousarray(tables))).numpy()
    return found


@dataclass(frozen=True)
class ClassRow:
    """One class over a set of images.

    Attributes:
        name: the class.
        dice, iou, accuracy: over the pixels of all images together.
        dice_image, iou_image, accuracy_image: means over the images where they have a value.
        pixels: true pixels.
        absent: images without a true pixel of the class.
        false_alarms: those of the absent in which some pixel was decided so all the same.
    """

    name: str
    dice: float
    iou: float
    accuracy: float
    dice_image: float
    iou_image: float
    accuracy_image: float
    pixels: int
    absent: int
    false_alarms: int


def class_rows(tables: Counts, names: tuple[str, ...]) -> list[ClassRow]:
    """One row for each class from the tables ``[N, K, K]`` of all images; DataError where names do not fit."""
    if tables.ndim != 3 or tables.shape[1:] != (len(names), len(names)):
        raise DataError("the names do not fit the confusion tables", value=f"{names} and {tables.shape}")
    whole, each = scores(tables.sum(0)), scores(tables)
    means = [nanmean(values.T) for values in (each.dice, each.iou, each.accuracy)]
    true, decided = tables.sum(2), tables.sum(1)
    return [
        ClassRow(
            name,
            dice=float(whole.dice[index]),
            iou=float(whole.iou[index]),
            accuracy=float(whole.accuracy[index]),
            dice_image=float(means[0][index]),
            iou_image=float(means[1][index]),
            accuracy_image=float(means[2][index]),
            pixels=int(true[:, index].sum()),
            absent=int((true[:, index] == 0).sum()),
            false_alarms=int(((true[:, index] == 0) & (decided[:, index] > 0)).sum()),
        )
        for index, name in enumerate(names)
    ]


def nanmean(values: Values) -> Values:
    """Mean over the last dimension of what is not NaN; NaN where nothing is left."""
    there = ~np.isnan(values)
    return _share(np.where(there, values, 0.0).sum(-1), there.sum(-1))


def _share(part: np.ndarray[Any, Any], of: np.ndarray[Any, Any]) -> Values:
    part, of = np.asarray(part, dtype=np.float64), np.asarray(of, dtype=np.float64)
    found: Values = np.divide(part, of, out=np.full(of.shape, np.nan), where=of > 0)
    return found
