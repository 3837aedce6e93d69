"""The per-image rows of a run, looked up (never judged anew): smallest flipping size, and the cases to show."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from percuss.core.errors import RunError
from percuss.core.results import DataRecord
from percuss.core.seeds import seed_of
from percuss.report.numbers import class_text, size_text

NORM_ORDER = ("linf", "l2", "l1", "l0", "none")


@dataclass(frozen=True)
class Shown:
    """One image chosen for the picture part.

    Attributes:
        why: ``worst``, ``median``, ``random``, ``never`` or ``wrong``.
        row: the outcome row whose stored image is shown (column name to value).
    """

    why: str
    row: dict[str, Any]


def is_control(attack: str) -> bool:
    """Whether an attack is a control (random noise) and not an attack proper."""
    return "noise" in attack


def load(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Outcome rows and clean rows of a run; RunError where a file is missing or damaged."""
    found = []
    for name in ("rows.parquet", "clean.parquet"):
        try:
            found.append(pd.read_parquet(folder / name))
        except (OSError, ValueError) as error:
            raise RunError(
                f"{folder / name} cannot be read", value=error, next_step="run percuss audit again to finish the run"
            ) from error
    rows, clean = found
    for table, columns in ((rows, ("id", "label", "image")), (clean, ("id", "label", "prediction"))):
        for column in columns:
            table[column] = table[column].astype(str)
    return rows, clean


def norms(rows: pd.DataFrame) -> list[str]:
    """Norms that were attacked, in the report's order."""
    present = set(rows["norm"])
    return [norm for norm in NORM_ORDER if norm in present] + sorted(present - set(NORM_ORDER))


def smallest(rows: pd.DataFrame, column: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Per (image, norm) the row of the smallest size with ``column`` true; images never flipped are absent."""
    hit = rows[rows[column].astype(bool) & rows["correct"].astype(bool) & ~_controls(rows)]
    first = hit.sort_values(["eps", "gradient_evaluations"], kind="stable").drop_duplicates(["id", "norm"])
    return {(str(row["id"]), str(row["norm"])): row for row in _dicts(first)}


def flip_sizes(rows: pd.DataFrame, clean: pd.DataFrame, norm: str, *, stored: bool) -> list[float]:
    """Smallest flipping eps of every image right from the start, ascending; infinity for never flipped."""
    found = smallest(rows[rows["norm"] == norm], "success_stored" if stored else "success")
    right = clean.loc[clean["correct"].astype(bool), "id"]
    return sorted(float(found[(i, norm)]["eps"]) if (i, norm) in found else math.inf for i in right)


def table(rows: pd.DataFrame, clean: pd.DataFrame, data: DataRecord) -> list[list[Any]]:
    """One list per image and norm, for the table of the report.

    Columns: id, norm, label, clean prediction, state (flipped, never, wrong, untried), eps as number or None, its text,
    the same two as stored, attack, confidence after the attack, gradient evaluations of that attack.
    """
    real = rows[~_controls(rows)]
    as_float, as_stored = smallest(rows, "success"), smallest(rows, "success_stored")
    widest = real.sort_values("eps", kind="stable").drop_duplicates(["id", "norm"], keep="last")
    last = {(str(row["id"]), str(row["norm"])): row for row in _dicts(widest)}
    return [
        _line(case, norm, data, (as_float.get(key), as_stored.get(key), last.get(key)))
        for norm in norms(rows)
        for case in _dicts(clean)
        for key in [(str(case["id"]), norm)]
    ]


def _line(case: dict[str, Any], norm: str, data: DataRecord, found: tuple[dict[str, Any] | None, ...]) -> list[Any]:
    flip, kept, last = found
    basis = (flip or kept or last) if case["correct"] else None
    state = "wrong" if not case["correct"] else "flipped" if flip or kept else "never" if last else "untried"
    sizes: list[Any] = []
    for row in (flip, kept):
        sizes += [_finite(row["eps"]), size_text(str(row["budget"]))] if row else [None, ""]
    return [
        case["id"],
        norm,
        class_text(str(case["label"]), data),
        class_text(str(case["prediction"]), data),
        state,
        *sizes,
        str(basis["attack"]) if basis else "",
        round(float(basis["confidence"]), 3) if basis and math.isfinite(basis["confidence"]) else None,
        int(basis["gradient_evaluations"]) if basis else None,
    ]


def choose(rows: pd.DataFrame, norm: str, run_id: str, *, each: int = 6) -> list[Shown]:
    """Cases of one norm to show, at most ``each`` of a kind and no image twice: worst, median, random, never flipped.

    Only rows with a kept image count. "Flipped" means as stored, since the stored image is what is shown. Of class maps
    (rows with ``dice_stored``) also those that were below the bar before any attack, ``wrong``: largest loss first.
    """
    kept = rows[(rows["norm"] == norm) & (rows["image"] != "") & ~_controls(rows)]
    below = _below(kept, each)
    kept = kept[kept["correct"].astype(bool)]
    flipped_ids = {key[0] for key in smallest(rows[rows["norm"] == norm], "success_stored")}
    order = ["eps", *(["dice_stored"] if "dice_stored" in kept else []), "id"]
    hit = kept[kept["success_stored"].astype(bool)].sort_values(order, kind="stable")
    flips = _dicts(hit.drop_duplicates("id"))
    rest = kept[~kept["id"].isin(flipped_ids)].sort_values(["eps", "id"], kind="stable")
    never = _dicts(rest.drop_duplicates("id", keep="last"))
    taken: list[Shown] = [Shown("worst", row) for row in flips[:each]]
    left = flips[each:]
    middle = max(0, len(flips) // 2 - each - each // 2)
    taken += [Shown("median", row) for row in left[middle : middle + each]]
    left = left[:middle] + left[middle + each :]
    draw = random.Random(seed_of(run_id, norm, "report images"))
    taken += [Shown("random", row) for row in draw.sample(left, min(each, len(left)))]
    return [*taken, *(Shown("never", row) for row in draw.sample(never, min(each, len(never)))), *below]


def _below(kept: pd.DataFrame, each: int) -> list[Shown]:
    """Class maps that were below the bar before; whole images that were wrong before are not kept."""
    if "dice_stored" not in kept:
        return []
    wrong = kept[~kept["correct"].astype(bool)]
    order = wrong.assign(lost=wrong["dice_stored"] - wrong["clean_dice"]).sort_values(["lost", "id"], kind="stable")
    return [Shown("wrong", row) for row in _dicts(order.drop_duplicates("id")[:each])]


def _controls(rows: pd.DataFrame) -> pd.Series[bool]:
    # The type is forced: on an empty table, map gives objects, and a mask of objects selects columns.
    return rows["attack"].map(is_control).astype(bool)


def _dicts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _finite(value: Any) -> float | None:
    # The norm none has infinite eps: it sorts behind every size, yet it is not "never flipped".
    return float(f"{float(value):.6g}") if math.isfinite(float(value)) else 1e9
