"""The alarms of a run: checks of the model on some rightly decided images, and of the images that the run kept."""

from __future__ import annotations

import json
import time
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from percuss.attacks.alarms.run import run_alarms
from percuss.attacks.alarms.stored import stored_images_hold
from percuss.core.errors import RunError
from percuss.core.images import DENSE
from percuss.pipeline.inputs import read_chunk
from percuss.pipeline.masks import read_truths
from percuss.pipeline.parts import Work
from percuss.pipeline.survive import kept_images

#: Images looked at.
IMAGES = {"quick": 16, "standard": 32, "thorough": 64}


def alarm_records(
    work: Work, clean: pd.DataFrame, rows: pd.DataFrame, *, effort: str = "standard"
) -> tuple[list[dict[str, Any]], float]:
    """A record per check (``attacks.alarms.probe.Alarm``), computed now or read back, and the seconds they took.

    Args:
        work: the run.
        clean: the clean table; the images are spread over those that are right in it.
        rows: all rows, with the images kept already in the run folder.
        effort: ``quick``, ``standard`` or ``thorough``.
    """
    right = [str(name) for name in clean.loc[_asked(work, clean), "id"]]
    most = min(len(right), IMAGES[effort])
    ids = [right[i * len(right) // most] for i in range(most)]
    key = work.key("alarms", ids, effort=effort)
    found = work.folder.read_part(key)
    if found is None:
        begun = time.monotonic()
        records = []
        if ids:
            batch, plan = read_chunk(work.chosen, ids), work.plan
            records = run_alarms(
                work.model, batch, seed=plan.seed, batch_size=plan.batch_size, effort=effort, most=most
            )
            records.append(_stored(work, rows))
        found = pd.DataFrame({"record": [json.dumps(record) for record in records]}, dtype=object)
        found.attrs = {"seconds": time.monotonic() - begun}
        work.folder.write_table(f"parts/{key}.parquet", found)
    return [json.loads(text) for text in found["record"]], float(found.attrs["seconds"])


def _asked(work: Work, clean: pd.DataFrame) -> pd.Series[bool]:
    """The images that may be looked at: right ones; of heat maps those that hold cells of both kinds."""
    return clean["label"].eq("0|1") if work.model.task == "heatmap" else clean["correct"].astype(bool)


def _stored(work: Work, rows: pd.DataFrame) -> dict[str, Any]:
    """The kept images, read back from their files and judged again."""
    kept = rows[(rows["image"] != "") & rows["correct"].astype(bool)]
    try:
        images = kept_images(work, kept) if len(kept) else torch.zeros(0, *work.chosen.shape)
    except RunError as error:
        text = f"The check stored images hold could not be made: {error}"
        return {
            "id": "stored-image-differs",
            "check": "stored images hold",
            "flagged": True,
            "severity": "severe",
            "message": text,
            "evidence": {},
        }
    ids = [f"{name} {norm}" for name, norm in zip(kept["id"], kept["norm"], strict=True)]
    return stored_images_hold(
        work.model,
        images,
        _targets(work, kept),
        claimed=[bool(flag) for flag in kept["success_stored"]],
        ids=ids,
        batch_size=work.plan.batch_size,
    )


def _targets(work: Work, rows: pd.DataFrame) -> Tensor:
    if work.model.task in DENSE:
        return read_truths(work.folder, [str(name) for name in rows["id"]]) if len(rows) else torch.zeros(0, 0, 0)
    labels = [str(text) for text in rows["label"]]
    if work.model.task == "classify":
        return torch.tensor([int(text) for text in labels], dtype=torch.long)
    return torch.tensor([[float(bit) for bit in text] for text in labels])
