"""folder with task=segment: images beside their maps, splits, and folders that are not so."""

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import DataError
from percuss.data.spec import load_data
from percuss.testing.datasets import CHECKS

MAP = np.array([[0, 1], [2, 0]], np.uint8)


@pytest.fixture
def write(tmp_path):
    """Writes a picture below a folder, and gives the folder."""

    def put(*names, values=MAP):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)
        return f"folder:{tmp_path}?task=segment&names=background|a|b"

    return put


def test_maps_of_the_same_name(write, tmp_path):
    spec = write("images/a.jpg", "images/b.png", "masks/a.png", "masks/b.png", "masks/c.png", "instances/b.tif")
    np.save(tmp_path / "instances" / "a.npy", MAP)
    images = load_data(spec)
    assert images.task == "segment" and images.ids == ("images/a.jpg", "images/b.png") and images.splits == ()
    assert images.dropped == {"maps without an image": 1}
    case = images.read("images/a.jpg")
    assert np.array_equal(case.target, MAP) and np.array_equal(case.instances, MAP)
    assert set(load_data(f"{spec}&split=0.5,0.5").splits) == {"train", "test"}
    for check in CHECKS:
        check(images)


def test_splits_and_instances_alone(write, tmp_path):
    spec = write("train/images/a.png", "Test/images/a.png", "train/instances/a.png", "Test/instances/a.png")
    images = load_data(spec.replace("&names=background|a|b", ""))
    assert images.classes == ("background", "nucleus") and images.splits == ("test", "train")
    assert np.array_equal(images.read("train/images/a.png").target, MAP > 0)
    write("train/masks/a.png")
    with pytest.raises(DataError, match="the splits differ in the maps they have"):
        load_data(spec)
    write("other/images/a.png")
    with pytest.raises(DataError, match="holds no images with class maps"):
        load_data(spec)


def test_a_missing_map_is_a_bad_image(write, tmp_path):
    got = load_data(write("images/a.png", "images/b.png", "masks/b.png")).collect(["images/a.png", "images/b.png"])
    assert got.ids == ["images/b.png"] and f"check that {tmp_path / 'masks' / 'a.png'} exists" in got.bad[0].reason


@pytest.mark.parametrize(
    ("names", "words"),
    [(["a/x.png"], r"holds no images with class maps.*PATH/images and PATH/masks"),
     (["images/a.png"], "the folder holds no maps"),
     (["images/a.gif", "masks/a.png"], "the folder holds no images"),
     (["images/a.png", "images/a.bmp", "masks/a.png"], "two files differ in their ending alone: a.bmp and a.png")],
)  # fmt: skip
def test_folders_that_are_not_so(write, names, words):
    with pytest.raises(DataError, match=words):
        load_data(write(*names))


def test_options(write):
    spec = write("images/a.png", "masks/a.png")
    with pytest.raises(DataError, match=r"the option names is for class maps.*\?task=segment"):
        load_data(spec.replace("task=segment&", ""))
    with pytest.raises(DataError, match="unknown option of folder with task=segment: group"):
        load_data(spec, group="subfolder")
