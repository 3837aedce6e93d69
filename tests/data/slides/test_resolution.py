"""Resolution of a slide: stored, given, absent, contradicting, and pixels that are not square."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data.slides.open import open_slide
from percuss.data.slides.resolution import needed_mpp, settle

pytest.importorskip("tiffslide")
PIXELS = np.full((64, 64, 3), 200, np.uint8)


def test_none_where_absent_and_whoever_needs_it_asks_for_it(tmp_path, tiff):
    with open_slide(tiff(tmp_path / "a.tif", PIXELS)) as slide:
        assert slide.mpp is None
        with pytest.raises(DataError, match=r"a.tif.*--mpp 0.25"):
            needed_mpp(slide)


def test_given_where_absent_is_taken_and_noted(tmp_path, tiff):
    with open_slide(tiff(tmp_path / "a.tif", PIXELS), mpp=0.4) as slide:
        assert needed_mpp(slide) == 0.4
        assert "0.4 um per pixel were given" in slide.notes[0]


def test_given_within_ten_per_cent_wins_and_beyond_is_an_error_that_names_both(tmp_path, tiff):
    path = tiff(tmp_path / "a.tif", PIXELS, mpp=0.5)
    with open_slide(path, mpp=0.53) as slide:
        assert slide.mpp == 0.53 and "states 0.5" in slide.notes[0]
    for wrong in (0.56, 0.44):
        with pytest.raises(DataError, match=rf"{wrong} given, 0.5 um per pixel stored"):
            open_slide(path, mpp=wrong)


@pytest.mark.parametrize("reader", ["tiffslide", "openslide"])
def test_pixels_that_are_not_square_are_an_error_unless_a_resolution_is_given(tmp_path, tiff, reader):
    pytest.importorskip(reader)
    path = tiff(tmp_path / "a.tif", PIXELS, mpp=(0.5, 0.52))
    with pytest.raises(DataError, match=r"not square.*0.5 um wide, 0.52 um high"):
        open_slide(path, reader=reader)
    with open_slide(path, mpp=0.51, reader=reader) as slide:
        assert slide.mpp == 0.51 and any("0.52 um high" in note for note in slide.notes)
    with open_slide(tiff(tmp_path / "b.tif", PIXELS, mpp=(0.5, 0.504)), reader=reader) as slide:
        assert slide.mpp == pytest.approx(0.502, abs=1e-4)


def test_the_resolution_of_a_screen_is_none(tmp_path, tiff):
    path = tiff(tmp_path / "a.tif", PIXELS, mpp=25400 / 72)
    with open_slide(path) as slide:
        assert slide.mpp is None and "352.778" in slide.notes[0]
    with open_slide(path, mpp=0.5) as slide:
        assert slide.mpp == 0.5


@pytest.mark.parametrize("given", [0, -1, float("nan"), float("inf"), 1000])
def test_a_given_value_that_is_no_resolution(tmp_path, given):
    with pytest.raises(DataError, match="--mpp must be micrometres per pixel"):
        settle(tmp_path, None, given=given)
