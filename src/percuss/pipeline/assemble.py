"""From parts to a run: all rows in one table, one kept image for each image and norm."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from percuss.core.budget import Norm
from percuss.core.images import DENSE
from percuss.core.outcome import COLUMNS
from percuss.pipeline.masks import BESIDE
from percuss.pipeline.parts import Work
from percuss.store.png import slug


def clean_rows(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The clean pass of every portion as one table."""
    filled = [part for part in parts if len(part)]
    return pd.concat([part.set_axis(part.columns, axis=1) for part in filled], ignore_index=True)


def attack_rows(work: Work, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Every row, ordered by norm, attack, budget and image, with the kept images moved to ``images/NORM/``."""
    rows = pd.concat(list(parts), ignore_index=True)[list(COLUMNS)]
    rows = _ordered(work, rows)
    if work.model.task == "heatmap":
        return _keep_images(work, rows.merge(_losses(work, parts), how="left"))[list(COLUMNS)]
    return _keep_images(work, rows)


def _losses(work: Work, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Cross-entropy of each stored heat map, as ``loss`` by image, attack and budget."""
    found = [work.folder.read_part(f"{part.attrs['key']}{BESIDE}") for part in parts]
    table = pd.concat([part for part in found if part is not None], ignore_index=True)
    return table.loc[table["state"] == "stored", ["id", "attack", "budget", "loss"]]


def _ordered(work: Work, rows: pd.DataFrame) -> pd.DataFrame:
    norms = {norm.value: i for i, norm in enumerate(work.plan.by_norm())}
    budgets = {b.text: i for norm in map(Norm, norms) for i, b in enumerate(work.budgets(norm))}
    places = pd.DataFrame(
        {
            "norm": rows["norm"].map(norms),
            "attack": rows["attack"].map({name: i for i, name in enumerate(work.plan.attacks)}),
            "budget": rows["budget"].map(budgets),
            "id": rows["id"].map({name: i for i, name in enumerate(work.chosen.ids)}),
        }
    )
    order = places.sort_values(["norm", "attack", "budget", "id"], kind="stable").index
    return rows.loc[order].reset_index(drop=True)


def _keep_images(work: Work, rows: pd.DataFrame) -> pd.DataFrame:
    """Of the images that the attacks kept, the best of each image and norm; the rows of the others lose theirs."""
    kept = rows[rows["image"] != ""].copy()
    stored, flipped, eps = kept["success_stored"].astype(bool), kept["success"].astype(bool), kept["eps"]
    kept["tier"] = (~stored).astype(int) + (~stored & ~flipped).astype(int)
    kept["size"] = eps.where(kept["tier"] < 2, -eps)
    # Of class maps at the same size the worst one, whichever attack made it.
    kept["left"] = -kept["margin"] if work.model.task in DENSE else 0.0
    if "loss" in kept:  # of a heat map the largest attempt is kept
        kept["tier"], kept["size"], kept["left"] = 0, -eps, -kept["loss"]
    best = kept.sort_values(["tier", "size", "left"], kind="stable").drop_duplicates(["id", "norm"])
    chosen = best[["id", "norm", "image", "image_sha256"]]
    rows = rows.assign(image="", image_sha256="")
    for index, row in chosen.iterrows():
        name = f"images/{row['norm']}/{slug(str(row['id']))}.png"
        content = (work.folder.path / str(row["image"])).read_bytes()
        rows.loc[index, ["image", "image_sha256"]] = [name, work.folder.write(name, content)]
    return rows
