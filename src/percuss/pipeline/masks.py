"""What a run of class maps keeps beside its rows: pixels counted by class, things counted, and the maps as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from percuss.attacks.job import Swept
from percuss.core import dense
from percuss.core.budget import Norm
from percuss.core.errors import RunError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import decide, is_right
from percuss.core.norms import distance
from percuss.core.outcome import Outcome
from percuss.data.decode import Reading, decode
from percuss.evaluate.instances import components, count_instances
from percuss.pipeline import heat
from percuss.store.folder import RunFolder
from percuss.store.png import encode, slug
from percuss.store.safe import sha256_of

#: One row per image, attack, budget and state; ``attack`` is ``clean`` before any.
TABLE = "dense.parquet"
CLEAN = "clean"
#: What such a part is called beside the part whose images it counts.
BESIDE = "-masks"
_LEVELS = PixelRange(0, 255)


def counted(batch: Tensors, logits: Tensor, maps: Tensor, *, what: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of ``dense.parquet`` for some images: loss, pixels by true and decided class, things where numbered.

    Args:
        batch: the images with their maps.
        logits: of the images as they are judged, ``[N, classes, H, W]`` on the CPU.
        maps: what they decide, ``[N, H, W]``.
        what: columns ``attack``, ``norm``, ``budget``, ``eps`` and ``state``, the same for all.
    """
    tables = dense.confusion(maps, batch.targets, logits.shape[1]).flatten(1).tolist()
    losses = dense.cross_entropy(logits, batch.targets).tolist()
    cells = [dict[str, Any]()] * len(maps)
    if batch.scored:
        cells = heat.columns(logits, batch.targets if what["attack"] == CLEAN else None)
    return [
        {
            "id": batch.ids[i],
            "group": batch.groups[i] or "",
            **what,
            "loss": losses[i],
            "pixels": tables[i],
            **cells[i],
            **_things(batch, maps, i),
        }
        for i in range(len(batch.ids))
    ]


def _things(batch: Tensors, maps: Tensor, index: int) -> dict[str, Any]:
    """Counts of numbered things against the connected parts of the decided map; empty where none are numbered."""
    if batch.instances is None:
        return {}
    judged = (batch.targets[index] != dense.IGNORE).numpy()
    found = components(maps[index].to(torch.uint8).numpy())
    return dict(vars(count_instances(found, batch.instances[index].numpy(), judged=judged)))


def clean_part(folder: RunFolder, key: str, batch: Tensors, *, logits: Tensor) -> None:
    """Write the counts of unattacked images as a part, and the maps of their truth and of what was decided."""
    what = {"attack": CLEAN, "norm": "", "budget": "", "eps": 0.0, "state": "stored", "linf": 0.0}
    maps = decide(logits, "segment")
    for name, truth, found in zip(batch.ids, batch.targets, maps, strict=True):
        folder.write(f"maps/truth/{slug(name)}.png", as_png(truth))
        folder.write(f"maps/{CLEAN}/{slug(name)}.png", as_png(found))
    if batch.scored:
        heat.write_clean(folder, batch.ids, logits)
    folder.write_table(f"parts/{key}{BESIDE}.parquet", pd.DataFrame(counted(batch, logits, maps, what=what)))


def attack_part(
    folder: RunFolder, key: str, batch: Tensors, *, swept: Swept, rows: Sequence[Outcome], judge: Any
) -> None:
    """Write the counts of attacked images as a part, as computed and as stored, and the maps of those that are kept.

    Args:
        folder, key: the run, and the part's name.
        batch: the clean images with their maps.
        swept: attacked images by budget.
        rows: of the unit; those with an image are kept.
        judge: gives logits ``[N, classes, H, W]`` on the CPU for images.
    """
    kept = {(row.id, row.budget) for row in rows if row.image}
    found: list[dict[str, Any]] = []
    for first in {row.budget: row for row in rows}.values():
        what = {"attack": first.attack, "norm": first.norm, "budget": first.budget, "eps": first.eps}
        for state, images in (("float", swept.images), ("stored", swept.stored)):
            logits = judge(images[first.budget])
            maps = decide(logits, "segment")
            some = counted(batch, logits, maps, what=what | {"state": state})
            sizes = distance(Norm.LINF, images[first.budget] - batch.images).tolist()
            for row, decided, size, one in zip(some, maps, sizes, logits, strict=True):
                row |= {"linf": size, "image": "", "image_sha256": ""}
                if state == "stored" and (row["id"], first.budget) in kept:
                    name = f"parts/{key}/maps/{slug(row['id'])}.png"
                    row |= {"image": name, "image_sha256": folder.write(name, as_png(decided))}
                    if batch.scored:
                        folder.write(heat.beside(name), heat.as_png(one))
            found += some
    folder.write_table(f"parts/{key}{BESIDE}.parquet", pd.DataFrame(found))


def against_truth(swept: Swept, batch: Tensors, *, judge: Any) -> list[Outcome]:
    """The sweep's rows with success by the true maps, where the attack was told others (the paper's protocol).

    Args:
        swept: attacked images by budget, and rows in the order of the batch for each budget.
        batch: the clean images with their true maps.
        judge: gives logits ``[N, classes, H, W]`` on the CPU for images.
    """
    found: list[Outcome] = []
    for budget in dict.fromkeys(row.budget for row in swept.outcomes):
        rows = [row for row in swept.outcomes if row.budget == budget]
        states = (judge(swept.images[budget]), judge(swept.stored[budget]))
        wrong, stored = (~is_right(logits, batch.targets, "segment") for logits in states)
        found += [replace(row, success=bool(wrong[i]), success_stored=bool(stored[i])) for i, row in enumerate(rows)]
    return found


def whole_table(folder: RunFolder, keys: Sequence[str], rows: pd.DataFrame) -> pd.DataFrame:
    """``dense.parquet`` from its parts, in the order of ``rows``, clean images first; moves the kept maps.

    Args:
        folder: the run.
        keys: of all parts beside which counts were written.
        rows: the run's rows, with the images that it keeps.

    Raises:
        RunError: a part is gone.
    """
    parts = [folder.read_part(f"{key}{BESIDE}") for key in keys]
    if any(part is None for part in parts):
        raise RunError("a part of the run is gone or damaged", next_step="give the same percuss audit command again")
    table = pd.concat([part for part in parts if part is not None], ignore_index=True)
    for column in ("image", "image_sha256"):
        table[column] = table[column].fillna("") if column in table else ""
    place = {key: i for i, key in enumerate(zip(rows["attack"], rows["budget"], strict=True))}
    order = [place.get(key, -1) for key in zip(table["attack"], table["budget"], strict=True)]
    table = table.assign(order=order).sort_values("order", kind="stable").drop(columns="order").reset_index(drop=True)
    kept = rows[rows["image"] != ""]
    wanted = dict(zip(zip(kept["id"], kept["attack"], kept["budget"], strict=True), kept["norm"], strict=True))
    names, hashes = [], []
    for case, attack, budget, image in zip(table["id"], table["attack"], table["budget"], table["image"], strict=True):
        norm = wanted.get((case, attack, budget)) if image else None
        names.append(f"maps/{norm}/{slug(str(case))}.png" if norm else "")
        hashes.append(folder.write(names[-1], (folder.path / str(image)).read_bytes()) if norm else "")
        kept_heat = folder.path / heat.beside(str(image))
        if norm and kept_heat.exists():
            folder.write(f"heat/{norm}/{slug(str(case))}.png", kept_heat.read_bytes())
    return table.drop(columns=["image", "image_sha256"]).assign(map=names, map_sha256=hashes)


def read_truths(folder: RunFolder, ids: Sequence[str]) -> Tensor:
    """The true maps that a run keeps, uint8 ``[N, H, W]``; RunError where one is gone or changed."""
    found = []
    for name in ids:
        path, known = folder.path / f"maps/truth/{slug(name)}.png", folder.manifest.get("files", {})
        if not path.exists() or known.get(f"maps/truth/{slug(name)}.png", "") not in ("", sha256_of(path)):
            raise RunError("a map of the run is gone or changed", value=path, next_step="run the audit again")
        values, _ = decode(path.read_bytes(), path.name, Reading())
        found.append(torch.from_numpy(values[0].astype("uint8")))
    return torch.stack(found)


def as_png(classes: Tensor) -> bytes:
    """A class map ``[H, W]`` as an 8-bit grey PNG whose values are the classes."""
    return encode((classes.double() / 255).unsqueeze(0), _LEVELS)
