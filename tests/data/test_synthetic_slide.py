"""A synthetic slide: levels, resolution, outlines, and what is refused."""

import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from percuss.core.errors import DataError, UsageError
from percuss.data.tissue.nuclei import NEOPLASTIC
from percuss.data.tissue.slide import write_slide

pytest.importorskip("tifffile", reason="the extra wsi is not installed")


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return write_slide(tmp_path_factory.mktemp("slide") / "one.tif", 1, side=512, tumours=2, mpp=1.0)


def test_levels_halve(slide):
    import tifffile

    with tifffile.TiffFile(slide.image) as file:
        shapes = [page.shape for page in file.pages]
        assert shapes == [(512, 512, 3), (256, 256, 3)] and all(page.is_tiled for page in file.pages)
        assert [page.subfiletype for page in file.pages] == [0, 1]
        top, second = (page.asarray().astype(float) for page in file.pages)
        assert file.pages[0].tags["XResolution"].value[0] / file.pages[0].tags["XResolution"].value[1] == 1e4
    assert np.abs(top.reshape(256, 2, 256, 2, 3).mean((1, 3)) - second).max() <= 0.5
    with Image.open(slide.image) as image:
        assert image.size == (512, 512)


def test_outlines_hold_the_tumour(slide):
    root = ElementTree.parse(slide.outlines_file).getroot()
    polygons = root.findall("./Annotations/Annotation")
    assert len(polygons) == 2 == len(slide.outlines) and {p.get("PartOfGroup") for p in polygons} == {"tumor"}
    first = [(float(c.get("Y")), float(c.get("X"))) for c in polygons[0].iter("Coordinate")]
    assert np.allclose(first, slide.outlines[0], atol=0.01)
    masks = slide.masks[NEOPLASTIC]
    ids = np.unique(masks[masks > 0])
    assert len(ids) > 30
    centres = np.array(ndimage.center_of_mass(masks > 0, masks, ids))
    region = Image.new("L", (512, 512))
    for points in slide.outlines:
        ImageDraw.Draw(region).polygon([(column, row) for row, column in points.tolist()], fill=1)
    inside = np.asarray(region)[tuple(np.rint(centres).astype(int).T)] > 0
    assert inside.all()


def test_repeatable_and_without_tumour(slide, tmp_path):
    again = write_slide(tmp_path / "deep" / "again.tif", 1, side=512, tumours=2, mpp=1.0)
    assert again.image.read_bytes() == slide.image.read_bytes()
    assert again.outlines_file.read_bytes() == slide.outlines_file.read_bytes()
    clean = write_slide(tmp_path / "clean.tif", 1, side=512, tumours=0)
    assert clean.outlines_file is None and not clean.masks[NEOPLASTIC].any()


def test_what_is_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="multiple of 256: 500. Allowed: 256 to 4096"):
        write_slide(tmp_path / "a.tif", side=500)
    with pytest.raises(DataError, match="this many tumours: 9"):
        write_slide(tmp_path / "a.tif", tumours=9)
    with pytest.raises(DataError, match="micrometres per pixel: 0"):
        write_slide(tmp_path / "a.tif", mpp=0)
    with pytest.raises(DataError, match="too small for its tumours: side=256 at mpp=0.5 with tumours=2"):
        write_slide(tmp_path / "a.tif", side=256, tumours=2)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the slide cannot be written"):
        write_slide(tmp_path / "file" / "a.tif", side=512, tumours=0)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(UsageError, match=r'needs the package tifffile.*pip install "percuss\[wsi\]"'):
        write_slide(tmp_path / "a.tif")
