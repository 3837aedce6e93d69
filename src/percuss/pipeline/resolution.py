"""Whether a detector is judged on tiles of the resolution that it was trained at."""

from __future__ import annotations

import json
from pathlib import Path

from percuss.core.errors import DataError
from percuss.core.images import ImageSet
from percuss.core.outcome import Finding

#: Relative difference from which two resolutions are no longer the same.
SAME = 0.1


def other_resolution(model: str, images: ImageSet) -> list[Finding]:
    """A finding where tiles have another resolution than those of the model's training.

    Args:
        model: folder of ``percuss train``; of other specs nothing is known.
        images: of task ``heatmap``; the first one's pixel spacing is taken.
    """
    file = Path(model) / "training.json"
    if images.task != "heatmap" or not images.ids or not file.is_file():
        return []
    try:
        trained = (json.loads(file.read_text(encoding="utf-8")).get("tiles") or {}).get("mpp")
        spacing = images.read(images.ids[0]).spacing_mm
    except (ValueError, DataError):  # damage is told where model and images are used
        return []
    if not trained or spacing is None or abs(spacing[0] * 1000 / trained - 1) <= SAME:
        return []
    asked = round(spacing[0] * 1000, 6)
    text = f"The model was trained at {trained:g} µm per pixel; these tiles have {asked:g}."
    return [Finding("other-resolution", "warning", text, {"trained": trained, "asked": asked})]
