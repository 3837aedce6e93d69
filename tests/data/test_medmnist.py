"""medmnist: files in the true npz format, single- and multi-label, and what is refused."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.data.spec import load_data


@pytest.fixture
def npz(tmp_path):
    """Writes a file as MedMNIST does and gives its spec."""

    def write(name="some.npz", *, image=(28, 28), classes=3, labels=1, rows=(6, 2, 4), dtype=np.uint8, **replace):
        rng = np.random.default_rng(0)
        arrays = {}
        for split, count in zip(("train", "val", "test"), rows, strict=True):
            arrays[f"{split}_images"] = rng.integers(0, 255, (count, *image)).astype(dtype)
            values = rng.integers(0, 2, (count, labels)) if labels > 1 else np.arange(count)[:, None] % classes
            arrays[f"{split}_labels"] = values.astype(np.uint8)
        arrays = {key: value for key, value in (arrays | replace).items() if value is not None}
        np.savez_compressed(tmp_path / name, **arrays)
        return f"medmnist:{tmp_path / name}"

    return write


@pytest.mark.parametrize(("image", "channels"), [((28, 28), 1), ((28, 28, 3), 3), ((64, 64, 3), 3)])
def test_grey_and_colour(npz, image, channels):
    images = load_data(npz(image=image))
    assert images.splits == ("train", "val", "test") and images.classes == ("0", "1", "2")
    test = images.subset(split="test")
    assert test.ids == tuple(f"test/{n:06d}" for n in range(4)) and [e.target for e in test.entries] == [0, 1, 2, 0]
    case = test.read("test/000002")
    stored = np.load(images.entries[0].source)["test_images"][2]
    assert case.range == PixelRange(0, 255) and case.pixels.shape == (channels, *image[:2])
    assert np.array_equal(case.pixels, np.atleast_3d(stored).transpose(2, 0, 1))
    assert test.tensors()[0].shape == (4, channels, *image[:2])


def test_several_labels(npz):
    images = load_data(npz("chestmnist.npz", labels=14))
    assert images.task == "multilabel" and images.classes[:2] == ("atelectasis", "cardiomegaly")
    assert len(images.classes) == 14
    _, targets = images.subset(split="val").tensors()
    assert targets.shape == (2, 14) and set(targets.unique().tolist()) <= {0.0, 1.0}
    assert load_data(npz("other.npz", labels=4)).classes == ("0", "1", "2", "3")


def test_names(npz):
    assert load_data(npz("octmnist_64.npz", classes=4)).classes[3] == "normal"
    assert load_data(npz("octmnist.npz", classes=5)).classes == ("0", "1", "2", "3", "4")  # not that set after all
    assert load_data(npz(), names="a|b|c").classes == ("a", "b", "c")
    with pytest.raises(DataError, match=r"the names do not fit the labels: a\|b"):
        load_data(npz(), names="a|b")


def test_options_and_fingerprints(npz):
    spec = npz()
    images = load_data(spec, size=14, channels="rgb")
    assert images.read("val/000000").pixels.shape == (3, 14, 14)
    assert images.fingerprint("val/000000") != load_data(spec).fingerprint("val/000000")
    with pytest.raises(DataError, match="unknown option of medmnist: split"):
        load_data(spec, **{"split_": "x"})


def test_only_some_splits(npz):
    images = load_data(npz(val_images=None, val_labels=None))
    assert images.splits == ("train", "test")
    with pytest.raises(DataError, match="no split val: it has train, test"):
        images.subset(split="val")


def test_a_rewritten_file_is_read_anew(npz):
    first = load_data(npz())
    kept = first.read("test/000000").pixels.copy()
    again = load_data(npz(image=(30, 30)))
    assert again.read("test/000000").pixels.shape == (1, 30, 30) != kept.shape


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image": (28, 28, 28)}, "train_images are no 2-D images.*3-D MedMNIST sets are not supported"),
        ({"dtype": np.float32}, "train_images are not stored grey levels: float32"),
        ({"test_labels": None}, "test_images but no test_labels"),
        ({"test_labels": np.zeros((9, 1), np.uint8)}, "test has 4 images but 9 labels"),
        ({"test_labels": np.full((4, 1), 0.5)}, "test_labels are no labels: float64"),
        ({"test_labels": np.full((4, 1), -1)}, "test_labels are no labels"),
        ({"test_labels": np.full((4, 2), 3)}, "test_labels are no 0/1 labels: 3"),
        ({"test_labels": np.zeros((4, 2), int)}, "the splits have different numbers of labels"),
        ({"classes": 1}, "has a single class"),
    ],
)
def test_files_that_cannot_be_used(npz, options, words):
    with pytest.raises(DataError, match=words):
        load_data(npz(**options))


def test_pickled_objects_are_never_loaded(npz):
    objects = np.empty((4, 1), dtype=object)
    with pytest.raises(DataError, match="test_labels cannot be read.*allow_pickle=False"):
        load_data(npz(test_labels=objects))


def test_missing_and_damaged(tmp_path):
    with pytest.raises(DataError, match="the npz file does not exist"):
        load_data(f"medmnist:{tmp_path}/absent.npz")
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(DataError, match="the file is no npz file"):
        load_data(f"medmnist:{tmp_path}/x.npz")
    np.savez(tmp_path / "y.npz", images=np.zeros(3))
    with pytest.raises(DataError, match="holds no MedMNIST split: images"):
        load_data(f"medmnist:{tmp_path}/y.npz")
