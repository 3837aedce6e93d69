"""percuss.tile: slides into tiles for programs and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from percuss.core.errors import UsageError, nearest
from percuss.pipeline.progress import Progress
from percuss.pipeline.tile import Known, Tiling
from percuss.pipeline.tile import tile as run
from percuss.pipeline.tile_plan import TilePlan

Names = str | Path | Sequence[str | Path]


def tile(
    slides: str | Path | Sequence[str | Path],
    *,
    mpp: float,
    size: int,
    out: str | Path,
    progress: Progress | None = None,
    **options: Any,
) -> Tiling:
    """Cut slides into tiles at a resolution, with a mask of tumour cells for each; read them with ``tiled:DIR``.

    Args:
        slides: files, patterns, folders, or ``synthetic:slide?seed=0``.
        mpp: resolution of the tiles in micrometres per pixel.
        size: side of a tile in pixels.
        out: folder to make, or to go on with.
        progress: told how far it is; silent where None.
        options: as of ``percuss tile``: those of ``percuss.pipeline.tile_plan.TilePlan``; ``annotations``, outlines or
            masks, or folders with NAME.xml or NAME_mask.tif; ``normal``, ``not_exhaustive`` and ``count_outside``,
            names or patterns of slides; ``workers``, processes, on which the tiles do not depend.

    Raises:
        PercussError: wrong options, no slide that could be used, a folder of something else. A few bad slides among
            others are recorded in ``bad`` instead.
    """
    known = {
        name: _several(options.pop(name, ())) for name in ("annotations", "normal", "not_exhaustive", "count_outside")
    }
    workers = options.pop("workers", 1)
    allowed = [item.name for item in fields(TilePlan)]
    for name in options:
        if name not in allowed:
            raise UsageError(
                "tile has no such option", value=name, allowed=nearest(name, [*allowed, *known, "workers"])
            )
    if "groups" in options:
        options["groups"] = _several(options["groups"])
    plan = TilePlan(mpp=mpp, size=size, **options)
    paths = tuple(Path(name) for name in known["annotations"])
    beside = Known(paths, known["normal"], known["not_exhaustive"], known["count_outside"])
    return run(slides, out, plan, known=beside, workers=workers, progress=progress)


def _several(names: Names) -> tuple[str, ...]:
    """One name or several as a tuple of text."""
    return (str(names),) if isinstance(names, str | Path) else tuple(map(str, names))
