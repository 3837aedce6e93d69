"""folder: both layouts, and each way a folder cannot be used. Real sets where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import DataError
from percuss.data.spec import load_data


def put(root, *names, value=0, shape=(4, 4)):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        value += 1
        Image.fromarray(np.full(shape, value, np.uint8)).save(root / name)
    return f"folder:{root}"


def test_classes_only(tmp_path):
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    images = load_data(put(tmp_path, "b/2.png", "a/1.png", "b/1.PNG"))
    assert images.ids == ("a/1.png", "b/1.PNG", "b/2.png")
    assert images.classes == ("a", "b") and images.splits == () and images.task == "classify"
    assert [e.target for e in images.entries] == [0, 1, 1]
    assert images.read("b/2.png").pixels.max() == 1


def test_numbered_classes_are_in_the_order_of_their_numbers(tmp_path):
    assert load_data(put(tmp_path, "10/a.png", "9/a.png", "0/a.png")).classes == ("0", "9", "10")


def test_split_folders_and_their_usual_spellings(tmp_path):
    images = load_data(put(tmp_path, "Train/a/1.png", "Train/b/2.png", "valid/a/3.png", "testing/b/4.png"))
    assert images.splits == ("train", "test", "val")
    assert images.subset(split="val").classes == ("a", "b")
    assert images.subset(split="validation").ids == ("valid/a/3.png",)


def test_patient_folders_on_request(tmp_path):
    spec = put(tmp_path, *(f"{c}/{c}p{n // 3}/{n}.png" for c in "ab" for n in range(30)))
    with pytest.raises(DataError, match=r"unexpected depth: a/ap0/0\.png.*\?group=subfolder"):
        load_data(spec)
    images = load_data(f"{spec}?group=subfolder&split=0.5,0.5")
    assert len({e.group for e in images.entries}) == 20
    test = images.subset(split="test")
    assert 24 <= len(test) <= 36
    assert not {e.group for e in test.entries} & {e.group for e in images.subset(split="train").entries}


def test_a_patient_in_two_splits(tmp_path):
    spec = put(tmp_path, "train/a/p1/1.png", "train/b/p2/1.png", "test/a/p1/2.png", "test/b/p3/1.png")
    with pytest.raises(DataError, match="a group stands in the splits test and train: p1"):
        load_data(spec, group="subfolder")


def test_missing_and_empty(tmp_path):
    with pytest.raises(DataError, match="the image folder does not exist"):
        load_data(f"folder:{tmp_path}/absent")
    with pytest.raises(DataError, match="the folder holds no images"):
        load_data(f"folder:{tmp_path}")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "readme.txt").write_text("no image")
    with pytest.raises(DataError, match="the folder holds no images"):
        load_data(f"folder:{tmp_path}")


def test_single_and_empty_class(tmp_path):
    spec = put(tmp_path, "a/1.png")
    with pytest.raises(DataError, match="has a single class: a"):
        load_data(spec)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="a class folder holds no images: b"):
        load_data(spec)


def test_layouts_with_two_meanings(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png")
    with pytest.raises(DataError, match="mixes split folders and other folders: extra, train"):
        load_data(put(tmp_path, "extra/1.png"))
    with pytest.raises(DataError, match="1 images lie in the top folder, outside any class folder: 1.png"):
        load_data(put(tmp_path, "1.png"))
    with pytest.raises(DataError, match=r"lie in the split folder test, outside any class folder: x\.png"):
        load_data(put(tmp_path / "other", "train/a/1.png", "test/x.png"))


def test_test_split_of_a_set_without_splits(tmp_path):
    with pytest.raises(
        DataError, match=r"no split test: it has no splits\. Next: make splits with \?split=0.6,0.2,0.2"
    ):
        load_data(put(tmp_path, "a/1.png", "b/1.png"), split="test")


def test_bad_images_are_recorded_and_the_rest_is_read(tmp_path):
    spec = put(tmp_path, "a/1.png", "a/2.png", "a/gone.png", "b/1.png", "b/broken.png")
    put(tmp_path, "b/wide.png", shape=(4, 9))
    (tmp_path / "b/broken.png").write_bytes(b"\x89PNG")
    images = load_data(spec)
    (tmp_path / "a/gone.png").unlink()
    got = images.collect(images.ids)
    assert got.ids == ["a/1.png", "a/2.png", "b/1.png"]
    reasons = {bad.id: bad.reason for bad in got.bad}
    assert "cannot be opened: No such file" in reasons["a/gone.png"]
    assert "cannot be read" in reasons["b/broken.png"]
    assert "(1, 4, 9)" in reasons["b/wide.png"]
    with pytest.raises(DataError, match="3 of 6 images cannot be used"):
        images.tensors()


def test_mixed_depth_is_reported(tmp_path):
    spec = put(tmp_path, "a/1.png", "a/2.png", "b/1.png")
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / "b/deep.png")
    bad = load_data(spec).collect(load_data(spec).ids).bad
    assert [b.id for b in bad] == ["b/deep.png"] and "65535 levels" in bad[0].reason


def test_fingerprint_follows_bytes_label_and_options(tmp_path):
    spec = put(tmp_path, "a/1.png", "b/1.png")
    first = load_data(spec).fingerprint("a/1.png")
    assert load_data(spec, size=2).fingerprint("a/1.png") != first
    put(tmp_path, "a/1.png", value=7)
    assert load_data(spec).fingerprint("a/1.png") != first


REAL = Path(os.environ.get("PERCUSS_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "classes", "counts", "side"),
    [
        ("pcam_patches", ("normal", "tumor"), (2600, 400, 800), 96),
        ("chest_xray", ("normal", "pneumonia"), (308, 62, 93), 300),
        ("dermoscopy_ham", ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"), (655, 126, 232), 224),
    ],
)
@pytest.mark.parametrize("scheme", ["folder", "csv"])
def test_real_sets(name, classes, counts, side, scheme):
    home = REAL / name
    if not home.is_dir():
        pytest.skip(f"no real image set at {home}; set PERCUSS_REAL_DATA")
    images = load_data(f"folder:{home}" if scheme == "folder" else f"csv:{home / 'labels.csv'}")
    assert images.classes == classes
    assert tuple(len(images.subset(split=s)) for s in ("train", "val", "test")) == counts
    test = images.subset(split="test")
    pixels, targets = test.tensors(limit=2 * len(classes))
    assert pixels.shape == (2 * len(classes), 3, side, side)
    assert sorted(set(targets.tolist())) == list(range(len(classes)))
    native = pixels.double() * 255
    assert float((native - native.round()).abs().max()) < 1e-4 and float(pixels.std()) > 0.05
    case = test.read(test.ids[0])
    shown = np.asarray(Image.open(home / case.id))
    assert np.array_equal(case.pixels, shown.transpose(2, 0, 1))
    if scheme == "csv" and name != "pcam_patches":
        assert all(entry.group for entry in images.entries)
