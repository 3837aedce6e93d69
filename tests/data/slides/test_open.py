"""Readers of slides: the same pixels from each, white outside, and an error for every kind of bad file."""

import builtins

import numpy as np
import pytest
from pydicom import dcmread

from percuss.core.errors import DataError, UsageError
from percuss.data.slides.open import open_slide
from percuss.data.slides.slide import levels_of

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("tiffslide")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def without(monkeypatch, name):
    """Make a package look as if it were not installed."""
    real = builtins.__import__

    def fake(asked, *rest, **more):
        if asked.split(".")[0] == name:
            raise ImportError(asked)
        return real(asked, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", fake)


@pytest.mark.parametrize("tile", [16, 64, 256])
def test_tiffslide_gives_the_pixels_that_were_written_at_every_level(tmp_path, tiff, tile):
    pixels = noise(200, 310)
    path = tiff(tmp_path / "a.tif", pixels, mpp=0.25, levels=2, tile=tile)
    with open_slide(path) as slide:
        assert (slide.reader, slide.mpp, slide.notes) == ("tiffslide", pytest.approx(0.25), ())
        assert [(level.height, level.width, level.downsample) for level in slide.levels] == [
            (200, 310, 1),
            (100, 155, 2),
        ]
        assert (slide.read(0, 0, 200, 310) == pixels).all()
        assert (slide.read(13, 57, 80, 91) == pixels[13:93, 57:148]).all()
        assert (slide.read(20, 60, 30, 40, level=1) == pixels[::2, ::2][10:40, 30:70]).all()


def test_outside_is_white_on_every_side(tmp_path, tiff):
    pixels = noise(100, 80)
    with open_slide(tiff(tmp_path / "a.tif", pixels)) as slide:
        found = slide.read(-10, -20, 130, 120)
        assert (found[10:110, 20:100] == pixels).all()
        found[10:110, 20:100] = 255
        assert (found == 255).all()
        assert (slide.read(5000, -300, 8, 9) == 255).all()


def test_tiles_that_the_file_leaves_out_are_white_as_in_openslide(tmp_path):
    openslide = pytest.importorskip("openslide")
    pixels = noise(128, 128)
    path = tmp_path / "sparse.tif"
    parts = [pixels[:64, :64], None, pixels[64:, :64], pixels[64:, 64:]]
    tifffile.imwrite(
        path, iter(parts), shape=(128, 128, 3), dtype=np.uint8, tile=(64, 64), photometric="rgb", metadata=None
    )
    with open_slide(path) as slide, openslide.OpenSlide(path) as peer:
        found = slide.read(0, 0, 128, 128)
        assert (found[:64, 64:] == 255).all()
        assert (found[64:] == pixels[64:]).all()
        alpha = np.asarray(peer.read_region((0, 0), 0, (128, 128)))[..., 3]
        assert (alpha[:64, 64:] == 0).all()


def test_a_read_of_no_size_or_level_is_refused(tmp_path, tiff):
    with open_slide(tiff(tmp_path / "a.tif", noise(64, 64))) as slide:
        with pytest.raises(DataError, match="needs a size: 0 x 5"):
            slide.read(0, 0, 0, 5)
        with pytest.raises(DataError, match=r"no such level.*Allowed: 0 to 0"):
            slide.read(0, 0, 5, 5, level=1)


def test_openslide_equals_tiffslide_on_a_drawn_slide(drawn):
    pytest.importorskip("openslide")
    with open_slide(drawn.image) as ours, open_slide(drawn.image, reader="openslide") as peer:
        assert (peer.reader, peer.levels, peer.mpp) == ("openslide", ours.levels, pytest.approx(ours.mpp))
        for number, level in enumerate(ours.levels):
            for row, column in ((0, 0), (256, 384), (-40, 1000)):
                size = min(level.height, 200), min(level.width, 230)
                assert (
                    ours.read(row, column, *size, level=number) == peer.read(row, column, *size, level=number)
                ).all()


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


def test_without_wsidicom_pydicom_reads_and_says_so(tmp_path, dicom, monkeypatch):
    pixels = noise(256, 384)
    (path,) = dicom(tmp_path, [pixels], mpp=0.5)
    without(monkeypatch, "wsidicom")
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


@pytest.mark.parametrize("share", [0.3, 0.97])
@pytest.mark.parametrize("reader", ["auto", "openslide"])
def test_truncated_tiff_is_refused_when_it_is_opened(tmp_path, drawn, share, reader):
    if reader == "openslide":
        pytest.importorskip("openslide")
        share = 0.3
    path = tmp_path / "cut.tif"
    whole = drawn.image.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match="truncated"):
        open_slide(path, reader=reader)


def test_a_damaged_tile_is_named_and_the_others_still_read(tmp_path, tiff):
    pixels = noise(128, 128)
    path = tiff(tmp_path / "a.tif", pixels)
    with tifffile.TiffFile(path) as found:
        offset = found.pages[0].dataoffsets[3]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"\xff" * 400)
    with open_slide(path) as slide:
        assert (slide.read(0, 0, 64, 128) == pixels[:64]).all()
        with pytest.raises(DataError, match=r"cannot be decoded.*tile 3"):
            slide.read(0, 0, 128, 128)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"0" * 300, "no slide.*neither TIFF nor DICOM"),
        ("a.tif", b"", "no slide.*empty file"),
        ("a.svs", b"II*\0" + b"\xff" * 200, "cannot be read as a TIFF slide"),
        ("a.dcm", b"\0" * 128 + b"DICM" + b"\xff" * 100, "DICOM"),
    ],
)
def test_what_is_no_slide_is_refused(tmp_path, name, content, text):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=text) as caught:
        open_slide(path)
    assert str(path) in str(caught.value)


def test_missing_file_folder_and_reader(tmp_path, tiff):
    with pytest.raises(DataError, match="no such slide.*absent.tif"):
        open_slide(tmp_path / "absent.tif")
    with pytest.raises(DataError, match="no slide image in DICOM"):
        open_slide(tmp_path)
    with pytest.raises(DataError, match="a folder is no slide"):
        open_slide(tmp_path, reader="tiffslide")
    with pytest.raises(UsageError, match="unknown reader of slides: tifslide. Allowed: tiffslide"):
        open_slide(tiff(tmp_path / "a.tif", noise(64, 64)), reader="tifslide")


@pytest.mark.parametrize(
    ("pixels", "more"),
    [
        (np.zeros((64, 64), np.uint8), {"photometric": "minisblack"}),
        (np.zeros((64, 64, 3), np.uint16), {}),
        (np.zeros((3, 64, 64), np.uint8), {"planarconfig": "separate"}),
    ],
)
def test_images_of_other_kinds_are_no_slides(tmp_path, pixels, more):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **({"photometric": "rgb", "tile": (16, 16), "metadata": None} | more))
    with pytest.raises(DataError, match=r"three interleaved colours of 8 bits"):
        open_slide(path)


def test_strips_are_read_when_small_and_refused_when_large(tmp_path, monkeypatch):
    pixels = noise(100, 90)
    path = tmp_path / "strips.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=7, metadata=None)
    with open_slide(path) as slide:
        assert (slide.read(20, 10, 50, 60) == pixels[20:70, 10:70]).all()
    monkeypatch.setattr("percuss.data.slides.open_tiffslide._STRIPS", 8999)
    with pytest.raises(DataError, match="not stored in tiles"):
        open_slide(path)


@pytest.mark.parametrize(
    ("name", "reader", "extra"), [("tiffslide", "auto", "wsi"), ("openslide", "openslide", "openslide")]
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, tiff, monkeypatch, name, reader, extra):
    path = tiff(tmp_path / "a.tif", noise(64, 64))
    without(monkeypatch, name)
    with pytest.raises(UsageError, match=rf'pip install "percuss\[{extra}\]"'):
        open_slide(path, reader=reader)


def test_a_downsample_is_the_whole_number_that_explains_the_sizes():
    assert [level.downsample for level in levels_of([(3567, 4443), (1783, 2221), (891, 1110)])] == [1, 2, 4]
    assert levels_of([(1000, 1000), (384, 384)])[1].downsample == pytest.approx(1000 / 384)


def test_a_closed_slide_leaves_no_file_open(tmp_path, tiff):
    path = tiff(tmp_path / "a.tif", noise(64, 64))
    slide = open_slide(path)
    slide.close()
    with pytest.raises((DataError, ValueError)):
        slide.read(0, 0, 8, 8)
