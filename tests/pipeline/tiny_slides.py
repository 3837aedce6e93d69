"""Tiny slides as TIFF with outlines, and a plan that cuts them."""

import numpy as np
import tifffile

from percuss.pipeline.tile_plan import TilePlan

SIDE = 640


def pixels(seed, side=SIDE):
    """Tissue-coloured noise with a white upper left quarter."""
    rng = np.random.default_rng(seed)
    found = (np.array([200, 120, 180]) + rng.integers(-40, 40, (side, side, 3))).astype(np.uint8)
    found[: side // 2, : side // 2] = 250
    return found


def write_slide(path, image, mpp=0.5):
    with tifffile.TiffWriter(path) as writer:
        options = {"tile": (128, 128), "photometric": "rgb", "compression": "deflate", "metadata": None}
        if mpp:
            options |= {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
        writer.write(image, **options)
    return path


def write_outline(path, points):
    corners = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(points))
    path.write_text('<ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" PartOfGroup="_0"><Coordinates>'
                    f"{corners}</Coordinates></Annotation></Annotations></ASAP_Annotations>")  # fmt: skip


BOX = [(400, 96), (560, 96), (560, 544), (400, 544)]
PLAN = TilePlan(mpp=0.5, size=64, min_tissue=0.25)


def three_slides(home):
    """Folder with three slides, two of them outlined."""
    home.mkdir()
    for number, name in enumerate(("first", "second", "tumor_010")):
        write_slide(home / f"{name}.tif", pixels(number))
    for name in ("first", "tumor_010"):
        write_outline(home / f"{name}.xml", BOX)
    return home


def content(folder, skip=()):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name not in skip
    }
