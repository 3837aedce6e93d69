"""What an audit of class maps found beside the curves: Dice and its kin per attack and budget, with intervals.

Means are over images, as attacks are judged image by image; each class also has its numbers over the pixels of all
images together. Intervals come from the bootstrap over patients (images where unknown) of ``evaluate.intervals``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from percuss.core.dense import BAR
from percuss.core.errors import RunError
from percuss.core.results import Dense, DenseClass, DensePoint, Interval, Nuclei
from percuss.evaluate.curves import CONTROLS, WORST
from percuss.evaluate.dense import Counts, Values, class_rows, qualities, scores
from percuss.evaluate.instances import InstanceCounts
from percuss.evaluate.intervals import Clusters, mean, ratios, wilson

CLEAN = "clean"
_KEY = ["attack", "norm", "budget", "state"]
_COUNTS = tuple(vars(InstanceCounts()))
#: Top and bottom of each quotient of sums, ``[images]``.
_Parts = dict[str, tuple[Values, Values]]


def dense_summary(table: pd.DataFrame, *, classes: Sequence[str], seed: int) -> Dense:
    """Numbers of class maps from dense.parquet.

    Args:
        table: one row per image, attack (``clean`` for the unattacked), budget and state (``float`` or ``stored``):
            id, group, attack, norm, budget, eps, state, linf (size of the change), loss, pixels (the confusion table,
            true times decided class, row by row), and the counts of ``InstanceCounts`` where things are numbered.
        classes: names, the background first.
        seed: of the bootstrap.

    Returns:
        The clean point, one for each attack, budget and state, and ``worst``: of each image the worst mask (lowest
        quality, then highest loss) over the attacks that are no controls, at this size or a smaller one of the norm.

    Raises:
        RunError: no clean row, rows missing or doubled, or confusion tables that do not fit the classes.
    """
    judged = with_quality(table, classes=len(classes))
    clean = judged[judged["attack"] == CLEAN].set_index("id")
    if not len(clean):
        raise RunError("the dense table has no row of unattacked images", next_step="start the audit anew")
    groups = [str(name) if isinstance(name, str) else "" for name in clean["group"]]
    maker = _Maker(tuple(classes), Clusters.of(groups, seed), clean.index)
    attacked = judged[judged["attack"] != CLEAN]
    both = pd.concat([attacked, worst_rows(attacked)], ignore_index=True)
    points = []
    for _, line in both.groupby(["attack", "norm"], sort=False):
        for (_, state), part in line.sort_values("eps", kind="stable").groupby(["budget", "state"], sort=False):
            points.append(maker.point(part.set_index("id"), stored=state == "stored"))
    return Dense(background=classes[0], bar=BAR, clean=maker.point(clean, stored=True), points=points)


def with_quality(table: pd.DataFrame, *, classes: int) -> pd.DataFrame:
    """The dense table with a column ``quality``; RunError where a row is doubled or holds another number of counts."""
    twice = table.duplicated(["id", *_KEY])
    if twice.any():
        first = table[twice].iloc[0]
        value = f"{first['id']}, {first['attack']} at {first['budget']}, {first['state']}"
        raise RunError("two rows of one image in the dense table", value=value, next_step="start the audit anew")
    return table.assign(quality=qualities(_tables(table, classes)))


def _tables(table: pd.DataFrame, classes: int) -> Counts:
    """Confusion tables ``[rows, K, K]``."""
    sizes = {len(item) for item in table["pixels"]} - {classes * classes}
    if sizes:
        raise RunError(
            "confusion counts of the dense table do not fit the classes",
            value=f"{min(sizes)} counts",
            allowed=f"{classes * classes} for {classes} classes",
            next_step="start the audit anew",
        )
    flat = np.asarray([np.asarray(item, dtype=np.int64) for item in table["pixels"]], dtype=np.int64)
    return flat.reshape(len(table), classes, classes)


def worst_rows(attacked: pd.DataFrame) -> pd.DataFrame:
    """Per norm, budget and state the row of each image with the lowest quality, at this size or a smaller one."""
    real = attacked[~attacked["attack"].isin(CONTROLS)]
    real = real.sort_values(["quality", "loss"], ascending=[True, False], kind="stable")
    found = []
    for (norm, budget, state), part in real.groupby(["norm", "budget", "state"], sort=False):
        eps = float(part["eps"].iloc[0])
        same = real[(real["norm"] == norm) & (real["state"] == state) & (real["eps"] <= eps)]
        found.append(same.drop_duplicates("id").assign(attack=WORST, budget=str(budget), eps=eps))
    return pd.concat(found, ignore_index=True) if found else real


@dataclass(frozen=True)
class _Maker:
    """Makes points whose intervals share their draws."""

    classes: tuple[str, ...]
    clusters: Clusters
    order: pd.Index[str]

    def point(self, rows: pd.DataFrame, *, stored: bool) -> DensePoint:
        first = rows.iloc[0]
        if len(rows) != len(self.order) or set(rows.index) != set(self.order):
            value = f"{first['attack']} at {first['budget']} has {len(rows)} of {len(self.order)}"
            raise RunError("rows are missing in the dense table", value=value, next_step="start the audit anew")
        rows = rows.reindex(self.order)
        tables = _tables(rows, len(self.classes))
        parts = _image_parts(tables, rows["quality"].to_numpy(dtype=np.float64)) | _class_parts(tables)
        counted = all(name in rows.columns for name in _COUNTS)
        parts |= _nuclei_parts(rows) if counted else {}
        tops, bottoms = (np.stack([part[side] for part in parts.values()], axis=1) for side in (0, 1))
        found = dict(zip(parts, ratios(tops, bottoms, self.clusters), strict=True))
        loss = rows["loss"].to_numpy(dtype=np.float64)
        every = np.ones(len(rows), dtype=bool)
        return DensePoint(
            attack=str(first["attack"]),
            norm=str(first["norm"]),
            budget=str(first["budget"]),
            eps=float(first["eps"]) if math.isfinite(first["eps"]) else None,
            stored=stored,
            loss=mean(loss, self.clusters, every),
            linf=mean(rows["linf"].to_numpy(dtype=np.float64), self.clusters, every),
            classes=self._classes(tables, found),
            nuclei=Nuclei(**{name: found[name] for name in Nuclei.model_fields}) if counted else None,
            **{name: found[name] for name in _image_names()},
        )

    def _classes(self, tables: Counts, found: dict[str, Interval]) -> list[DenseClass]:
        """One record for each class from its quotients and from the pixels of all images."""
        return [
            DenseClass(
                name=row.name,
                dice_pixels=_known(row.dice),
                iou_pixels=_known(row.iou),
                accuracy_pixels=_known(row.accuracy),
                pixels=row.pixels,
                absent=row.absent,
                false_alarms=row.false_alarms,
                **{name: found.get(f"{index} {name}", wilson(0, 0)) for name in _CLASS_NAMES},
            )
            for index, row in enumerate(class_rows(tables, self.classes))
        ]


_CLASS_NAMES = ("dice", "iou", "accuracy", "removed", "hallucinated")


def _image_names() -> tuple[str, ...]:
    return ("dice", "iou", "accuracy", "dice_with_background", "iou_with_background", "pixel_accuracy", "floor")


def _image_parts(tables: Counts, quality: Values) -> _Parts:
    each = scores(tables)
    values = (
        quality,
        each.mean("iou"),
        each.mean("accuracy"),
        each.mean("dice", background=True),
        each.mean("iou", background=True),
        each.pixel_accuracy,
        each.floor,
    )
    return {name: _mean_parts(value) for name, value in zip(_image_names(), values, strict=True)}


def _class_parts(tables: Counts) -> _Parts:
    """Quotients of each class; the background itself can be neither removed nor hallucinated."""
    each, true = scores(tables), tables.sum(2)
    found: _Parts = {}
    for index in range(tables.shape[1]):
        for name, values in (("dice", each.dice), ("iou", each.iou), ("accuracy", each.accuracy)):
            found[f"{index} {name}"] = _mean_parts(values[:, index])
        if index:
            found[f"{index} removed"] = _mean_parts(_of(tables[:, index, 0], true[:, index]))
            found[f"{index} hallucinated"] = _mean_parts(_of(tables[:, 0, index], true[:, 0]))
    return found


def _nuclei_parts(rows: pd.DataFrame) -> _Parts:
    """Quotients of the scores of ``InstanceCounts``, summed over images; images without counts add nothing."""
    c = {name: rows[name].fillna(0).to_numpy(dtype=np.float64) for name in _COUNTS}
    things = 2 * c["hits"] + c["false_alarms"] + c["misses"]
    return {
        "panoptic": (2 * c["iou"], things),
        "detection": (2 * c["hits"], things),
        "segmentation": (c["iou"], c["hits"]),
        "aji": (c["overlap"], c["union"]),
        "aji_plus": (c["overlap_single"], c["union_single"]),
    }


def _mean_parts(values: Values) -> tuple[Values, Values]:
    """A mean over the images that have a value, as a quotient of sums."""
    there = np.isfinite(values)
    return np.where(there, values, 0.0), there.astype(np.float64)


def _of(part: np.ndarray[Any, Any], whole: np.ndarray[Any, Any]) -> Values:
    found: Values = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return found


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
