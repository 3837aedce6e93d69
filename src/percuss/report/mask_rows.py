"""Dice of each image before and after, looked up in dense.parquet for the pictures and tables of the report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pyarrow.parquet import read_schema

from percuss.core.dense import table_quality
from percuss.core.errors import RunError
from percuss.core.results import CurvePoint
from percuss.report.rows import is_control

#: Columns with bytes for every cell of heat maps, which are large and not asked for here.
_CELLS = ("scores", "truth")
_AGAIN = "run percuss audit again to finish the run"
WORST_HEAD = ("image", "Dice before", "Dice after, as float", "Dice after, as stored", "worst attack")


def load_masks(folder: Path, classes: int) -> pd.DataFrame:
    """dense.parquet with the quality of each row, without controls; RunError where it is missing or damaged."""
    try:
        wanted = [name for name in read_schema(folder / "dense.parquet").names if name not in _CELLS]
        table = pd.read_parquet(folder / "dense.parquet", columns=wanted)
        counts = np.asarray(table["pixels"].tolist(), dtype=np.int64).reshape(len(table), classes, classes)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder / 'dense.parquet'} cannot be read", value=error, next_step=_AGAIN) from error
    table = table.assign(id=table["id"].astype(str), quality=table_quality(torch.from_numpy(counts)).numpy())
    return table[~table["attack"].map(is_control).astype(bool)]


def with_dice(rows: pd.DataFrame, masks: pd.DataFrame) -> pd.DataFrame:
    """The rows with ``clean_dice`` and ``dice_stored``, of the attacked image as stored."""
    keys = ["id", "attack", "norm", "budget"]
    stored = masks[masks["state"] == "stored"].set_index(keys)["quality"]
    found = stored.reindex(pd.MultiIndex.from_frame(rows[keys]))
    return rows.assign(clean_dice=rows["id"].map(clean_dice(masks)), dice_stored=found.to_numpy())


def clean_dice(masks: pd.DataFrame) -> dict[str, float]:
    """Dice of each image without attack."""
    part = masks[masks["attack"] == "clean"]
    return {str(name): float(value) for name, value in zip(part["id"], part["quality"], strict=True)}


def lowest(masks: pd.DataFrame, norm: str, *, eps: float = math.inf, state: str = "stored") -> pd.DataFrame:
    """Per image (index) the row of the lowest Dice under one norm within a size."""
    part = masks[(masks["norm"] == norm) & (masks["state"] == state) & (masks["eps"] <= eps)]
    return part.sort_values("quality", kind="stable").drop_duplicates("id").set_index("id")


def worst_images(masks: pd.DataFrame, point: CurvePoint, *, most: int = 20) -> list[list[str]]:
    """Images with the lowest Dice as stored at the size of a point, lowest first, as rows of text."""
    eps = math.inf if point.eps is None else point.eps
    before = clean_dice(masks)
    stored, computed = (lowest(masks, point.norm, eps=eps, state=state) for state in ("stored", "float"))
    order = stored.assign(before=stored.index.map(before)).sort_values(["quality", "before"], kind="stable")
    return [
        [
            str(name),
            f"{before[str(name)]:.3f}",
            f"{computed['quality'].get(name, math.nan):.3f}",
            f"{row['quality']:.3f}",
            f"{row['attack']}, {row['budget']}",
        ]
        for name, row in order.head(most).iterrows()
    ]


def with_lowest(lines: list[list[Any]], masks: pd.DataFrame) -> list[list[Any]]:
    """Lines of the table of every image, with Dice before and the lowest after, as stored, in place of classes."""
    before = clean_dice(masks)
    found = {norm: lowest(masks, norm)["quality"] for norm in {line[1] for line in lines}}
    return [
        [line[0], line[1], f"{before[line[0]]:.3f}", _text(found[line[1]].get(line[0])), *line[4:]] for line in lines
    ]


def _text(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"
