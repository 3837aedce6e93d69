"""Mosaic slides of real PCam patches, with outlines: real pixels where no real outlined slide is at hand.

    python benchmarks/mosaics.py DATA/pcam_patches OUT --side 12

Reads ``labels.csv`` (path, label, split) of a folder of 96 px patches and writes for each split as many slides of
``side`` x ``side`` patches as it can fill with half tumour, half normal ones, each patch used once: OUT/SPLIT_NN.tif, a
pyramid at 0.972 um per pixel, and OUT/SPLIT_NN.xml, an ASAP outline around the tumour patches: a disc around a drawn
centre. The layout is ours and has a seam every 96 px, and a patch that is called tumour need hold tumour in its
central 32 px only: good for tiles, heat maps and attacks, never for a claim about a clinic.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import shapely
from PIL import Image

from percuss.core.seeds import seed_of
from percuss.data.slides.write import Raster, in_bands, write_pyramid
from percuss.data.tissue.slide import asap_xml

PATCH, MPP = 96, 0.972


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("patches", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--side", type=int, default=12, help="patches along a side, even")
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    with (given.patches / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for split in dict.fromkeys(row["split"] for row in rows):
        kinds = [
            shuffled([row["path"] for row in rows if row["split"] == split and row["label"] == label], given.seed)
            for label in ("0", "1")
        ]
        half = given.side**2 // 2
        count = min(len(kind) // half for kind in kinds)
        for number in range(count):
            normal, tumour = (kind[number * half : (number + 1) * half] for kind in kinds)
            write(given.patches, given.out / f"{split}_{number:02d}", normal, tumour, seed=given.seed)
        print(f"{split}: {count} slides of {given.side * PATCH} px in {given.out}")


def shuffled(paths: list[str], seed: int) -> list[str]:
    """In an order that the seed decides."""
    return sorted(paths, key=lambda path: seed_of("mosaic", seed, path))


def write(home: Path, path: Path, normal: list[str], tumour: list[str], *, seed: int) -> None:
    """One slide and its outline; the half of the places that is nearest to a drawn centre holds tumour."""
    side = round((len(normal) + len(tumour)) ** 0.5)
    rng = np.random.default_rng(seed_of("mosaic layout", seed, path.name))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    order = np.argsort(np.hypot(*(places - rng.uniform(0, side - 1, 2)).T), kind="stable")
    pixels = np.zeros((side * PATCH, side * PATCH, 3), np.uint8)
    for place, name in zip(order, [*tumour, *normal], strict=True):
        row, column = (places[place] * PATCH).tolist()
        pixels[row : row + PATCH, column : column + PATCH] = np.asarray(Image.open(home / name).convert("RGB"))
    inside = [places[place] * PATCH for place in order[: len(tumour)]]
    whole = shapely.union_all([shapely.box(c, r, c + PATCH, r + PATCH) for r, c in inside])
    parts = [whole] if whole.geom_type == "Polygon" else list(whole.geoms)
    assert not any(len(part.interiors) for part in parts), "a disc has no holes"
    write_pyramid(path.with_suffix(".tif"), in_bands(pixels), Raster(*pixels.shape, "uint8", MPP))
    outlines = tuple(np.asarray(part.exterior.coords)[:-1, ::-1] for part in parts)
    path.with_suffix(".xml").write_bytes(asap_xml(outlines))


if __name__ == "__main__":
    main()
