"""Peak memory of reading a slide whole, tile by tile, for slides of several sizes: it must not grow with the slide.

Writes a tiled pyramidal TIFF of each size in a streaming way (a tile at a time), then reads every tile of a view in a
process of its own and prints its peak memory above that of the imports.

    python benchmarks/slide_memory.py [--sides 4096,16384] [--tile 512] [--scale 1.5] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_TILE = 512


def write_big(path: Path, side: int, *, levels: int = 2, tile: int = _TILE) -> Path:
    """Write a square slide of ``side`` pixels whose tiles are drawn and packed one at a time; levels are halved."""
    import tifffile

    rng = np.random.default_rng(0)
    patterns = [
        np.clip(rng.normal((200, 120, 180), 12, (tile // 16, tile // 16, 3)), 0, 255)
        .astype(np.uint8)
        .repeat(16, 0)
        .repeat(16, 1)
        for _ in range(8)
    ]

    def tiles(count: int) -> Iterator[np.ndarray]:
        for number in range(count):
            yield patterns[number % len(patterns)]

    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number in range(levels):
            size = side >> number
            writer.write(
                tiles((-(-size // tile)) ** 2),
                shape=(size, size, 3),
                dtype=np.uint8,
                tile=(tile, tile),
                photometric="rgb",
                compression="adobe_deflate",
                resolution=(4e4 / 2**number, 4e4 / 2**number),
                resolutionunit="CENTIMETER",
                subfiletype=number and 1,
                metadata=None,
            )
    return path


def peak() -> float:
    """Peak memory of this process so far in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_whole(path: Path, *, tile: int, scale: float) -> dict[str, float]:
    """Read every tile of a view once and find its tissue; pixels, seconds and peak memory above the start, in MiB."""
    from percuss.data.slides.open import open_slide
    from percuss.data.slides.tissue import tissue_grid
    from percuss.data.slides.view import View

    with open_slide(path) as slide:
        # What the first read loads (codecs, buffers) is no part of the slide.
        View.at_scale(slide, scale).read(0, 0, tile, tile)
    start, begun = peak(), time.perf_counter()
    with open_slide(path) as slide:
        view = View.at_scale(slide, scale)
        total = 0
        for row in range(0, view.height, tile):
            for column in range(0, view.width, tile):
                total += view.read(row, column, tile, tile).size
        tissue_grid(view, tile)
    return {
        "pixels": total / 3,
        "seconds": time.perf_counter() - begun,
        "start_mib": start,
        "grown_mib": peak() - start,
    }


def measure(side: int, *, tile: int, scale: float) -> dict[str, float]:
    """Write a slide and read it in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_big(Path(folder) / "big.tif", side)
        command = [sys.executable, __file__, "--read", str(path), "--tile", str(tile), "--scale", str(scale)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        return {"side": side, "file_mib": path.stat().st_size / 2**20, **json.loads(done.stdout)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", default="4096,16384", help="sides of the slides in pixels")
    parser.add_argument("--tile", type=int, default=512, help="side of a tile in pixels of the view")
    parser.add_argument("--scale", type=float, default=1.5, help="pixels of level 0 per pixel of the view")
    parser.add_argument("--json", action="store_true", help="print a list instead of a table")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read_whole(given.read, tile=given.tile, scale=given.scale)))
        return
    found = [measure(int(side), tile=given.tile, scale=given.scale) for side in given.sides.split(",")]
    if given.json:
        print(json.dumps(found))
        return
    print("side    pixels raw MiB  file MiB  seconds  peak MiB over start")
    for row in found:
        raw = row["side"] ** 2 * 3 / 2**20
        print(f"{row['side']:6} {raw:14.0f} {row['file_mib']:9.1f} {row['seconds']:8.1f} {row['grown_mib']:20.1f}")


if __name__ == "__main__":
    main()
