"""Do the attacked images, read back from their files, still do what the rows say?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from percuss.attacks.alarms.probe import Alarm
from percuss.attacks.eval_mode import device_of, frozen
from percuss.core.errors import RunError
from percuss.core.model import Model, is_right
from percuss.core.outcome import Severity


def stored_images_hold(
    model: Model, images: Tensor, targets: Tensor, *, claimed: Sequence[bool], ids: Sequence[str], batch_size: int = 32
) -> dict[str, Any]:
    """A record of one check: every stored image flips exactly where its row says so; severe where one does not.

    Args:
        model: the user's model, loaded anew where that can be.
        images: as decoded from the files, float32 ``[N, C, H, W]`` in [0, 1].
        targets: true decisions, ``[N]`` or ``[N, K]``.
        claimed: ``success_stored`` of the row of each image.
        ids: names of the images.
        batch_size: images at a time.

    Raises:
        RunError: not one claim and one id per image.
    """
    if not len(images) == len(targets) == len(claimed) == len(ids):
        raise RunError("images, targets, claims and ids differ in number", value=f"{len(images)}, {len(claimed)}")
    device = device_of(model)
    with frozen(model), torch.no_grad():
        parts = [model(some.to(device)).cpu() for some in torch.split(images, batch_size)]
    logits = torch.cat(parts) if parts else torch.zeros(0, model.outputs[0])
    flips = ~is_right(logits, targets.cpu(), model.task) if len(logits) else torch.zeros(0, dtype=torch.bool)
    other = (flips != torch.tensor(list(claimed), dtype=torch.bool)).nonzero().flatten().tolist()
    text = f"Read back from disk, {len(other)} of {len(ids)} stored images do not decide as their rows say."
    evidence = {"images": len(ids), "claimed": int(sum(claimed)), "differ": [ids[i] for i in other[:20]]}
    severity: Severity = "severe" if other else "info"
    return asdict(Alarm("stored-image-differs", "stored images hold", bool(other), severity, text, evidence))
