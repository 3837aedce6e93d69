"""Real slides: the same pixels by every reader, resolution as stored, and tissue where it is."""

import os
from pathlib import Path

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data.slides.open import open_slide
from percuss.data.slides.tissue import tissue_grid
from percuss.data.slides.view import View

pytestmark = pytest.mark.real
REAL = Path(os.environ.get("PERCUSS_REAL_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
#: Size, levels, um per pixel, and the share of tiles of 256 pixels that hold tissue by Otsu and by the paper's rule.
SLIDES = {
    "CMU-1-Small-Region.svs": (2967, 2220, 1, 0.499, 0.28, 0.36),
    "TCGA-CR-7395-01A-01-TS1.svs": (3567, 4443, 2, None, 0.66, 0.10),
    "monuseg_TCGA-B0-5698-01Z-00-DX1.tif": (1000, 1000, 2, 0.25, 1.0, 0.22),
    "mosaic_pcam_synthetic_layout.tif": (2688, 2688, 4, 0.972, 0.51, 0.64),
    "TCGA-XK-AAJU-01A-01-TS1_tiled.dcm": (2638, 3236, 1, None, 0.54, 0.37),
}


@pytest.fixture(params=SLIDES)
def path(request):
    found = REAL / "wsi" / request.param
    if not found.is_file():
        pytest.skip(f"no {request.param} at {found.parent}; set PERCUSS_REAL_DATA")
    pytest.importorskip("tiffslide")
    return found


def test_size_resolution_and_tissue(path):
    height, width, levels, mpp, otsu, paper = SLIDES[path.name]
    with open_slide(path) as slide:
        assert (slide.height, slide.width, len(slide.levels)) == (height, width, levels)
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-3))
        view = View.at_scale(slide, 1)
        for rule, share in (("otsu", otsu), ("paper", paper)):
            assert tissue_grid(view, 256, rule=rule).kept.mean() == pytest.approx(share, abs=0.05)


def test_openslide_gives_the_same_pixels(path):
    pytest.importorskip("openslide")
    if path.suffix == ".dcm":
        with pytest.raises(DataError, match="OpenSlide cannot read the file"):
            open_slide(path, reader="openslide")
        return
    with open_slide(path) as ours, open_slide(path, reader="openslide") as peer:
        assert (peer.levels, peer.mpp) == (ours.levels, ours.mpp and pytest.approx(ours.mpp))
        for number, level in enumerate(ours.levels):
            places = [(0, 0), (512, 256), (ours.height // 16 * 16 - 256, ours.width // 16 * 16 - 256), (-64, -128)]
            for row, column in places:
                size = min(300, level.height), min(400, level.width)
                apart = abs(ours.read(row, column, *size, level=number).astype(int)
                            - peer.read(row, column, *size, level=number))  # fmt: skip
                # OpenSlide takes 2221 of 4443 columns for a downsample of 2.0005 and blends pixels.
                blended = level.height * level.downsample != ours.height and (row, column) != (0, 0)
                assert apart.mean() < 2 if blended else apart.max() == 0


def test_the_frames_of_the_dicom_slide_join_without_seams(path):
    if path.suffix != ".dcm":
        pytest.skip("of the DICOM slide alone")
    pytest.importorskip("wsidicom")
    with open_slide(path) as slide:
        assert slide.reader == "pydicom" and "down columns" in slide.notes[0] and "15 x 15 mm" in slide.notes[1]
        pixels = slide.read(0, 0, slide.height, slide.width).astype(int)
    for axis in (0, 1):
        steps = abs(np.diff(pixels, axis=axis)).mean((1 - axis, 2))
        seams = steps[499::500]
        # A tile in the wrong place would make its edge stand out.
        assert seams.max() < 2 * np.median(steps) + 2
