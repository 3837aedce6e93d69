"""A slide at one resolution: which level, exact where it can be, antialiased, and alike however it is cut."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.data.slides.open import open_slide
from percuss.data.slides.view import View

pytest.importorskip("tiffslide")


@pytest.fixture
def slide(tmp_path, tiff):
    pixels = np.random.default_rng(1).integers(0, 255, (400, 520, 3), dtype=np.uint8)
    with open_slide(tiff(tmp_path / "a.tif", pixels, mpp=0.5, levels=3)) as found:
        found.pixels = pixels
        yield found


@pytest.mark.parametrize(
    ("mpp", "level", "scale", "resampled"),
    [(0.5, 0, 1, False), (0.49, 0, 1, False), (1.02, 1, 2, False), (2, 2, 4, False), (0.9, 0, 1.8, True),
     (1.5, 1, 3, True), (4, 2, 8, True)],
)  # fmt: skip
def test_the_coarsest_level_that_is_fine_enough(slide, mpp, level, scale, resampled):
    view = View(slide, mpp)
    assert (view.level, view.resampled) == (level, resampled)
    assert view.scale == pytest.approx(scale)
    assert view.mpp == pytest.approx(0.5 * scale)
    assert (view.height, view.width) == (int(400 / scale), int(520 / scale))


def test_a_level_is_taken_as_it_is(slide):
    found = View(slide, 1.0).read(-3, 7, 60, 50)
    assert (found[3:] == slide.pixels[::2, ::2][:57, 7:57]).all()
    assert (found[:3] == 255).all()


def test_finer_than_the_slide_is_refused(slide):
    with pytest.raises(DataError, match=r"no pixels as fine.*0.3 um per pixel asked. Allowed: 0.5"):
        View(slide, 0.3)
    with pytest.raises(DataError, match="must be micrometres per pixel"):
        View(slide, float("nan"))
    with pytest.raises(DataError, match="scale of a view"):
        View.at_scale(slide, 0.5)
    with pytest.raises(DataError, match="needs a size"):
        View(slide, 0.9).read(0, 0, 0, 4)


def test_without_resolution_a_view_by_scale_works_and_one_by_mpp_asks(tmp_path, tiff):
    with open_slide(tiff(tmp_path / "a.tif", np.zeros((64, 64, 3), np.uint8))) as slide:
        assert View.at_scale(slide, 2).mpp is None
        with pytest.raises(DataError, match="--mpp"):
            View(slide, 1.0)


def test_any_cut_gives_the_same_pixels(slide):
    view = View(slide, 0.85)
    whole = view.read(0, 0, view.height, view.width).astype(int)
    for row, column, height, width in ((0, 0, 32, 32), (31, 77, 64, 50), (170, 200, 60, 100)):
        part = view.read(row, column, height, width).astype(int)
        inside = whole[row : row + height, column : column + width]
        assert abs(part[: inside.shape[0], : inside.shape[1]] - inside).max() <= 1


def test_a_read_in_blocks_equals_one_at_once(slide, monkeypatch):
    view = View(slide, 0.85)
    whole = view.read(5, 9, 150, 170).astype(int)
    monkeypatch.setattr("percuss.data.slides.view._AT_ONCE", 40**2)
    assert abs(view.read(5, 9, 150, 170).astype(int) - whole).max() <= 1


def test_places_stay_where_they_are_and_fine_stripes_do_not_alias(tmp_path, tiff):
    pixels = np.full((300, 300, 3), 100, np.uint8)
    pixels[:, ::2] = 200
    pixels[150:, :] = 20
    with open_slide(tiff(tmp_path / "a.tif", pixels, mpp=0.5)) as slide:
        view = View(slide, 1.5)
        found = view.read(10, 20, 80, 60)
        # The edge at row 150 of level 0 is row 50 of the view, 40 of the rectangle.
        assert abs(found[:39].astype(int) - 150).max() <= 12
        assert (found[41:] <= 21).all()


def test_a_constant_slide_stays_constant_up_to_its_edge(tmp_path, tiff):
    with open_slide(tiff(tmp_path / "a.tif", np.full((200, 200, 3), 90, np.uint8), mpp=0.5)) as slide:
        view = View(slide, 1.1)
        assert (view.read(2, 2, view.height - 4, view.width - 4) == 90).all()
        assert (view.read(-20, 0, 15, 10) == 255).all()
