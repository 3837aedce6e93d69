"""percuss tile: masks, edges, annotations and options as asked, and every refusal."""

import numpy as np
import pytest

from percuss.core.errors import DataError, PercussError, RunError, UsageError
from percuss.data.spec import load_data
from percuss.pipeline.tile_plan import TilePlan

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("tiffslide")

from tiny_slides import BOX, PLAN, pixels, three_slides, write_outline, write_slide  # noqa: E402

from percuss.pipeline.tile import Known, tile  # noqa: E402


@pytest.fixture
def slides(tmp_path):
    return three_slides(tmp_path / "slides")


def test_mask_as_truth(slides, tmp_path):
    mask = np.zeros((640, 640), np.uint8)
    mask[96:544, 400:560] = 255
    path = slides / "second_mask.tif"
    tifffile.imwrite(path, mask, tile=(128, 128), photometric="minisblack")
    with pytest.raises(UsageError, match="--values"):
        tile([str(slides)], tmp_path / "no", PLAN, known=Known((slides,)))
    assert not (tmp_path / "no").exists()  # asked before the first slide is looked at
    plan = TilePlan(mpp=0.5, size=64, min_tissue=0.25, values="0=normal,255=tumour")
    tile([str(slides / "second.tif"), str(slides / "first.tif")], tmp_path / "out", plan, known=Known((slides,)))
    images = load_data(f"tiled:{tmp_path / 'out'}")
    for name in (name for name in images.ids if name.startswith("second")):
        assert np.array_equal(images.read(name).target, images.read(name.replace("second", "first")).target)
    tifffile.imwrite(path, mask[:500], tile=(128, 128), photometric="minisblack")
    with pytest.raises(DataError, match="another size than the slide"):
        tile([str(slides / "second.tif")], tmp_path / "size", plan, known=Known((slides,)))


def test_outline_of_another_slide(slides, tmp_path):
    write_outline(slides / "first.xml", [(x + 5000, y) for x, y in BOX])
    with pytest.raises(DataError, match="outside the slide"):
        tile([str(slides / "first.tif")], tmp_path / "out", PLAN, known=Known((slides,)))


def test_an_annotation_without_an_outline_says_what_it_is_taken_for(slides, tmp_path):
    (slides / "second.xml").write_text("<ASAP_Annotations><Annotations></Annotations></ASAP_Annotations>")
    done = tile([str(slides / "second.tif")], tmp_path / "out", PLAN, known=Known((slides,)))
    (record,) = done.manifest["slides"]
    assert record["tumour_tiles"] == 0
    assert any("second.xml holds no outline of a tumour" in note for note in record["notes"])


def test_one_bad_slide_in_a_hundred_stops_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(100):
        write_slide(tmp_path / "in" / f"slide{number:02}.tif", pixels(number, 128), None if number == 41 else 0.5)
    done = tile([str(tmp_path / "in")], tmp_path / "out", TilePlan(mpp=0.5, size=64, tissue="all"))
    assert [item.name for item in done.bad] == ["slide41"] and len(done.manifest["slides"]) == 99
    assert done.manifest["tiles"] == 99 * 4
    assert [item["slide"] for item in done.manifest["bad"]] == ["slide41"]
    assert "--slide-mpp" in (tmp_path / "out" / "bad.csv").read_text()


@pytest.mark.parametrize("folder", ["zwei Wörter", "スライド"])
def test_spaces_and_other_letters_in_names(tmp_path, folder):
    (tmp_path / folder).mkdir()
    write_slide(tmp_path / folder / "Präparat 1 (a).tif", pixels(0))
    write_outline(tmp_path / folder / "Präparat 1 (a).xml", BOX)
    done = tile([str(tmp_path / folder)], tmp_path / "o ü", PLAN, known=Known((tmp_path / folder,)))
    assert done.manifest["slides"][0]["tumour_tiles"] > 0
    images = load_data(f"tiled:{tmp_path / 'o ü'}")
    assert {entry.group for entry in images.entries} == {"Präparat 1 (a)"} and images.read(images.ids[0]).pixels.any()


def test_one_slide_twice_is_one_and_two_of_a_name_are_refused(slides, tmp_path):
    (tmp_path / "other").mkdir()
    write_slide(tmp_path / "other" / "second.tif", pixels(7))
    second = str(slides / "second.tif")
    assert len(tile([second, second], tmp_path / "out", PLAN).manifest["slides"]) == 1
    for alone in (second, slides / "second.tif"):  # a name is no list of letters
        assert [item["name"] for item in tile(alone, tmp_path / "out", PLAN).manifest["slides"]] == ["second"]
    with pytest.raises(UsageError, match="two slides have the same name.*second.*Next: rename one"):
        tile([second, str(tmp_path / "other")], tmp_path / "no", PLAN)
    assert not (tmp_path / "no").exists()


def test_a_grid_with_gaps_and_no_process(slides, tmp_path):
    second = [str(slides / "second.tif")]
    gaps = TilePlan(mpp=0.5, size=64, stride=200, tissue="all")
    assert tile(second, tmp_path / "gaps", gaps).manifest["tiles"] == 9
    with pytest.raises(UsageError, match="--workers must be a number of processes: 0"):
        tile(second, tmp_path / "no", PLAN, workers=0)
    with pytest.raises(DataError, match="no pixels as fine as asked.*Allowed: 0.5 or more"):
        tile(second, tmp_path / "fine", TilePlan(mpp=0.25, size=64))


def test_outside_of_a_listed_slide_counts_only_when_asked(slides, tmp_path):
    one = [str(slides / "tumor_010.tif")]
    tile(one, tmp_path / "out", PLAN, known=Known((slides,)))
    assert 0 not in load_data(f"tiled:{tmp_path / 'out'}").read("tumor_010/320_384").target
    done = tile(one, tmp_path / "out", PLAN, known=Known((slides,), outside=("tumor_*",)))
    images = load_data(f"tiled:{tmp_path / 'out'}")
    assert images.partial == ("tumor_010",) and "as asked" in done.manifest["slides"][0]["notes"][0]
    assert set(np.unique(images.read("tumor_010/320_384").target)) == {0, 1}
    with pytest.raises(UsageError, match="--count-outside fits no slide"):
        tile(one, tmp_path / "out", PLAN, known=Known((slides,), outside=("normal",)))


def test_edges_and_stride(slides, tmp_path):
    for edges, count in (("drop", 4), ("pad", 9)):
        plan = TilePlan(mpp=0.5, size=256, tissue="all", edges=edges)
        done = tile([str(slides / "second.tif")], tmp_path / edges, plan, known=Known(normal=("second",)))
        assert done.manifest["tiles"] == count
    corner = load_data(f"tiled:{tmp_path / 'pad'}").read("second/512_512")
    assert (corner.pixels[:, 128:] == 255).all() and (corner.target[32:] == 255).all()
    assert not corner.target[:32, :32].any()
    half = tile([str(slides / "second.tif")], tmp_path / "half", TilePlan(mpp=0.5, size=256, stride=128, tissue="all"))
    assert half.manifest["tiles"] == 16
    with pytest.raises(DataError, match="smaller than a tile"):
        tile([str(slides / "second.tif")], tmp_path / "big", TilePlan(mpp=0.5, size=1024, tissue="all"))


def test_annotations_find_their_slides(slides, tmp_path):
    (slides / "first.xml").rename(slides / "FIRST.XML")
    done = tile([str(slides / "first.tif")], tmp_path / "out", PLAN, known=Known((slides,)))
    assert done.manifest["slides"][0]["annotation_file"] == "FIRST.XML"
    both = [str(slides / "first.tif"), str(slides / "second.tif")]
    (slides / "notes.md").write_text("# outlines are elsewhere")
    with pytest.raises(UsageError, match="neither outlines nor a mask"):
        tile(both[:1], tmp_path / "wrong", PLAN, known=Known((slides / "notes.md",)))
    for known, words in (
        (Known((slides / "tumor_010.xml",)), "belong to no slide"),
        (Known((slides / "none.xml",)), "no such annotations"),
        (Known((slides / "notes.md",)), "neither outlines nor a mask.*Allowed: outlines as .xml"),
        (Known((tmp_path,)), "holds no annotation"),
        (Known((slides,), normal=("frist",)), "fits no slide: frist. Allowed: first"),
        (Known((slides,), normal=("first",)), "declared normal and has an annotation"),
    ):
        with pytest.raises(PercussError, match=words):
            tile(both, tmp_path / "wrong", PLAN, known=known)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"size": 66}, "cells must fill a tile"),
        ({"mpp": 0.0}, "--mpp"),
        ({"mpp": float("nan")}, "--mpp"),
        ({"tissue": "otzu"}, "Allowed: otsu"),
        ({"tissue": "paper", "min_tissue": 0.5}, "--min-tissue"),
        ({"edges": "keep"}, "--edges"),
        ({"rule": "most"}, "--rule"),
        ({"stride": 0}, "stride"),
        ({"groups": ("a",)}, "declared with what it stands for"),
        ({"values": "1"}, "declared once each"),
    ],
)
def test_options_without_a_meaning(slides, tmp_path, plan, words):
    with pytest.raises(PercussError, match=words):
        tile([str(slides / "second.tif")], tmp_path / "out", TilePlan(**({"mpp": 0.5, "size": 64} | plan)))
    assert not (tmp_path / "out").exists()


def test_folder_of_something_else(slides, tmp_path):
    second = [str(slides / "second.tif")]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        tile(second, tmp_path / "full", PLAN)
    tile(second, tmp_path / "out", PLAN)
    with pytest.raises(RunError, match="cut otherwise: size 64, not 128"):
        tile(second, tmp_path / "out", TilePlan(mpp=0.5, size=128, min_tissue=0.25))
    done = tile([str(slides / "first.tif")], tmp_path / "out", PLAN)  # more slides may follow
    assert [item["name"] for item in done.manifest["slides"]] == ["first", "second"]
    write_slide(slides / "second.tif", pixels(9))
    tile(second, tmp_path / "out", PLAN)  # another slide of that name replaces it
    assert np.array_equal(
        load_data(f"tiled:{tmp_path / 'out'}").read("second/320_0").pixels.transpose(1, 2, 0), pixels(9)[320:384, :64]
    )


def test_a_folder_without_a_finished_slide_may_be_taken_over(slides, tmp_path):
    with pytest.raises(DataError, match="smaller than a tile"):
        tile([str(slides / "second.tif")], tmp_path / "out", TilePlan(mpp=0.5, size=1024))
    assert tile([str(slides / "second.tif")], tmp_path / "out", PLAN).manifest["tiles"] == 75


def test_drawn_slide_brings_its_outlines(tmp_path):
    plan = TilePlan(mpp=1.0, size=64)
    done = tile(["synthetic:slide?seed=3&side=512&tumours=1"], tmp_path / "out", plan)
    assert done.manifest["slides"][0]["tumour_tiles"] > 0 and done.manifest["slides"][0]["annotation"] == "exhaustive"
    for wrong in ("synthetic:slide?sede=3", "synthetic:slide?seed=x", "synthetic:tissue"):
        with pytest.raises(UsageError):
            tile([wrong], tmp_path / "other", plan)
    with pytest.raises(UsageError, match="no slide here"):
        tile([str(tmp_path / "*.svs")], tmp_path / "none", plan)
