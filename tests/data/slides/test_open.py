"""Readers of slides: the same pixels from each, white outside, and an error for every kind of bad file."""

import contextlib

import numpy as np
import pytest

from percuss.core.errors import DataError, PercussError, UsageError
from percuss.data.slides.open import open_slide
from percuss.data.slides.slide import levels_of

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("tiffslide")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


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


def test_a_slide_that_lost_its_last_level_is_truncated(tmp_path, drawn):
    whole = drawn.image.read_bytes()
    with tifffile.TiffFile(drawn.image) as found:
        last = found.pages[-1].offset
    path = tmp_path / "cut.tif"
    for end in (last, last + 1, last + 30):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"truncated.*beyond its"):
            open_slide(path)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_kind_of_tiff_is_followed_to_its_end(tmp_path, big, byteorder):
    pixels = noise(64, 64)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=byteorder) as writer:
        for level in (pixels, np.ascontiguousarray(pixels[::2, ::2])):
            kind = int(len(level) < 64)
            writer.write(level, tile=(16, 16), photometric="rgb", metadata=None, subfiletype=kind)
    with open_slide(path) as slide:
        assert len(slide.levels) == 2 and (slide.read(0, 0, 64, 64) == pixels).all()
    with tifffile.TiffFile(path) as found:
        last = found.pages[-1].offset
    path.write_bytes(path.read_bytes()[: last + 4])
    with pytest.raises(DataError, match="truncated"):
        open_slide(path)


def test_damage_anywhere_gives_an_error_of_ours_or_pixels(tmp_path, tiff, dicom):
    """Bytes changed at random places and files cut at random lengths, always the same ones."""
    pytest.importorskip("wsidicom")
    rng = np.random.default_rng(0)
    (valid,) = dicom(tmp_path / "valid", [noise(128, 128)], mpp=0.5)
    for source in (tiff(tmp_path / "a.tif", noise(128, 128), mpp=0.5, levels=2), valid):
        whole, path = source.read_bytes(), tmp_path / f"b{source.suffix}"
        for turn in range(60):
            spoilt = bytearray(whole[: rng.integers(1, len(whole))] if turn % 3 == 0 else whole)
            for place in rng.integers(0, min(3000, len(spoilt)), 12 if turn % 3 else 0):
                spoilt[place] = rng.integers(256)
            path.write_bytes(spoilt)
            with contextlib.suppress(PercussError), open_slide(path) as slide:
                assert slide.read(0, 0, 64, 64).shape == (64, 64, 3)
                assert turn % 3 != 0, "a cut file must not open"


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
        ("b.svs", b"II*\0\x08\0\0\0" + b"\0" * 200, "cannot be read as a TIFF slide"),
        ("a.svs", b"II*\0" + b"\xff" * 200, "truncated"),
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
def test_a_missing_package_is_named_with_its_extra(tmp_path, tiff, without, name, reader, extra):
    path = tiff(tmp_path / "a.tif", noise(64, 64))
    without(name)
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
