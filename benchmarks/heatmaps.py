"""Peak memory and time of percuss heatmap on slides that grow, each in a process of its own.

The slide is drawn tissue of 1024 px, repeated; the model is a mean over each cell, so that what is measured is the
reading, stitching and writing. Run: python benchmarks/heatmaps.py --sides 2048,8192,32768
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from torch import nn

SIDE = 1024


class Cells(nn.Module):
    """The darker the green of a cell, the more tumour."""

    cell = 4

    def forward(self, images):
        """One logit for each cell."""
        return 11 - 20 * nn.functional.avg_pool2d(images[:, 1:2], self.cell)


def one(slide: str, out: str) -> None:
    """Heat maps of one slide; prints seconds and the peak in MiB beyond the imports."""
    import resource

    from percuss.core.model import Model, ModelInfo
    from percuss.pipeline.heatmap import heatmap

    model = Model(Cells(), ModelInfo("cells", "heatmap", ("normal", "tumour"), 3, cell=4))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    done = heatmap([slide], model=model, out=out, mpp=1.0, size=512, overlap=128, threads=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tiles = done.record["slides"][0]["tiles"]
    print(f"{tiles} {time.process_time() - began:.1f} {(peak - before) / 1024:.0f} {peak / 1024:.0f}")


def main() -> None:
    """The table."""
    from percuss.data.slides.write import Raster, write_pyramid
    from percuss.data.tissue.slide import draw_slide

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", default="2048,8192,32768", help="heights of the slides in pixels, by commas")
    parser.add_argument("--width", type=int, default=None, help="width of all slides; their height where not given")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(*given.one)
        return
    pixels = draw_slide(0, side=SIDE, tumours=1, mpp=1.0).pixels.transpose(1, 2, 0)
    print("height x width, tiles, CPU s, peak MiB beyond imports, peak MiB")
    for side in map(int, given.sides.split(",")):
        width = given.width or side
        band = np.tile(pixels, (1, -(-width // SIDE), 1))[:, :width]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "slide.tif"
            bands = (band[: min(SIDE, side - top)] for top in range(0, side, SIDE))
            write_pyramid(path, bands, Raster(side, width, 3, "uint8", 1.0))
            call = [sys.executable, __file__, "--one", str(path), str(Path(folder) / "out")]
            done = subprocess.run(call, capture_output=True, check=True, text=True)
        print(f"{side} x {width}, {', '.join(done.stdout.split())}", flush=True)


if __name__ == "__main__":
    main()
