"""per_image.csv and images.csv: the rows and the kept images as users and scripts read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from percuss.core.errors import RunError
from percuss.core.images import DENSE, Task
from percuss.evaluate.dense_summary import CLEAN, with_quality

PER_IMAGE = (
    "id", "label", "clean_prediction", "attack", "norm", "eps", "success", "success_stored",
    "linf", "l2", "l1", "l0", "confidence", "gradient_evaluations",
)  # fmt: skip
_KEPT = ("id", "norm", "attack", "budget", "success", "success_stored", "image", "image_sha256")


def per_image(
    rows: pd.DataFrame,
    classes: Sequence[str] | None = None,
    task: Task = "classify",
    *,
    dense: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The columns of per_image.csv, one row per image, attack and budget.

    With ``classes`` labels and predictions are class names (multilabel: the names of the labels given, joined by
    ", "; class maps: of the classes that a map holds, likewise); without, they stay as in the rows. With the table of
    class maps (dense.parquet) three columns more: ``clean_dice``, ``dice`` and ``dice_stored``, each image's mean Dice
    before, after, and after as stored. RunError where a label fits no class.
    """
    found = rows.loc[:, list(PER_IMAGE)].copy()
    if dense is not None:
        found = _with_dice(found, rows["budget"], dense)
    if classes is not None:
        for column in ("label", "clean_prediction"):
            names = {text: _name(str(text), classes, task) for text in found[column].unique()}
            found[column] = found[column].map(names)
    return found


def _with_dice(found: pd.DataFrame, budgets: pd.Series, dense: pd.DataFrame) -> pd.DataFrame:
    """The mean Dice of each row before and after, looked up in the table of class maps."""
    size = math.isqrt(len(dense["pixels"].iloc[0])) if len(dense) else 1
    judged = with_quality(dense, classes=size)
    before = judged[judged["attack"] == CLEAN].set_index("id")["quality"]
    added = {"clean_dice": found["id"].map(before)}
    keys = pd.MultiIndex.from_arrays([found["id"], found["attack"], found["norm"], budgets])
    for name, state in (("dice", "float"), ("dice_stored", "stored")):
        part = judged[(judged["state"] == state) & (judged["attack"] != CLEAN)]
        values = part.set_index(["id", "attack", "norm", "budget"])["quality"]
        added[name] = pd.Series(values.reindex(keys).to_numpy(), index=found.index)
    return found.assign(**added)


def kept_images(rows: pd.DataFrame) -> pd.DataFrame:
    """images.csv: one row per attacked image that a run keeps, with the file below the run folder and its SHA-256."""
    found = rows.loc[rows["image"] != "", list(_KEPT)]
    return found.rename(columns={"image": "file", "image_sha256": "sha256"}).reset_index(drop=True)


def _name(text: str, classes: Sequence[str], task: Task) -> str:
    if task == "multilabel" and len(text) == len(classes) and not set(text) - {"0", "1"}:
        return ", ".join(name for name, bit in zip(classes, text, strict=True) if bit == "1") or "none of the labels"
    if task in DENSE:
        return ", ".join(_name(part, classes, "classify") for part in text.split("|")) if text else "nothing judged"
    if task == "classify" and text.isdecimal() and int(text) < len(classes):
        return classes[int(text)]
    raise RunError("a label fits no class of the run", value=text, allowed=", ".join(classes))
