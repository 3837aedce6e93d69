"""What an explanation computes piece by piece: maps of a few images, features, the way of one attack."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from percuss.attacks.bim import bim
from percuss.attacks.eval_mode import frozen
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import parse_budget
from percuss.core.errors import RunError
from percuss.core.images import Tensors
from percuss.core.seeds import ImageRandom
from percuss.explain.drift import MEASURES, drift, same_size_noise
from percuss.explain.features import features
from percuss.explain.gradcam import gradcam
from percuss.explain.perturbation import change_map, edges
from percuss.explain.saliency import Method, saliency
from percuss.pipeline.inputs import read_chunk
from percuss.pipeline.parts import Work
from percuss.pipeline.survive import kept_images
from percuss.store.png import slug

#: Images whose maps are made and kept at once, and noises per image.
PIECE, DRAWS = 8, 3
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class MapOptions:
    """Which maps: ``kind`` of ``explain_options.MAPS``, method of saliency, layer of Grad-CAM (None: the last)."""

    kind: str
    method: Method = "gradient"
    layer: str | None = None


def pair_of(work: Work, part: pd.DataFrame) -> tuple[Tensors, Tensor]:
    """The clean images of some kept rows, and the attacked ones as stored; RunError where one cannot be read."""
    ids = [str(name) for name in part["id"]]
    batch = read_chunk(work.chosen, ids)
    if batch.ids != ids:
        raise RunError("images of the run cannot be read any more", value=work.plan.data)
    return batch, kept_images(work, part)


def map_rows(work: Work, part: pd.DataFrame, wanted: MapOptions) -> pd.DataFrame:
    """Drift of the maps of some kept rows, computed now or read back; the maps themselves go into ``explain/``.

    Columns: id, group, draw (0 is the attack, then the noises), rank, overlap, shift, image, image_sha256 (of the
    file with the maps, in the row of the attack).
    """
    ids = [str(name) for name in part["id"]]
    norm = str(part["norm"].iloc[0])
    key = work.key("maps", ids, norm=norm, draws=DRAWS, maps=vars(wanted))
    found = work.folder.read_part(key)
    if found is not None:
        return found
    batch, attacked = pair_of(work, part)
    classes = explained_classes(work, batch, attacked)
    rng = ImageRandom(work.plan.seed, ids, "explain noise")
    noisy = [same_size_noise(batch.images, attacked, rng, region=batch.region) for _ in range(DRAWS)]
    if wanted.kind == "perturbation":
        # Whether the change shows the image: its size at each pixel against the edges of the clean image.
        before, *after = edges(batch.images), *(change_map(batch.images, images) for images in (attacked, *noisy))
    else:
        before, *after = (_maps(work, images, classes, wanted) for images in (batch.images, attacked, *noisy))
    tables = []
    for draw, maps in enumerate(after):
        table = pd.DataFrame({"id": ids, "group": [group or "" for group in batch.groups], "draw": draw})
        tables.append(table.assign(**vars(drift(before, maps)), image="", image_sha256=""))
    for row, name in enumerate(ids):
        file = f"explain/{wanted.kind}/{norm}/{slug(name)}.npz"
        content = {"before": before[row], "after": after[0][row], "noise": after[1][row]}
        digest = work.folder.write(file, packed({name: values.numpy() for name, values in content.items()}))
        tables[0].loc[row, ["image", "image_sha256"]] = [file, digest]
    rows = pd.concat(tables, ignore_index=True)
    work.folder.write_table(f"parts/{key}.parquet", rows)
    return rows


def explained_classes(work: Work, batch: Tensors, attacked: Tensor) -> Tensor:
    """The class whose maps are compared: the true one; of several labels the one that the attack moves most."""
    if work.model.task == "classify":
        return batch.targets.long()
    with frozen(work.model), torch.no_grad():
        one, two = (
            torch.cat([work.model(part.to(work.device)).cpu() for part in torch.split(images, work.plan.batch_size)])
            for images in (batch.images, attacked)
        )
    return (two - one).abs().argmax(1)


def _maps(work: Work, images: Tensor, classes: Tensor, wanted: MapOptions) -> Tensor:
    size = min(work.plan.batch_size, 16)
    if wanted.kind == "gradcam":
        return gradcam(work.model, images, classes, layer=wanted.layer, batch_size=size)
    return saliency(work.model, images, classes, method=wanted.method, batch_size=size)


def intervals_of(rows: pd.DataFrame) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Per measure, each image's value under the attack and its mean over the noises, ``[N]`` each, NaN if unknown."""
    attack = rows[rows["draw"] == 0]
    noise = rows[rows["draw"] > 0].groupby("id", sort=False)[list(MEASURES)].mean().loc[attack["id"]]
    return {name: (attack[name].to_numpy(float), noise[name].to_numpy(float)) for name in MEASURES}


def feature_rows(work: Work, ids: Sequence[str], layer: str | None, *, kept: pd.DataFrame | None = None) -> Arrays:
    """Features ``[N, D]`` of clean images, or of the kept attacked ones, with ids and labels; now or read back."""
    kind = "clean" if kept is None else "attacked"
    key = work.key("features", ids, layer=layer, of=kind, norm="" if kept is None else str(kept["norm"].iloc[0]))
    if work.folder.read_part(key) is not None:
        with np.load(io.BytesIO((work.folder.path / f"parts/{key}.npz").read_bytes())) as file:
            return dict(file)
    if kept is None:
        batch = read_chunk(work.chosen, ids)
        images = batch.images
    else:
        batch, images = pair_of(work, kept)
    size = work.plan.batch_size
    values = features(work.model, images, layer=layer, batch_size=size).numpy() if len(images) else np.zeros((0, 1))
    found = {"id": np.array(batch.ids, dtype=str), "values": values.astype(np.float32)}
    file = f"parts/{key}.npz"
    digest = work.folder.write(file, packed(found))
    work.folder.write_table(f"parts/{key}.parquet", pd.DataFrame({"image": [file], "image_sha256": [digest]}))
    return found


def attack_way(work: Work, row: pd.Series[Any], steps: int = 20) -> tuple[Tensor, list[float]]:
    """The iterates of ``bim`` on one image within the budget of its kept row, ``[T, C, H, W]``, the clean image first,
    and the score of its class less the best other at each, in logits (several labels: that of the least sure one).
    """
    batch = read_chunk(work.chosen, [str(row["id"])])
    device, seen = work.device, []
    region = None if batch.region is None else batch.region.to(device)
    inputs = Batch(batch.images.to(device), batch.targets.to(device), region)
    with frozen(work.model):
        target = Target(work.model, inputs, Goal(early_stop=False, keep="last"), pixels=None)
        handle = work.model.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().cpu()))
        try:
            end = bim(target, inputs, parse_budget(str(row["budget"])), rng=_none(row), steps=steps)
        finally:
            handle.remove()
        way = torch.cat([*seen[:steps], end.images.detach().cpu()])
        rows = torch.zeros(len(way), dtype=torch.long, device=device)
        with torch.no_grad():
            logits = torch.cat([work.model(part.to(device)) for part in torch.split(way, work.plan.batch_size)])
        return way, (-target.margin(logits, rows)).cpu().tolist()


def _none(row: pd.Series[Any]) -> ImageRandom:
    return ImageRandom(0, [str(row["id"])], "explain way")


def numbers_row(work: Work, key: str, compute: Callable[[], list[float]]) -> list[float]:
    """A list of numbers, computed now or read back."""
    found = work.folder.read_part(key)
    if found is None:
        found = pd.DataFrame({"value": np.array(compute(), dtype=float)})
        work.folder.write_table(f"parts/{key}.parquet", found)
    return [float(value) for value in found["value"]]


def packed(arrays: Arrays) -> bytes:
    """Arrays as the bytes of an npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()
