"""percuss.tile: the same tiles as the command, and its options by their names."""

import pytest

import percuss
from percuss.core.errors import UsageError
from percuss.data.tissue.slide import write_slide

OPTIONS = {"mpp": 1.0, "size": 64}


def test_tiles_are_read_back_as_a_set_of_heat_maps(tmp_path):
    slide = write_slide(tmp_path / "one.tif", 3, side=512)
    made = percuss.tile(slide.image, out=tmp_path / "tiles", annotations=slide.outlines_file, **OPTIONS)
    images = percuss.load_data(f"tiled:{made.folder}")
    assert images.task == "heatmap" and len(images) == made.manifest["tiles"] > 0 and not made.bad
    assert sum(item["tumour_tiles"] for item in made.manifest["slides"]) > 0


def test_a_slide_known_to_hold_no_tumour_is_normal_by_its_name(tmp_path):
    slide = write_slide(tmp_path / "two.tif", 4, side=512, tumours=0)
    made = percuss.tile(str(slide.image), out=tmp_path / "tiles", normal="two", **OPTIONS)
    assert made.manifest["slides"][0]["annotation"] == "exhaustive"


def test_an_unknown_option_names_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="tile has no such option: tisue.*tissue"):
        percuss.tile("no.tif", out=tmp_path, tisue="otsu", **OPTIONS)
