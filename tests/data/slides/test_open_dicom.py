"""DICOM slides: valid ones by wsidicom, others by their frames in the right order, damaged ones refused."""

import numpy as np
import pytest
from pydicom import dcmread

from percuss.core.errors import DataError
from percuss.data.slides.open import open_slide


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_wsidicom_and_openslide_give_the_pixels_of_a_valid_dicom_slide(tmp_path, dicom):
    pytest.importorskip("wsidicom")
    pytest.importorskip("openslide")
    pixels = noise(300, 420)
    files = dicom(tmp_path / "slide", [pixels, pixels[::2, ::2]], mpp=0.5)
    for path, reader in ((files[0], "auto"), (files[1], "auto"), (tmp_path / "slide", "auto"), (files[0], "openslide")):
        with open_slide(path, reader=reader) as slide:
            assert slide.reader == ("wsidicom" if reader == "auto" else "openslide")
            assert slide.mpp == pytest.approx(0.5)
            assert (slide.read(-5, 100, 310, 200)[5:305] == pixels[:, 100:300]).all()
            assert (slide.read(40, 60, 50, 70, level=1) == pixels[::2, ::2][20:70, 30:100]).all()


@pytest.mark.parametrize(("full", "by_column"), [(True, False), (False, False), (False, True)])
def test_frames_of_a_dicom_that_wsidicom_refuses_are_put_in_their_order(tmp_path, dicom, full, by_column):
    pytest.importorskip("wsidicom")
    pixels = noise(300, 420)
    (path,) = dicom(tmp_path, [pixels], mpp=0.5)
    found = dcmread(path)
    del found.ImageType, found.SharedFunctionalGroupsSequence
    if not full:
        del found.DimensionOrganizationType
    if by_column:
        frames = np.frombuffer(found.PixelData, np.uint8).reshape(3, 4, -1)
        found.PixelData = np.ascontiguousarray(frames.transpose(1, 0, 2)).tobytes()
    found.save_as(path)
    with open_slide(path) as slide:
        assert slide.reader == "pydicom"
        order = "down columns" if by_column else "along rows"
        assert "pydicom" in slide.notes[0] and order in slide.notes[0] and "wsidicom refuses" in slide.notes[0]
        assert slide.mpp == pytest.approx(0.5)
        assert (slide.read(0, 0, 300, 420) == pixels).all()


def test_frames_in_an_order_that_nothing_tells_are_refused(tmp_path, dicom):
    (path,) = dicom(tmp_path, [noise(256, 384)], mpp=0.5)
    found = dcmread(path)
    del found.ImageType, found.DimensionOrganizationType
    found.save_as(path)
    with pytest.raises(DataError, match="in which order its tiles lie"):
        open_slide(path)


def test_without_wsidicom_pydicom_reads_and_says_so(tmp_path, dicom, without):
    pixels = noise(256, 384)
    (path,) = dicom(tmp_path, [pixels], mpp=0.5)
    without("wsidicom")
    with open_slide(path) as slide:
        assert slide.reader == "pydicom" and "not installed" in slide.notes[0]
        assert (slide.read(0, 0, 256, 384) == pixels).all()


def spoil_frames(found):
    found.NumberOfFrames = 3


def spoil_matrix(found):
    del found.TotalPixelMatrixRows


def spoil_class(found):
    found.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (spoil_frames, "do not fill the slide"),
        (spoil_matrix, "does not say how its tiles lie"),
        (spoil_class, "no slide image in DICOM"),
    ],
)
def test_damaged_dicom_is_refused(tmp_path, dicom, spoil, text):
    (path,) = dicom(tmp_path, [noise(300, 420)], mpp=0.5)
    found = dcmread(path)
    del found.ImageType
    spoil(found)
    found.save_as(path)
    with pytest.raises(DataError, match=text):
        open_slide(path)


def test_truncated_dicom_is_refused(tmp_path, dicom):
    (path,) = dicom(tmp_path, [noise(300, 420)], mpp=0.5)
    path.write_bytes(path.read_bytes()[:-60000])
    with pytest.raises(DataError, match="cannot be decoded|cannot be read"):
        open_slide(path)


def test_a_folder_of_two_dicom_slides_is_refused(tmp_path, dicom):
    dicom(tmp_path / "a", [noise(128, 128)], mpp=0.5)
    (other,) = dicom(tmp_path / "b", [noise(128, 128)], mpp=0.5)
    found = dcmread(other)
    found.SeriesInstanceUID = "1.2.3"
    found.save_as(tmp_path / "a" / "other.dcm")
    with pytest.raises(DataError, match="several slides.*2 series"):
        open_slide(tmp_path / "a")
