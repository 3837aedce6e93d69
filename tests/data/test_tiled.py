"""tiled:DIR: the list of tiles is checked against folder, slides and files; splits never divide a slide."""

import shutil

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import DataError
from percuss.data import tiled
from percuss.data.spec import load_data


@pytest.fixture
def folder(tmp_path):
    tiled.miniature(tmp_path / "tiles")
    return tmp_path / "tiles"


def edit(folder, old, new, count=1):
    table = folder / "tiles.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, count))


def test_tiles_with_their_cells(folder):
    images = load_data(f"tiled:{folder}")
    assert (images.task, images.classes, images.cell, len(images)) == ("heatmap", ("normal", "tumour"), 4, 10)
    case = images.read("slide1/0_16")
    assert case.pixels.shape == (3, 16, 16) and case.group == "slide1" and case.spacing_mm == (0.001, 0.001)
    assert case.target.tolist() == [[1, 1, 0, 0]] * 3 + [[1, 1, 0, 255]]
    assert images.entry("slide0/0_0").target == (0,) and images.entry("slide1/0_0").target == (0, 1)
    with Image.open(folder / "tiles" / "slide1" / "0_16.png") as stored:
        assert np.array_equal(case.pixels.transpose(1, 2, 0), np.asarray(stored))


def test_named_and_drawn_splits(folder, whole_groups):
    images = load_data(f"tiled:{folder}?test=slide0,slide4&val=slide2")
    assert {entry.group: entry.split for entry in images.entries} == {
        "slide0": "test", "slide1": "train", "slide2": "val", "slide3": "train", "slide4": "test"}  # fmt: skip
    drawn = load_data(f"tiled:{folder}?test=slide0&val=0.25&seed=1")
    by_slide = {entry.group: entry.split for entry in drawn.entries}
    assert by_slide["slide0"] == "test" and sorted(by_slide.values()) == ["test", "train", "train", "train", "val"]
    assert whole_groups(f"tiled:{folder}")
    for wrong in ("test=slide9", "test=slide1&val=slide1", "test=slide1&split=0.5,0.5", "val=1.5", "annotated=maybe"):
        with pytest.raises(DataError):
            load_data(f"tiled:{folder}?{wrong}")


def test_tiles_without_a_judged_cell_are_left_out_when_asked(folder):
    edit(folder, "0.9375", "0", -1)
    with pytest.raises(DataError, match="no tile has a judged cell"):
        load_data(f"tiled:{folder}?annotated=yes")
    shutil.rmtree(folder)
    tiled.miniature(folder)
    edit(folder, "0.9375", "0")
    images = load_data(f"tiled:{folder}?annotated=yes")
    assert len(images) == 9 and images.dropped == {"no judged cell": 1}


def test_slides_that_are_not_outlined_everywhere_are_told(folder):
    assert load_data(f"tiled:{folder}").partial == ()
    text = (folder / "tiles.csv").read_text().splitlines()
    changed = [line.replace("exhaustive", "partial") if "slide3" in line else line for line in text]
    (folder / "tiles.csv").write_text("\n".join(changed) + "\n")
    images = load_data(f"tiled:{folder}?test=slide3")
    assert images.partial == ("slide3",)
    assert images.subset(split="test").partial == ("slide3",) and images.subset(split="train").partial == ()


def test_list_of_another_slide_or_folder(folder):
    edit(folder, "slide3,", "slide7,", -1)
    with pytest.raises(DataError, match="of no slide of this folder"):
        load_data(f"tiled:{folder}")
    edit(folder, "slide7,", "slide3,", -1)
    row = (folder / "tiles.csv").read_text().splitlines()[1].split(",")
    edit(folder, row[tiled.COLUMNS.index("slide_sha256")], "0" * 64)
    with pytest.raises(DataError, match="of another file of that name"):
        load_data(f"tiled:{folder}")


def test_files_that_are_missing_changed_or_of_another_size(folder):
    images = load_data(f"tiled:{folder}")
    path, mask = folder / "tiles" / "slide1" / "0_0.png", folder / "masks" / "slide1" / "0_0.png"
    kept = path.read_bytes()
    path.write_bytes((folder / "tiles" / "slide1" / "0_16.png").read_bytes())
    with pytest.raises(DataError, match="not the one in the table"):
        images.read("slide1/0_0")
    path.unlink()
    with pytest.raises(DataError, match="cannot be opened"):
        images.read("slide1/0_0")
    path.write_bytes(kept)
    old = images.entry("slide1/0_0")
    Image.fromarray(np.zeros((5, 4), np.uint8)).save(mask)
    digest = tiled.hashlib.sha256(mask.read_bytes()).hexdigest()
    edit(folder, images._tiles[old.id].mask_sha256, digest)
    with pytest.raises(DataError, match=r"mask of slide1/0_0 has another size.*\(5, 4\)"):
        load_data(f"tiled:{folder}").read("slide1/0_0")
    assert len(images.collect(images.ids).bad) == 1
    shutil.rmtree(folder / "tiles")
    with pytest.raises(DataError, match="none of the table's images exists"):
        load_data(f"tiled:{folder}")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("manifest.json", "{}", "holds no tiles"),
        ("manifest.json", '{"state": "running", "slides": []}', "not all cut yet"),
        ("tiles.csv", "id,path\na,b\n", "lacks a column"),
    ],
)
def test_unfinished_or_foreign_folder(folder, name, text, words):
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=words):
        load_data(f"tiled:{folder}")
