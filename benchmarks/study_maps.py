"""Maps of a study's explained images as one picture for docs/results: maps alone, never an image of a set.

    python benchmarks/study_maps.py RUN --kind gradcam --out docs/results/NAME-gradcam.png [--cases 3]

A row for each explained step; in it, for each image, the map before the attack, after it, and under noise of its size.
Prints what stands in each row. Every map has its own scale, up to its 99.5th percentile, as on the page of the step.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from percuss.pipeline.recipe_files import read_study
from percuss.report.heat import heat_pixels
from percuss.store.png import slug

#: Side of a map in the picture, gap between maps, and gap between images.
SIDE, GAP, WIDE = 72, 2, 12
WHEN = ("before", "after", "noise")


def cells(folder: Path, kind: str, cases: int) -> list[list[Any]]:
    """For each image its three maps as pixels ``[SIDE, SIDE, 3]``."""
    record = json.loads((folder / "explain.json").read_text(encoding="utf-8"))
    found = []
    for name in record["images"][:cases]:
        with np.load(folder / "explain" / kind / record["norm"] / f"{slug(name)}.npz") as maps:
            found.append([_drawn(maps[when]) for when in WHEN])
    return found


def _drawn(values: Any) -> Any:
    peak = float(np.quantile(values, 0.995)) or float(values.max())
    return np.asarray(Image.fromarray(heat_pixels(values, peak=peak)).resize((SIDE, SIDE), Image.Resampling.NEAREST))


def row(shown: list[list[Any]], cases: int) -> Any:
    """One row of the picture, white where there are fewer images."""
    width = cases * (3 * SIDE + 2 * GAP) + (cases - 1) * WIDE
    found = np.full((SIDE, width, 3), 255, np.uint8)
    for place, maps in enumerate(shown):
        start = place * (3 * SIDE + 2 * GAP + WIDE)
        for number, pixels in enumerate(maps):
            left = start + number * (SIDE + GAP)
            found[:, left : left + SIDE] = pixels
    return found


def main() -> None:
    """Draws and says what is in the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--kind", default="gradcam")
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = []
    for step in read_study(given.run).steps:
        if step.kind != "explain" or step.state != "done":
            continue
        shown = cells(given.run / step.folder, given.kind, given.cases)
        if shown:
            rows += [row(shown, given.cases), np.full_like(row([], given.cases)[:GAP], 255)]
            print(f"row {len(rows) // 2}: {step.data}, {step.id}, {len(shown)} images")
    Image.fromarray(np.concatenate(rows[:-1])).save(given.out, optimize=True)


if __name__ == "__main__":
    main()
