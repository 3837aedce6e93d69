"""diabetic_retinopathy: grades or referral, both eyes in one group, blank and corrupt frames."""

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import DataError
from percuss.data import diabetic_retinopathy
from percuss.data.spec import load_data


@pytest.fixture
def spec(tmp_path):
    return diabetic_retinopathy.miniature(tmp_path)


def test_grades_and_referral(spec):
    images = load_data(spec)
    assert images.classes == ("no retinopathy", "mild", "moderate", "severe", "proliferative") and len(images) == 12
    assert images.entry("12_left").target == 2 and images.entry("12_right").target == 3
    assert images.entry("12_left").group == images.entry("12_right").group == "12"
    assert images.subset(split="test").ids == ("14_left", "14_right", "15_left", "15_right")
    assert images.tensors()[0].shape == (12, 3, 48, 48)
    referable = load_data(spec, label="referable")
    assert referable.classes == ("not referable", "referable")
    assert [e.target for e in referable.entries] == [int(e.target >= 2) for e in images.entries]


def test_sizes_differ_unless_one_is_given(spec, tmp_path):
    images = load_data(f"diabetic_retinopathy:{tmp_path}")
    bad = images.collect(images.ids).bad
    assert {one.id for one in bad} == {"13_left", "13_right"} and "?size=" in bad[0].reason


def test_eyes_are_never_divided(spec):
    for images in (load_data(spec, val=0.3), load_data(f"{spec}&split=0.4,0.3,0.3")):
        home = {}
        assert set(images.splits) == {"train", "val", "test"}
        assert all(home.setdefault(entry.group, entry.split) == entry.split for entry in images.entries)


def test_blank_and_corrupt_frames_are_listed(spec, tmp_path):
    noise = np.random.default_rng(0).integers(0, 6, (48, 48, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "train" / "10_left.jpeg", quality=95)
    whole = (tmp_path / "train" / "11_left.jpeg").read_bytes()
    (tmp_path / "train" / "11_left.jpeg").write_bytes(whole[: len(whole) // 2])
    images = load_data(spec)
    bad = images.subset(split="train").collect(images.subset(split="train").ids).bad
    assert [one.id for one in bad] == ["10_left", "11_left"]
    assert "is a blank frame" in bad[0].reason and "cannot be read" in bad[1].reason


def test_partial_downloads(spec, tmp_path):
    (tmp_path / "test" / "15_left.jpeg").unlink()
    assert load_data(spec).dropped == {"no image file": 1}
    (tmp_path / "retinopathy_solution.csv").unlink()
    assert load_data(spec).splits == ("train",)
    (tmp_path / "trainLabels.csv").unlink()
    with pytest.raises(DataError, match=r"holds no table trainLabels.csv.*image,level"):
        load_data(spec)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("10_left,0", "10_left,5", "line 2 of trainLabels.csv has no grade: '5'.*0, 1, 2, 3 or 4"),
        ("10_left,0", "left,0", "line 2 of trainLabels.csv names no eye: left"),
        ("10_left,0", "14_left,4", "an image is listed 2 times: 14_left"),
        ("10_left,0", "10_left", "line 2 of the table has more or fewer values"),
        ("image,level", "img,level", "the table has no column image"),
    ],
)
def test_odd_tables(spec, tmp_path, old, new, words):
    table = tmp_path / "trainLabels.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=words):
        load_data(spec)


def test_a_resized_mirror_beside_the_images(spec, tmp_path):
    (tmp_path / "resized").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "resized" / "10_left.jpeg")
    with pytest.raises(DataError, match="two different files hold one image"):
        load_data(spec)
