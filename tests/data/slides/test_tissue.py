"""Rules for tissue: the paper's colours at their limits, Otsu on known mixtures, grids that lie right, bare glass."""

import numpy as np
import pytest

from percuss.core.errors import DataError, UsageError
from percuss.data.slides import tissue
from percuss.data.slides.open import open_slide
from percuss.data.slides.view import View

pytest.importorskip("tiffslide")
GLASS, PINK = (243, 242, 243), (200, 120, 180)


def test_the_papers_rule_at_its_limits():
    colours = np.array([
        [150, 100, 140],  # purple
        [131, 100, 117], [117, 100, 117],  # R-B 14, G 31 and 17 below; all 17 apart
        [116, 100, 117], [117, 100, 116],  # R-G or B-G of 16 is too little
        [149, 100, 117], [148, 100, 117],  # R-B of 32 is too much, 31 is not
        [240, 240, 240], [180, 40, 40], [100, 150, 120],  # glass, red, green
    ])  # fmt: skip
    assert tissue.paper_rule(colours).tolist() == [True, True, True, False, False, False, True, False, False, False]


def test_the_papers_rule_looks_at_the_mean_of_a_tile():
    tile = np.zeros((10, 10, 3), np.uint8)
    tile[:] = GLASS
    assert not tissue.paper_tile(tile)
    tile[:6] = PINK
    assert tissue.paper_tile(tile)


def test_saturation_of_known_colours():
    colours = np.array([[200, 100, 200], [255, 255, 255], [0, 0, 0], [3, 0, 0], [100, 50, 0]], np.uint8)
    assert tissue.saturation(colours).tolist() == pytest.approx([0.5, 0, 0, 0, 1])


def test_otsu_lies_between_two_groups_and_matches_its_definition():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.1, 0.02, 3000), rng.normal(0.6, 0.05, 1000)]).clip(0, 1)
    found = tissue.otsu_threshold(values)
    assert 0.2 < found < 0.45

    def between(edge):
        low, high = values[values < edge], values[values >= edge]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else 0

    edges = np.arange(1, 256) / 256
    assert between(found) >= 0.9999 * max(between(edge) for edge in edges)
    assert tissue.otsu_threshold(np.full(10, 0.3)) == 0


def test_the_threshold_never_sinks_into_glass_nor_halves_a_full_slide():
    rng = np.random.default_rng(0)
    glass = rng.integers(240, 246, (100, 100, 3), dtype=np.uint8)
    assert tissue.tissue_threshold(glass) == 0.06
    assert tissue.otsu_share(glass, 0.06) == 0
    full = np.where(rng.random((100, 100, 1)) < 0.5, (200, 120, 180), (220, 170, 205)).astype(np.uint8)
    assert tissue.tissue_threshold(full) == 0.10
    assert tissue.otsu_share(full, 0.10) == 1


@pytest.fixture
def slide(tmp_path, tiff):
    """640 x 512 pixels of glass with a block of pink at rows 128 to 384, columns 256 to 448."""
    pixels = np.random.default_rng(0).integers(240, 246, (640, 512, 3), dtype=np.uint8)
    pixels[128:384, 256:448] = PINK
    with open_slide(tiff(tmp_path / "a.tif", pixels, mpp=0.5, levels=2)) as found:
        yield found


@pytest.mark.parametrize("rule", ["paper", "otsu"])
@pytest.mark.parametrize("mpp", [0.5, 1.0, 0.8])
def test_a_grid_keeps_the_tiles_of_the_block(slide, rule, mpp):
    side = round(64 / mpp)
    grid = tissue.tissue_grid(View(slide, mpp), side, rule=rule)
    assert grid.kept.shape == (5, 4)
    wanted = np.zeros((5, 4), bool)
    wanted[1:3, 2:3] = True
    wanted[1:3, 3] = True  # half of them is pink
    assert (grid.kept == wanted).all()
    if rule == "otsu":
        assert grid.share[1:3].ravel() == pytest.approx([0, 0, 1, 0.5] * 2, abs=0.04)


def test_share_stride_and_tiles_that_stick_out(slide):
    view = View(slide, 0.5)
    assert not tissue.tissue_grid(view, 128, share=0.6).kept[:, 3].any()
    fine = tissue.tissue_grid(view, 128, stride=64)
    assert fine.kept.shape == (9, 7)
    assert np.argwhere(fine.kept).min(0).tolist() == [1, 3] and np.argwhere(fine.kept).max(0).tolist() == [5, 6]
    assert tissue.tissue_grid(view, 300).kept.shape == (2, 1)
    assert tissue.tissue_grid(view, 300, whole=False).kept.shape == (3, 2)
    assert tissue.tissue_grid(view, 2000).kept.size == 0


@pytest.mark.parametrize("rule", ["paper", "otsu"])
def test_bare_glass_is_recognised(tmp_path, tiff, rule):
    pixels = np.random.default_rng(0).integers(235, 246, (256, 256, 3), dtype=np.uint8)
    with open_slide(tiff(tmp_path / "a.tif", pixels, mpp=0.5)) as slide:
        grid = tissue.tissue_grid(View(slide, 0.5), 64, rule=rule)
        assert not grid.kept.any()
        with pytest.raises(DataError, match=rf"no tile of the slide holds tissue.*a.tif: 16 tiles.*{rule}"):
            tissue.needed_tissue(grid, slide.path)


def test_unknown_rule_and_senseless_settings(slide):
    view = View(slide, 0.5)
    wrong = {
        "unknown rule": {"rule": "colour"},
        "share of": {"share": 0},
        "be a share": {"share": 1.2},
        "stride": {"stride": 0},
    }
    for text, settings in wrong.items():
        with pytest.raises(UsageError, match=text):
            tissue.tissue_grid(view, 64, **settings)
