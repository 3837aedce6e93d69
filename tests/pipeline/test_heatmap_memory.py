"""Peak memory of heat maps of slides of two sizes, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from percuss.data.slides.write import Raster, write_pyramid
from percuss.data.tissue.slide import draw_slide

pytest.importorskip("tifffile", reason="the extra wsi is not installed")
pytest.importorskip("tiffslide", reason="the extra wsi is not installed")

_BODY = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from heat_models import local_model
from percuss.pipeline.heatmap import heatmap
heatmap([sys.argv[2]], model=local_model(), out=sys.argv[3], mpp=1.0, size=256, threads=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_memory_does_not_grow_with_the_slide(tmp_path):
    colour = draw_slide(1, side=512, tumours=1, mpp=1.0).pixels.transpose(1, 2, 0)
    peaks = []
    for times in (2, 12):
        path = tmp_path / f"{times}.tif"
        wide = np.concatenate([colour] * 2, 1)
        write_pyramid(path, (wide for _ in range(times)), Raster(512 * times, 1024, 3, "uint8", 1.0))
        call = [sys.executable, "-c", _BODY, str(Path(__file__).parent), str(path), str(tmp_path / f"run{times}")]
        peaks.append(float(subprocess.run(call, capture_output=True, check=True, text=True).stdout))
    # Six times the pixels (16 MB more of them as stored): no more than allocator noise.
    assert peaks[1] < peaks[0] + 16
