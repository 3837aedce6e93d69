"""The smallest flips of an audit's images against their contrast, and sets beside controls: is one more fragile?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from percuss.attacks.eval_mode import device_of
from percuss.attacks.smallest import smallest_change
from percuss.core.errors import DataError, RunError, UsageError, nearest
from percuss.core.fragility import MEASURES, Difference, SetFragility
from percuss.core.images import ImageSet, Tensors
from percuss.core.model import Model, is_right
from percuss.evaluate.fragility import Drawn, Flipped, difference, measured
from percuss.pipeline import environment
from percuss.pipeline.inputs import data_fingerprint, open_images, open_model, read_chunk
from percuss.pipeline.parts import Work, clean_logits
from percuss.pipeline.plain_values import as_plain
from percuss.pipeline.progress import Progress
from percuss.pipeline.survive import check_same, plan_of
from percuss.pipeline.tasks import refuse_maps
from percuss.store.folder import RunFolder, now

NAME = "percuss-fragility-1"
TABLE, RECORD = "fragility.parquet", "fragility.json"


@dataclass(frozen=True)
class Fragile:
    """The smallest flips of one run: its folder, the numbers, and the rows (null size: never flipped)."""

    path: Path
    found: SetFragility
    rows: pd.DataFrame


def smallest_flips(
    run: Path | str,
    *,
    norms: Sequence[str] = ("linf", "l2"),
    limit: int | None = None,
    steps: int = 100,
    progress: Progress | None = None,
    **options: Any,
) -> Fragile:
    """Search the smallest change of each image of a finished audit, and set it against the contrast of the images.

    Args:
        run: folder of a finished audit; gains ``fragility.json`` and ``fragility.parquet``.
        norms: ``linf``, ``l2`` or both.
        limit: at most so many of its images, each class with its share.
        steps: gradient evaluations for each image and norm, at most (``percuss.smallest``).
        progress: told what happens.
        options: ``data``, ``model``, ``weights``, ``allow_code``, ``device``, ``batch_size``, ``threads``, instead of
            those of the audit's plan.

    A stopped search goes on where it was.

    Raises:
        RunError: no finished run, other images or another model. UsageError: an unknown norm. DataError: no image
        can be read or is decided rightly, the images have no contrast, or are tiles of heat maps.
    """
    say, wanted = progress or Progress(), tuple(norms)
    for norm in wanted or ("",):
        if norm not in MEASURES:
            raise UsageError("no such norm for smallest flips", value=norm, allowed=nearest(norm, MEASURES))
    folder = RunFolder.existing(Path(run))
    if not folder.finished:
        raise RunError("the run is not finished", value=run, next_step="give its percuss audit command again")
    data, model = options.pop("data", None), options.pop("model", None)
    plan = plan_of(folder, data=data, model=model, options=options)
    with environment.threads(plan.threads):
        chosen = open_images(plan, data if isinstance(data, ImageSet) else None)
        if chosen.images.task == "heatmap":  # where a heat map flips says little of it
            refuse_maps(chosen.images, "a search of smallest flips")
        judged = open_model(plan, model if isinstance(model, nn.Module | Model) else None, chosen)
        judged = judged.to(environment.pick_device(plan.device))
        check_same(folder, images=data_fingerprint(chosen), model=judged.fingerprint())
        some = chosen.ids if limit is None or limit >= len(chosen.ids) else chosen.images.spread(limit)
        folder = RunFolder.start(folder.path, folder.manifest["identity"])
        try:
            work = Work(plan, replace(chosen, ids=tuple(some)), judged, device_of(judged), folder)
            rows = _rows(work, wanted, steps, say)
            found = measured(_flipped(rows, wanted, chosen.shape), seed=plan.seed).found
            folder.write_table(TABLE, rows)
            record = {"kind": NAME, "made": now(), "seed": plan.seed, "steps": steps, **as_plain(asdict(found))}
            folder.write(RECORD, json.dumps(record, indent=2, allow_nan=False) + "\n")
            folder.finish()
            folder.drop("parts")
        finally:
            folder.close()
    return Fragile(folder.path, found, rows)


def fragility(runs: Mapping[str, Path | str], *, controls: Sequence[str], seed: int = 0) -> tuple[Difference, ...]:
    """Each set beside each control, under every norm that both were searched in.

    Args:
        runs: folders with ``fragility.json`` (``smallest_flips``), by the name of the set.
        controls: names of the sets that the others are compared with.
        seed: of the bootstrap.

    Raises:
        UsageError: a control that is no run, or no set beside the controls. RunError: a folder that was not searched.
    """
    for name in controls:
        if name not in runs:
            raise UsageError("the control is not among the runs", value=name, allowed=nearest(name, runs))
    others = [name for name in runs if name not in controls]
    if not controls or not others:
        raise UsageError("a set and a control are needed", value=f"controls: {', '.join(controls) or 'none'}")
    # Each set has draws of its own: two sets that share a seed and a size would be drawn alike.
    drawn = {name: _drawn(Path(path), seed + place) for place, (name, path) in enumerate(runs.items())}
    return tuple(
        difference((name, control), drawn[name], drawn[control], norm=norm)
        for name in others
        for control in controls
        for norm in MEASURES
        if all(norm in drawn[side].draws for side in (name, control))
    )


def _drawn(path: Path, seed: int) -> Drawn:
    try:
        record: dict[str, Any] = json.loads((path / RECORD).read_text(encoding="utf-8"))
        rows = pd.read_parquet(path / TABLE)
    except (OSError, ValueError) as error:
        raise RunError(
            "the smallest flips of the run are not known", value=path, next_step="call smallest_flips on it first"
        ) from error
    norms = [item["norm"] for item in record["sizes"]]
    return measured(_flipped(rows, norms, tuple(record["shape"])), seed=seed)


def _rows(work: Work, norms: Sequence[str], steps: int, say: Progress) -> pd.DataFrame:
    say.line(f"smallest flips of {len(work.chosen.ids)} images under {', '.join(norms)}")
    say.start("smallest flips", len(work.chosen.chunks))
    parts = []
    for ids in work.chosen.chunks:
        key = work.key("fragility", ids, norms=list(norms), steps=steps)
        found = work.folder.read_part(key)
        if found is None:
            found = _searched(work, read_chunk(work.chosen, ids), norms, steps)
            work.folder.write_table(f"parts/{key}.parquet", found)
        parts.append(found)
        say.advance()
    say.stop()
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    if not len(table):
        raise DataError("no image can be read", next_step="mend the files or the data spec")
    return table


def _searched(work: Work, batch: Tensors, norms: Sequence[str], steps: int) -> pd.DataFrame:
    """A row per image: id, group, right, variance, and under each norm the smallest flip per value, NaN for none."""
    found: dict[str, Any] = {"id": batch.ids, "group": [group or "" for group in batch.groups]}
    if not batch.ids:
        return pd.DataFrame(columns=[*found, "right", "variance", *norms])
    right = is_right(clean_logits(work, batch.images), batch.targets, work.model.task)
    found |= {"right": right.tolist(), "variance": batch.images.double().flatten(1).var(1, correction=0).tolist()}
    for norm in norms:
        sizes = np.full(len(batch.ids), np.nan)
        if bool(right.any()):
            images, targets = batch.images[right], batch.targets[right]
            size = work.plan.batch_size
            region = None if batch.region is None else batch.region[right]
            given: dict[str, Any] = {"seed": work.plan.seed, "steps": steps, "batch_size": size, "pixels": batch.range}
            flips = smallest_change(work.model, images.to(work.device), targets, norm, region=region, **given).sizes
            sizes[right.numpy()] = np.where(torch.isfinite(flips), flips, np.nan)
        found[norm] = sizes / (batch.images[0].numel() ** 0.5 if norm == "l2" else 1.0)
    return pd.DataFrame(found)


def _flipped(rows: pd.DataFrame, norms: Sequence[str], shape: tuple[int, ...]) -> Flipped:
    sizes = {norm: rows[norm].to_numpy(dtype=np.float64) for norm in norms}
    return Flipped(
        {norm: np.where(np.isnan(values), np.inf, values) for norm, values in sizes.items()},
        rows["right"].to_numpy(dtype=bool),
        rows["variance"].to_numpy(dtype=np.float64),
        tuple(str(group) for group in rows["group"]),
        tuple(shape),
    )
