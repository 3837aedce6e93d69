"""The writer of pyramids: what is read back, by whom, levels, resolution, and that memory does not grow."""

import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import DataError, UsageError
from percuss.data.slides.open import open_slide
from percuss.data.slides.write import Raster, halved, in_bands, write_pyramid

tifffile = pytest.importorskip("tifffile", reason="the extra wsi is not installed")


def ramp(height, width):
    rows, columns = np.mgrid[:height, :width]
    return ((rows // 3 + columns // 5) % 251).astype(np.uint8)


@pytest.mark.parametrize("band", [1, 100, 256, 1000])
def test_grey_levels_and_resolution(tmp_path, band):
    grey = ramp(700, 530)
    bands = (grey[top : top + band] for top in range(0, 700, band))
    path = write_pyramid(tmp_path / "deep" / "map.tif", bands, Raster(700, 530, 1, "uint8", 4.0))
    with tifffile.TiffFile(path) as file:
        assert [page.shape for page in file.pages] == [(700, 530), (350, 265), (175, 132)]
        assert all(page.is_tiled for page in file.pages) and not file.is_bigtiff
        assert (file.pages[0].asarray() == grey).all()
        assert (file.pages[1].asarray() == halved(grey)).all()
        steps = [page.tags["XResolution"].value for page in file.pages]
        assert [round(top / bottom) for top, bottom in steps] == [2500, 1250, 625]  # per centimetre
    assert [item.name for item in path.parent.iterdir()] == ["map.tif"]
    with Image.open(path) as image:
        assert image.size == (530, 700)


def test_openslide_reads_it(tmp_path):
    openslide = pytest.importorskip("openslide", reason="the extra openslide is not installed")
    grey = ramp(600, 520)
    path = write_pyramid(tmp_path / "map.tif", in_bands(grey), Raster(600, 520, 1, "uint8", 4.0))
    with openslide.OpenSlide(path) as slide:
        assert slide.dimensions == (520, 600) and slide.level_count == 3
        read = np.asarray(slide.read_region((40, 100), 0, (80, 64)))[..., 0]
        assert (read == grey[100:164, 40:120]).all()


def test_floats_keep_no_value(tmp_path):
    values = np.random.default_rng(0).random((300, 300)).astype(np.float32)
    values[:2, :2], values[2, 3] = np.nan, np.nan
    path = write_pyramid(tmp_path / "map.tif", in_bands(values), Raster(300, 300, 1, "float32", 4.0))
    with tifffile.TiffFile(path) as file:
        assert np.array_equal(file.pages[0].asarray(), values, equal_nan=True)
        second = file.pages[1].asarray()
    assert np.isnan(second[0, 0]) and second[1, 1] == pytest.approx(np.nanmean(values[2:4, 2:4]))


def test_colour(tmp_path):
    colour = np.stack([ramp(300, 260), ramp(300, 260) // 2, 255 - ramp(300, 260)], -1)
    path = write_pyramid(tmp_path / "slide.tif", in_bands(colour), Raster(300, 260, 3, "uint8", 1.0))
    with open_slide(path) as slide:
        assert (slide.read(0, 0, 300, 260) == colour).all()


def test_what_is_refused(tmp_path, monkeypatch):
    raster = Raster(20, 30, 1, "uint8", 1.0)
    for bands in ([np.zeros((20, 29), np.uint8)], [np.zeros((20, 30), np.int16)], [np.zeros((19, 30), np.uint8)]):
        with pytest.raises(DataError, match="do not add up to the image"):
            write_pyramid(tmp_path / "map.tif", bands, raster)
    assert not list(tmp_path.iterdir())  # no part of a file, no scratch
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the image cannot be written"):
        write_pyramid(tmp_path / "file" / "map.tif", in_bands(np.zeros((20, 30), np.uint8)), raster)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(UsageError, match="needs the package tifffile"):
        write_pyramid(tmp_path / "map.tif", [], raster)


_BODY = """
import resource, sys
import numpy as np
from percuss.data.slides.write import Raster, write_pyramid
height, width = int(sys.argv[1]), 2048
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
bands = (np.full((128, width), top % 255, np.uint8) for top in range(0, height, 128))
write_pyramid(sys.argv[2], bands, Raster(height, width, 1, "uint8", 4.0))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)
"""


def test_memory_does_not_grow_with_the_image(tmp_path):
    assert resource.getpagesize()
    grown = []
    for height in (4096, 65536):
        done = subprocess.run(
            [sys.executable, "-c", _BODY, str(height), str(tmp_path / f"{height}.tif")], capture_output=True, check=True
        )
        grown.append(int(done.stdout) / 1024)
    # Sixteen times as many rows, 128 MB of pixels: the peak may grow by a few bands.
    assert grown[1] < grown[0] + 16
